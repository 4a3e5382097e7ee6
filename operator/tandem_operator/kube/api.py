"""The API server, spoken to in plain dictionaries over the official client's connection and credentials.

bench/apply_client.py measures what the official client's typed models would cost on top.
"""

import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from tandem_operator.kube import metrics
from tandem_operator.kube.decoding import decoded
from tandem_operator.kube.resources import BY_KIND, EVENT, Object, Resource

_JSON: Final = "application/json"
_APPLY: Final = "application/apply-patch+yaml; charset=utf-8"
_MERGE: Final = "application/merge-patch+json"
_METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PAGE: Final = 500
_NOT_IN_YAML: Final = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, sock_connect=5)


class ApiError(Exception):
    """The API server refused a request.

    `status` is the HTTP status, 0 when there was no answer; `ending` tells that the namespace is being deleted.
    """

    def __init__(self, status: int, message: str, *, ending: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.ending = ending

    @property
    def passes(self) -> bool:
        """Whether it is no fault of the request: no answer, a conflict, too many requests, a namespace's end."""
        return self.ending or self.status in (
            0,
            HTTPStatus.CONFLICT,
            HTTPStatus.TOO_MANY_REQUESTS,
            HTTPStatus.GATEWAY_TIMEOUT,
        )

    @property
    def is_refusal(self) -> bool:
        """Whether the same request would be refused again, because of what it says."""
        refusals = (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY)
        return self.status in refusals or "failed to create typed patch object" in str(self)  # said with status 500


class Api:
    """Reads and writes of single objects."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """Return an object, or None where there is none."""
        try:
            found: Object = await self._request("GET", resource.path(namespace, name))
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return found

    async def list_metadata(self, resource: Resource, namespace: str | None, selector: str) -> AsyncIterator[Object]:
        """Yield the objects of one namespace or of all that a label selector admits, without spec and status.

        There are none where the cluster does not have this kind.
        """
        query = {"labelSelector": selector}
        async for item in self._list(resource, namespace, query, _METADATA):
            yield item

    async def list_objects(self, resource: Resource, namespace: str | None = None) -> AsyncIterator[Object]:
        """Yield the objects of one namespace or of all; none where the cluster does not have this kind."""
        async for item in self._list(resource, namespace, {}, _JSON):
            yield item

    async def _list(
        self, resource: Resource, namespace: str | None, query: dict[str, str], media_type: str
    ) -> AsyncIterator[Object]:
        query = {"limit": str(_PAGE), **query}
        while True:
            try:
                page = await self._request("GET", resource.path(namespace), query, media_type=media_type)
            except ApiError as error:
                if error.status == HTTPStatus.NOT_FOUND:
                    return
                raise
            for item in page["items"] or ():  # null where there are none
                yield {**item, "apiVersion": resource.api_version, "kind": resource.kind}
            if not (token := page["metadata"].get("continue")):
                return
            query["continue"] = token

    async def apply(self, manifest: Object, manager: str, subresource: str | None = None) -> Object:
        """Apply on the server's side: own the fields in `manifest`, taking them from others, and return the object."""
        query = {"fieldManager": manager, "force": "true"}
        return await self._patch("apply", manifest, query, _APPLY, subresource)

    async def overwrite(self, manifest: Object, manager: str) -> Object:
        """Merge-patch: as apply, but lists become those of `manifest`, whatever others have added to them."""
        return await self._patch("overwrite", manifest, {"fieldManager": manager}, _MERGE)

    async def events(self, about: Object) -> list[Object]:
        """Return the Events about this very object."""
        query = {"fieldSelector": f"involvedObject.uid={about['metadata']['uid']}", "limit": str(_PAGE)}
        page = await self._request("GET", EVENT.path(about["metadata"]["namespace"]), query)
        return list(page["items"] or ())

    async def create(self, manifest: Object) -> Object:
        """Create an object, and return it."""
        resource = BY_KIND[manifest["kind"]]
        metrics.WRITES.labels(verb="create", kind=resource.kind).inc()
        created: Object = await self._request("POST", resource.path(manifest["metadata"]["namespace"]), body=manifest)
        return created

    async def delete(self, item: Object, grace_seconds: int | None = None) -> None:
        """Delete this very object and, in the background, what it owns; one that is gone already is no error.

        `grace_seconds` is what a pod has to end, in place of what its spec says.
        """
        resource, metadata = BY_KIND[item["kind"]], item["metadata"]
        body: Object = {"preconditions": {"uid": metadata["uid"]}, "propagationPolicy": "Background"}
        if grace_seconds is not None:
            body["gracePeriodSeconds"] = grace_seconds
        metrics.WRITES.labels(verb="delete", kind=resource.kind).inc()
        try:
            await self._request("DELETE", resource.path(metadata["namespace"], metadata["name"]), body=body)
        except ApiError as error:
            if error.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                raise

    async def served(self, group_version: str) -> frozenset[str]:
        """Return the plurals that an API group version serves; empty where the cluster does not have it."""
        try:
            found = await self._request("GET", f"/apis/{group_version}")
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return frozenset()
            raise
        return frozenset(item["name"] for item in found["resources"])

    async def _patch(
        self, verb: str, manifest: Object, query: dict[str, str], content_type: str, subresource: str | None = None
    ) -> Object:
        resource, metadata = BY_KIND[manifest["kind"]], manifest["metadata"]
        metrics.WRITES.labels(verb=verb, kind=resource.kind).inc()
        path = resource.path(metadata["namespace"], metadata["name"], subresource)
        patched: Object = await self._request("PATCH", path, query, manifest, content_type)
        return patched

    async def _request(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Object | None = None,
        media_type: str = _JSON,
    ) -> Any:
        """Send a request; `media_type` is that of the body, or of the answer where there is no body."""
        headers = {"Accept": media_type if body is None else _JSON, "Content-Type": media_type}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        payload = _yaml(body) if media_type == _APPLY else body
        url = f"{self._client.configuration.host}{path}{'?' + urlencode(query) if query else ''}"
        try:
            response = await self._client.call_api(method, url, headers, payload, _request_timeout=_TIMEOUT)
            content = await response.response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiError(0, f"{method} {path}: {error or type(error).__name__}") from error
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise _refusal(response.status, content)
        try:
            return decoded(content)
        except (ValueError, RecursionError) as error:
            raise ApiError(response.status, f"{method} {path}: its answer cannot be read: {error}") from error


def _yaml(body: Any) -> str:
    """Return JSON that is YAML too, which has no escapes in pairs, and some characters only escaped."""
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(body, ensure_ascii=False))


def _refusal(status: int, content: bytes) -> ApiError:
    try:
        answer = json.loads(content)
        causes = (answer.get("details") or {}).get("causes") or []
        ending = any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
        return ApiError(status, str(answer["message"]), ending=ending)
    except (ValueError, KeyError, TypeError, AttributeError):
        return ApiError(status, content.decode(errors="replace")[:1024])


@asynccontextmanager
async def connected(kubeconfig: str | None = None) -> AsyncIterator[ApiClient]:
    """Connect with this kubeconfig or, if there is none, with the pod's ServiceAccount or what kubectl uses."""
    # The API server is reached directly; looking for proxies and .netrc on each request is a third of its CPU time.
    configuration = Configuration(client_session_kwargs={"trust_env": False})
    if kubeconfig or "KUBERNETES_SERVICE_HOST" not in os.environ:
        await config.load_kube_config(kubeconfig, client_configuration=configuration)  # type: ignore[no-untyped-call]
    else:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    async with ApiClient(configuration) as client:
        yield client
