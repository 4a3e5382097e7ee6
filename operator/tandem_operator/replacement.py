"""Pods of engines that hang: told of, and deleted for their Deployment to make others."""

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from tandem_operator import hangs, status
from tandem_operator.api.hang import Hang
from tandem_operator.api.said import Said
from tandem_operator.kube import events, metrics
from tandem_operator.kube.api import ApiError
from tandem_operator.kube.orchestrators import Directory
from tandem_operator.kube.resources import Object
from tandem_operator.kube.store import Key
from tandem_operator.reconcile import Cluster

logger = logging.getLogger(__name__)

_GRACE_SECONDS: Final = 10
"""What hangs cannot finish what it has: no more than what a process needs that still does as it is told."""


class Replacement:
    """Replaces pods, and keeps in mind which: after a restart of the operator each may be replaced at once."""

    def __init__(self, cluster: Cluster, directory: Directory) -> None:
        self._cluster = cluster
        self._directory = directory
        self._last: dict[Key, dict[str, datetime]] = {}
        """When the last pod of each component was deleted."""

    async def look(self, key: Key, said: Said) -> bool:
        """Delete a pod of each of a service's engines that hangs, if that is due; return whether there is news."""
        live, before, now = self._cluster.store.service(key), self._cluster.hangs.get(key, ()), datetime.now(UTC)
        if live is None or "deletionTimestamp" in live["metadata"]:
            self._last.pop(key, None)
            return self._cluster.hangs.pop(key, None) is not None
        pods = {pod["metadata"]["uid"]: pod for pod in self._cluster.store.pods(key)}
        try:
            ours = [
                each for each in hangs.hanging(said.at_work, pods.values()) if await self._directory.made(key, each[0])
            ]
        except ApiError as error:
            logger.warning("%s/%s: it cannot be told whose the pod is that hangs: %s", *key, error)
            return False
        last = self._last.setdefault(key, {})
        found = hangs.planned(ours, before, last, now)
        found = [await self._replace(live, pods[hang.uid], hang) if hang.due <= now else hang for hang in found]
        named = {hang.uid for hang in found}
        leaving = [hang for hang in before if hang.uid not in named and "deletionTimestamp" in _metadata(pods, hang)]
        self._cluster.hangs[key] = (*found, *leaving)
        return self._cluster.hangs[key] != before

    async def _replace(self, live: Object, pod: Object, hang: Hang) -> Hang:
        if "deletionTimestamp" in pod["metadata"]:
            return hang
        key = Key(live["metadata"]["namespace"], live["metadata"]["name"])
        told = f"{hang.pod} hangs since {hang.since:%H:%M:%S} UTC: it made nothing for the requests that it had"
        try:
            await self._cluster.api.delete(pod, _GRACE_SECONDS)
        except ApiError as error:
            logger.warning("%s/%s: %s; it cannot be deleted: %s", *key, told, error)
            return replace(hang, problem=status.quoted(str(error)))
        self._last[key][hang.tier] = hang.due
        metrics.HUNG_PODS.inc()
        logger.warning("%s/%s: %s; it was deleted", *key, told)
        try:
            await events.post(
                self._cluster.api, live, "EngineHung", f"{told}; it was deleted, and is replaced", warning=True
            )
        except ApiError as error:
            logger.warning("%s/%s: no Event of a pod that hangs: %s", *key, error)
        return hang


def _metadata(pods: dict[str, Object], hang: Hang) -> Object:
    return pods[hang.uid]["metadata"] if hang.uid in pods else {}
