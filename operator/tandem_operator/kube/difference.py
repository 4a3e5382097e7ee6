"""What has to be written so that an object is as it should be: pure, so that an unchanged object costs no call.

What is wanted must be there as it is wanted. What is there beside it is drift if somebody claims it: Kubernetes notes
which client set a field (`metadata.managedFields`), and what no client did is the API server's default or was added by
an admission policy, neither of which can be taken away. So there is no table of defaults that the next version of
Kubernetes would outdate. Selectors and the NetworkPolicy's rules must be ours to the letter, whoever adds to them.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tandem_operator.api.quantity import same_amount
from tandem_operator.kube.resources import Object

MANAGER: Final = "tandem-operator"
HANDOVER_MANAGER: Final = "tandem-operator-handover"
APPLIED: Final = "tandem.dev/applied"
"""Annotation with a fingerprint of what was applied: it tells that a field is no longer wanted."""

LEFT_ALONE: Final[Mapping[str, tuple[str, ...]]] = {
    "Deployment": ("spec.replicas", "spec.template.metadata"),
    "PersistentVolumeClaim": ("spec.storageClassName", "spec.volumeMode", "spec.volumeName"),
    "Secret": ("data", "immutable"),
    "Service": (
        "spec.allocateLoadBalancerNodePorts",
        "spec.clusterIP",
        "spec.clusterIPs",
        "spec.healthCheckNodePort",
        "spec.ipFamilies",
        "spec.ipFamilyPolicy",
        "spec.loadBalancerClass",
        "spec.loadBalancerIP",
        "spec.loadBalancerSourceRanges",
        "spec.ports.nodePort",
    ),
    "ServiceAccount": ("imagePullSecrets", "secrets"),
}
"""Fields that others may add, by kind, beside the metadata and the status of every kind."""
_OF_OTHERS: Final = ("metadata", "status")
_OWNERS: Final = ("metadata", "ownerReferences")

_EXACT: Final = frozenset({"ingress", "labelSelector", "nodeSelector", "podSelector", "selector"})
# Lists whose order says nothing: entries are found by keys, and others may add some.
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "containers": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "ownerReferences": ("uid",),
    "ports": ("port", "containerPort", "protocol"),
    "tolerations": ("key", "operator", "value", "effect"),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
_QUANTITIES: Final = frozenset({"limits", "requests", "sizeLimit"})

Claims = Sequence[tuple[str, Mapping[str, Any]]]
"""Managers with what each of them has set below some field, as in fieldsV1; an empty tree is all of it."""


@dataclass(frozen=True)
class Difference:
    """One field that is not as wanted."""

    path: tuple[str, ...] = ()
    """Names of fields and, in brackets, of a list's entries."""
    extra: bool = False
    """Whether it is there and not wanted."""
    exact: bool = False
    """Whether it is part of what nobody may add to."""
    manager: str | None = None
    """Who else claims it; None for nobody."""

    def __str__(self) -> str:
        return ".".join(self.path).replace(".[", "[")

    def within(self, name: str) -> "Difference":
        """Return the same one step further out."""
        return replace(self, path=(name, *self.path))


@dataclass(frozen=True)
class Write:
    """One server-side apply or, where it takes away what others have set, one merge patch."""

    manifest: Object
    manager: str
    corrects: tuple[Difference, ...] = ()
    drift: bool = False
    """Whether the same was applied before, so that somebody else has changed it."""

    @property
    def removes(self) -> bool:
        """Whether it takes away what others have set, as no apply does."""
        return any(difference.extra for difference in self.corrects)

    def patch(self) -> Object:
        """Return the manifest as a merge patch, with null for what must go; lists are replaced as they are."""
        patch = self.manifest
        if not any(difference.path[:2] == _OWNERS for difference in self.corrects):
            metadata = {name: value for name, value in patch["metadata"].items() if name != _OWNERS[1]}
            patch = {**patch, "metadata": metadata}  # the list of owners may have others
        for difference in self.corrects:
            if difference.extra:
                patch = _with_null(patch, difference.path)
        return patch


def next_write(wanted: Object, live: Object | None, floor: int | None = None) -> Write | None:
    """Return the write that brings `live` closer to `wanted`; None when it is as wanted.

    `floor` is the fewest replicas of a Deployment whose replicas an autoscaler owns, and so `wanted` leaves out. The
    field begins at the floor, and is given up only once another manager holds it: dropping a field that nobody else
    holds would reset it to 1.
    """
    complete = stamped(wanted)
    if floor is not None:
        if live is None or not live["spec"].get("replicas"):
            complete = {**complete, "spec": {**complete["spec"], "replicas": floor}}
        elif _owns_replicas(live, MANAGER) and not _owns_replicas(live, HANDOVER_MANAGER):
            return Write(_handover(live), HANDOVER_MANAGER)
    if live is None:
        return Write(complete, MANAGER)
    found = differences(live, complete)
    return Write(complete, MANAGER, tuple(found), drift=stamp(live) == stamp(complete)) if found else None


