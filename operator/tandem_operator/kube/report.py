"""Writing a service's status, and Events about what changed in it."""

from collections.abc import Iterable

from tandem_operator.api.status import Change
from tandem_operator.kube import events
from tandem_operator.kube.api import Api
from tandem_operator.kube.difference import MANAGER
from tandem_operator.kube.resources import Object
from tandem_operator.kube.store import Store


async def report(api: Api, store: Store, live: Object, status: Object, changes: Iterable[Change]) -> None:
    """Write the status if it is not there already, then the Events."""
    if live.get("status") == status:
        return
    metadata = {name: live["metadata"][name] for name in ("name", "namespace", "uid")}
    manifest = {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": metadata, "status": status}
    store.put(await api.apply(manifest, MANAGER, subresource="status"))
    for change in changes:
        await events.post(api, live, change.reason, change.message, warning=change.warning)
