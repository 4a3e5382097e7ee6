"""What the watches have shown: LLMServices with their children and pods, in memory."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

from tandem_contract import names

from tandem_operator.api.component import FETCHED, MODELS, Reference
from tandem_operator.kube.difference import MANAGER
from tandem_operator.kube.resources import LLM_SERVICE, POD, Object

_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_UNREAD_CLAIMS: Final = ("f:metadata", "f:status")


class Key(NamedTuple):
    """One LLMService."""

    namespace: str
    name: str


def reference(item: Object) -> Reference:
    """Return kind and name of an object."""
    return Reference(item["kind"], item["metadata"]["name"])


def key_of(item: Object) -> Key | None:
    """Return the service that an object belongs to, by its label; None for objects of nobody."""
    metadata = item["metadata"]
    if item["kind"] == LLM_SERVICE.kind:
        return Key(metadata["namespace"], metadata["name"])
    name = (metadata.get("labels") or {}).get(names.LABEL_SERVICE)
    return Key(metadata["namespace"], name) if name else None


class Store:
    """Objects by service; the newest version wins, whatever order the news come in.

    What nobody reads is left out, as it is half of an object's size: which fields we manage, but for a Deployment's
    replicas; what kubectl last applied; and a pod's spec.
    """

    def __init__(self) -> None:
        self._objects: dict[Key, dict[Reference, Object]] = defaultdict(dict)
        self._keys: dict[str, Key] = {}

    def put(self, item: Object) -> set[Key]:
        """Remember an object that is news and return the services that it concerns: two, when it changed hands."""
        uid, key = item["metadata"]["uid"], key_of(item)
        same = self.get(item)
        namesake = self._objects.get(key, {}).get(reference(item)) if key else None
        if any(known and version(known) >= version(item) for known in (same, namesake)):
            return set()
        concerned = {key} if key else set()
        for known in (same, namesake):
            if known and (known["metadata"]["uid"] != uid or key_of(known) != key):
                concerned |= self.drop(known)
        if key:
            self._objects[key][reference(item)] = _trimmed(item)
            self._keys[uid] = key
        return concerned

    def drop(self, item: Object) -> set[Key]:
        """Forget an object and return the service that it concerned."""
        key = self._keys.pop(item["metadata"]["uid"], None)
        if key is None:
            return set()
        del self._objects[key][reference(item)]
        if not self._objects[key]:
            del self._objects[key]
        return {key}

    def replace(self, item: Object) -> set[Key]:
        """Remember an object whatever version of it is known: after a restore, versions begin anew at a former one."""
        return self.drop(item) | self.put(item)

    def objects(self, namespace: str | None) -> dict[str, Object]:
        """Return what is remembered of one namespace or of all, by uid."""
        return {
            item["metadata"]["uid"]: item
            for key, items in self._objects.items()
            if namespace in (None, key.namespace)
            for item in items.values()
        }

    def get(self, item: Object) -> Object | None:
        """Return what is remembered of an object, by its uid."""
        key = self._keys.get(item["metadata"]["uid"])
        return self._objects[key][reference(item)] if key else None

    def knows(self, uid: str) -> bool:
        """Return whether an object is remembered."""
        return uid in self._keys

    def services(self) -> list[Key]:
        """Return every LLMService."""
        return [key for key in self._objects if self.service(key)]

    def service(self, key: Key) -> Object | None:
        """Return an LLMService."""
        return self._objects.get(key, {}).get(Reference(LLM_SERVICE.kind, key.name))

    def sources(self, namespace: str) -> set[str]:
        """Return the sources of all models that the LLMServices of a namespace name or still run."""
        keys = [key for key in self.services() if key.namespace == namespace]
        specs = [found.get("spec") or {} for key in keys if (found := self.service(key))]
        engines = [spec.get("embeddingEngine") or {} for spec in specs]
        engines += [each for spec in specs for each in (spec.get("additionalEngines") or {}).values()]
        models = [section.get("model") or {} for section in (*specs, *engines)]
        named = {model["source"] for model in models if isinstance(model.get("source"), str)}
        children = [child for key in keys for child in self.children(key).values()]
        noted = [child["metadata"].get("annotations") or {} for child in children]
        fetched = {source for each in noted for source in each.get(FETCHED, "").split()[:1]}
        return named | fetched | {source for each in noted for source in each.get(MODELS, "").split()}

    def children(self, key: Key) -> dict[Reference, Object]:
        """Return the objects that a service is made of."""
        return {found: item for found, item in self._of(key) if found.kind not in (LLM_SERVICE.kind, POD.kind)}

    def pods(self, key: Key) -> list[Object]:
        """Return a service's pods."""
        return [item for found, item in self._of(key) if found.kind == POD.kind]

    def _of(self, key: Key) -> Iterator[tuple[Reference, Object]]:
        yield from self._objects.get(key, {}).items()


def _trimmed(item: Object) -> Object:
    if item["kind"] == POD.kind:
        item = {name: value for name, value in item.items() if name != "spec"}
    metadata = {name: value for name, value in item["metadata"].items() if name != "managedFields"}
    if _LAST_APPLIED in metadata.get("annotations", {}):
        metadata["annotations"] = {k: v for k, v in metadata["annotations"].items() if k != _LAST_APPLIED}
    claims = [claim for entry in item["metadata"].get("managedFields") or () if (claim := _claim(item, entry))]
    return {**item, "metadata": {**metadata, "managedFields": claims} if claims else metadata}


def _claim(item: Object, entry: Object) -> Object | None:
    """Return what a manager has set of a child; of what we applied ourselves, only whether a Deployment's replicas."""
    if item["kind"] in (LLM_SERVICE.kind, POD.kind):
        return None
    fields = {name: tree for name, tree in entry.get("fieldsV1", {}).items() if name not in _UNREAD_CLAIMS}
    if entry.get("manager") == MANAGER and entry.get("operation") == "Apply":
        fields = {"f:spec": {"f:replicas": {}}} if "f:replicas" in fields.get("f:spec", {}) else {}
    return {**entry, "fieldsV1": fields} if fields else None


def version(item: Object) -> int:
    """Return an object's version: Kubernetes promises since 1.35 that those of one resource are comparable numbers."""
    return int(item["metadata"]["resourceVersion"])
