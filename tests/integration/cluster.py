"""What tests do to the API server beside the operator: as users, as other controllers, and as a clumsy operator."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from kubernetes.aio.client import ApiClient
from tandem_operator.kube.api import Api, ApiError
from tandem_operator.kube.resources import CHILDREN, LLM_SERVICE, POD, Object, Resource
from tandem_operator.kube.store import Key
from tandem_operator.manifests import Images
from tandem_operator.reconcile import Cluster, reconcile

SELECTED = "labelSelector=tandem.dev%2Fllmservice"


class KilledError(Exception):
    """The operator died after a write."""


class Kubernetes(Api):
    """The API server, with every write counted, and a switch to die after one of them."""

    def __init__(self, client: ApiClient) -> None:
        super().__init__(client)
        self.writes: list[str] = []
        self.answers: list[Object] = []
        self.die_after: int | None = None

    async def _request(self, method: str, path: str, *args: Any, **kwargs: Any) -> Any:
        answer = await super()._request(method, path, *args, **kwargs)
        if method != "GET":
            self.writes.append(f"{method} {path}")
            self.answers.append(answer)
            if self.die_after == len(self.writes):
                raise KilledError
        return answer

    async def define(self, definition: Object) -> None:
        """Install a CustomResourceDefinition and wait until it is served."""
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition['metadata']['name']}"
        query = {"fieldManager": "tests", "force": "true"}
        await self._request("PATCH", path, query, definition, "application/apply-patch+yaml")
        spec = definition["spec"]

        async def served() -> bool:
            try:
                await self._request(
                    "GET", f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
                )
            except ApiError as error:
                if error.status not in (404, 429):
                    raise
                return False
            return True

        await eventually(served)

    async def undefine(self, name: str) -> None:
        await self._request("DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")

    async def namespace(self, name: str) -> str:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await self._request("POST", "/api/v1/namespaces", body=body)
        return name

    async def serve(self, namespace: str, name: str = "demo", **spec: Any) -> Key:
        """Create an LLMService as a user would."""
        manifest = {
            "apiVersion": LLM_SERVICE.api_version,
            "kind": LLM_SERVICE.kind,
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"model": {"source": "hf://org/model"}, **spec},
        }
        await self.create(manifest)
        return Key(namespace, name)

    async def edit(self, resource: Resource, key: Key, name: str, patch: Object, subresource: str | None = None) -> Any:
        """Merge-patch an object, as `kubectl edit` or another controller would."""
        path = resource.path(key.namespace, name, subresource)
        return await self._request("PATCH", path, {"fieldManager": "hand"}, patch, "application/merge-patch+json")

    async def edit_strategically(self, resource: Resource, key: Key, name: str, patch: Object) -> None:
        """Merge into lists by their entries' keys, as `kubectl patch` and `kubectl set` would."""
        path = resource.path(key.namespace, name)
        await self._request("PATCH", path, {"fieldManager": "hand"}, patch, "application/strategic-merge-patch+json")

    async def objects(self, key: Key) -> list[Object]:
        """All that the operator's watches would show of a service."""
        found = [await self.get(LLM_SERVICE, *key)]
        for resource in (*CHILDREN, POD):
            try:
                listed = await self._request("GET", f"{resource.path(key.namespace)}?{SELECTED}%3D{key.name}")
            except ApiError as error:
                if error.status != 404:
                    raise
                continue
            kind = {"apiVersion": resource.api_version, "kind": resource.kind}
            found += [{**kind, **item} for item in listed["items"]]
        return [item for item in found if item]

    async def reconcile(self, key: Key, capabilities: frozenset[str] = frozenset()) -> list[str]:
        """Reconcile as an operator that has just started would, and return the writes that it made."""
        cluster = Cluster(self, Images(), capabilities=capabilities)
        for item in await self.objects(key):
            cluster.store.put(item)
        self.writes, self.answers = [], []
        await reconcile(cluster, key)
        return self.writes

    async def conditions(self, key: Key) -> dict[str, Object]:
        service = await self.get(LLM_SERVICE, *key)
        assert service
        return {condition["type"]: condition for condition in service["status"].get("conditions", [])}


async def eventually(holds: Callable[[], Awaitable[Any]], seconds: float = 60.0) -> Any:
    """Wait until something holds, and return what it says; the deadline is generous, as machines are shared."""
    deadline = time.monotonic() + seconds
    while not (answer := await holds()):
        assert time.monotonic() < deadline, f"still not so after {seconds} s"
        await asyncio.sleep(0.1)
    return answer


def by_kind(resource_kind: str) -> Resource:
    return next(resource for resource in (*CHILDREN, POD) if resource.kind == resource_kind)
