"""What has to be written so that an object is as it should be: pure, so that an unchanged object costs no call."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from tandem_operator.api.quantity import same_amount
from tandem_operator.kube.resources import Object

MANAGER: Final = "tandem-operator"
HANDOVER_MANAGER: Final = "tandem-operator-handover"
APPLIED: Final = "tandem.dev/applied"
"""Annotation with a fingerprint of what was applied: it tells that a field is no longer wanted."""

# Lists that Kubernetes merges by key: others may add entries to them.
_MERGED: Final = frozenset(
    {"containers", "env", "imagePullSecrets", "ownerReferences", "ports", "topologySpreadConstraints"}
    | {"volumeMounts", "volumes"}
)
_QUANTITIES: Final = frozenset({"limits", "requests", "sizeLimit"})


@dataclass(frozen=True)
class Write:
    """One server-side apply."""

    manifest: Object
    manager: str


def next_write(wanted: Object, live: Object | None, floor: int | None = None) -> Write | None:
    """Return the write that brings `live` closer to `wanted`; None when it is as wanted.

    `floor` is the fewest replicas of a Deployment whose replicas an autoscaler owns, and so `wanted` leaves out. The
    field begins at the floor, and is given up only once another manager holds it: dropping a field that nobody else
    holds would reset it to 1.
    """
    if floor is not None:
        if live is None or not live["spec"].get("replicas"):
            return Write(stamped({**wanted, "spec": {**wanted["spec"], "replicas": floor}}), MANAGER)
        if _owns_replicas(live, MANAGER) and not _owns_replicas(live, HANDOVER_MANAGER):
            return Write(_handover(live), HANDOVER_MANAGER)
    complete = stamped(wanted)
    return None if live is not None and covers(live, complete) else Write(complete, MANAGER)


def stamped(manifest: Object) -> Object:
    """Return the manifest with its fingerprint among the annotations."""
    fingerprint = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), APPLIED: fingerprint}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def covers(live: Any, wanted: Any, field: str = "") -> bool:
    """Tell whether `live` has everything that `wanted` says; what the API server or others added does not matter."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(
            name in live and covers(live[name], value, field if field in _QUANTITIES else name)
            for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        if not isinstance(live, list):
            return False
        if field in _MERGED:
            return all(any(covers(item, entry) for item in live) for entry in wanted)
        return len(live) == len(wanted) and all(map(covers, live, wanted))
    return bool(live == wanted or (field in _QUANTITIES and same_amount(live, wanted)))


def _owns_replicas(live: Object, manager: str) -> bool:
    return any(
        "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
        for entry in live["metadata"].get("managedFields", [])
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource")
    )


def _handover(live: Object) -> Object:
    metadata = live["metadata"]
    return {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        # The version guards against writing over what the autoscaler decides at this moment.
        "metadata": {name: metadata[name] for name in ("name", "namespace", "resourceVersion")},
        "spec": {"replicas": live["spec"]["replicas"]},
    }