def stamped(manifest: Object) -> Object:
    """Return the manifest with its fingerprint among the annotations."""
    fingerprint = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), APPLIED: fingerprint}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def stamp(item: Object) -> str | None:
    """Return the fingerprint that an object carries."""
    fingerprint: str | None = (item["metadata"].get("annotations") or {}).get(APPLIED)
    return fingerprint


def differences(live: Object, wanted: Object) -> list[Difference]:
    """Return what is not as in the stamped manifest `wanted`, and what others have added that they may not."""
    # What our own merge patches have set goes once it is no longer wanted; until then the defaults in it are no drift.
    passing = stamp(live) != stamp(wanted)
    claims = [
        (entry.get("manager", ""), entry["fieldsV1"])
        for entry in live["metadata"].get("managedFields") or ()
        if entry.get("fieldsV1")
        and (entry.get("manager") != MANAGER or (passing and entry.get("operation") != "Apply"))
    ]
    found = _compare(live, wanted, "", claims, exact=False)
    return [difference for difference in found if not (difference.extra and _left_alone(wanted["kind"], difference))]


def _left_alone(kind: str, difference: Difference) -> bool:
    names = [name for name in difference.path if not name.startswith("[")]
    ways = {".".join(names[:length]) for length in range(1, len(names) + 1)}
    return not ways.isdisjoint((*_OF_OTHERS, *LEFT_ALONE.get(kind, ())))


def _compare(live: Any, wanted: Any, field: str, claims: Claims, *, exact: bool) -> Iterator[Difference]:
    if live == wanted:
        return
    if isinstance(wanted, dict) and isinstance(live, dict):
        yield from _compare_fields(live, wanted, field, claims, exact=exact)
    elif isinstance(wanted, list) and isinstance(live, list):
        yield from _compare_entries(live, wanted, field, claims, exact=exact)
    elif not (field in _QUANTITIES and same_amount(live, wanted)):
        yield Difference(exact=exact, manager=_manager(claims))


def _compare_fields(live: Object, wanted: Object, field: str, claims: Claims, *, exact: bool) -> Iterator[Difference]:
    for name, value in wanted.items():
        below = _below(claims, name) if claims else claims
        if name in live:
            inner, strict = field if field in _QUANTITIES else name, exact or name in _EXACT
            for difference in _compare(live[name], value, inner, below, exact=strict):
                yield difference.within(name)
        elif not _is_empty(value) or name == "emptyDir":
            yield Difference((name,), exact=exact, manager=_manager(below))
    if exact or claims:
        for name in sorted(live.keys() - wanted.keys()):
            if exact or _below(claims, name):
                yield Difference((name,), extra=True, exact=exact, manager=_manager(_below(claims, name)))


def _compare_entries(
    live: list[Any], wanted: list[Any], field: str, claims: Claims, *, exact: bool
) -> Iterator[Difference]:
    keys = _KEYS.get(field)
    if keys is None or exact:
        if len(live) != len(wanted):
            yield Difference(exact=exact, manager=_manager(claims))
            return
        for index, (item, entry) in enumerate(zip(live, wanted, strict=True)):
            for difference in _compare(item, entry, field, claims, exact=exact):
                yield difference.within(f"[{index}]")
        return
    others = list(live)
    for entry in wanted:
        item = next((item for item in others if all(_same(item, entry, key) for key in keys)), None)
        if item is None:
            yield Difference((_label(entry, keys),), manager=_manager(claims))
            continue
        others.remove(item)
        for difference in _compare(item, entry, field, _of_entry(claims, item), exact=exact):
            yield difference.within(_label(entry, keys))
    for item in others:
        if theirs := _of_entry(claims, item):
            yield Difference((_label(item, keys),), extra=True, manager=_manager(theirs))


def _same(item: Object, entry: Object, key: str) -> bool:
    return bool((item.get(key) or None) == (entry.get(key) or None))  # empty is left out


def _label(entry: Object, keys: Sequence[str]) -> str:
    return f"[{next((entry[key] for key in keys if key in entry), '')}]"


def _is_empty(value: Any) -> bool:
    """Return the API server leaves out what is empty, but for a volume's emptyDir."""
    return value is None or value in ("", [], {})


def _below(claims: Claims, name: str) -> Claims:
    return [(manager, tree.get(f"f:{name}", {})) for manager, tree in claims if not tree or f"f:{name}" in tree]


def _of_entry(claims: Claims, item: Object) -> Claims:
    whole = [(manager, tree) for manager, tree in claims if not tree]
    return whole + [
        (manager, subtree)
        for manager, tree in claims
        for key, subtree in tree.items()
        if key.startswith("k:") and json.loads(key[2:]).items() <= item.items()
    ]


def _manager(claims: Claims) -> str | None:
    return next((manager for manager, _ in claims if manager != MANAGER), None)


def _with_null(manifest: Object, path: Sequence[str]) -> Object:
    name, *rest = path
    if not rest:
        return {**manifest, name: None}
    return manifest if rest[0].startswith("[") else {**manifest, name: _with_null(manifest[name], rest)}


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
