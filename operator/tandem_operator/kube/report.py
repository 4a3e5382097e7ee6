"""Writing a service's status, and Events about what changed in it."""

import logging
from collections.abc import Iterable

from tandem_operator.api.status import Change
from tandem_operator.kube import events
from tandem_operator.kube.api import Api, ApiError
from tandem_operator.kube.difference import MANAGER
from tandem_operator.kube.resources import Object
from tandem_operator.kube.store import Store

logger = logging.getLogger(__name__)


async def report(api: Api, store: Store, live: Object, status: Object, changes: Iterable[Change]) -> None:
    """Write the status, then the Events; these are news that may be lost.

    ApiError: the status could not be written.
    """
    metadata = {name: live["metadata"][name] for name in ("name", "namespace", "uid")}
    manifest = {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": metadata, "status": status}
    store.put(await api.apply(manifest, MANAGER, subresource="status"))
    try:
        for change in changes:
            await events.post(api, live, change.reason, change.message, warning=change.warning)
    except ApiError as error:
        logger.warning("%s/%s: no Event of its status: %s", metadata["namespace"], metadata["name"], error)
