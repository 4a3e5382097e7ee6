"""One engine: how it is called, and what is known about its state."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson
from tandem_contract.config import Timeouts, Upstream

from tandem_orchestrator.errors import EngineError, Malformed, Refused
from tandem_orchestrator.gateway.connection import Response
from tandem_orchestrator.gateway.credentials import KeyFile
from tandem_orchestrator.gateway.endpoints import ENDPOINTS
from tandem_orchestrator.gateway.pool import Pool
from tandem_orchestrator.observability.metrics import ENGINE_READY, UPSTREAM_ERRORS

EVENT_STREAM = b"text/event-stream"
MAX_ANSWER = 67_108_864  # bytes of an answer that is not streamed
MAX_ERROR = 1_048_576

OK, CLIENT_ERRORS, SERVER_ERRORS = 200, 400, 500
HANDED_ON = frozenset({429, 503})  # of an engine's 5xx and 429: what tells a client to come back later
OWN_FAULT = frozenset({401, 403})  # the engine refuses the orchestrator, not the client


class Engine:
    """An OpenAI-compatible server, called through a pool of its own."""

    def __init__(self, upstream: Upstream, timeouts: Timeouts) -> None:
        self.name = upstream.name
        self.url = upstream.url.rstrip("/").removesuffix("/v1")
        self.model = upstream.model
        self.listed: list[dict[str, Any]] = []
        self.ready = False
        self.problem: str | None = "not checked yet"
        self.pool = Pool(self.url, timeouts)
        self._key = KeyFile(upstream.api_key_file)
        self._host = urlsplit(self.url).netloc.rpartition("@")[2]
        self._path = urlsplit(self.url).path
        ENGINE_READY.labels(self.name).set(0)

    @property
    def models(self) -> list[str]:
        """Names that this engine is known to serve, the configured one first."""
        listed = [entry["id"] for entry in self.listed if entry["id"] != self.model]
        return [self.model, *listed] if self.model else listed

    async def complete(self, path: str, body: bytes, request_id: str) -> tuple[bytes, dict[str, Any]]:
        """An answer that is not streamed: its bytes, and the same read as JSON. Raises `EngineError`."""
        response = await self._open(path, body, request_id)
        try:
            raw = await response.read_all(MAX_ANSWER)
            return raw, _answer(raw, ENDPOINTS[path].answers)
        except EngineError as error:
            self.count(error)
            raise
        finally:
            response.close()

    async def stream(self, path: str, body: bytes, request_id: str) -> Response:
        """A streamed answer, for the caller to read and close. Raises `EngineError`."""
        response = await self._open(path, body, request_id)
        kind = response.headers.get(b"content-type", b"")
        if kind.startswith(EVENT_STREAM):
            return response
        try:
            raw = await response.read_all(MAX_ANSWER)
            if kind.startswith(b"application/json"):
                _answer(raw, ENDPOINTS[path].answers)  # an error inside a 200 speaks for itself
            raise Malformed(f"asked for a stream, the engine answered {kind.decode('latin-1') or 'without a type'}")
        except EngineError as error:
            self.count(error)
            raise
        finally:
            response.close()

    async def list_models(self) -> list[dict[str, Any]]:
        """The engine's own list of models. Raises `EngineError`."""
        response = await self._send("GET", "/v1/models", b"", "engine-check")
        try:
            raw = await response.read_all(MAX_ERROR)
        finally:
            response.close()
        data = _json(raw).get("data")
        if not isinstance(data, list) or not all(isinstance(entry, dict) and "id" in entry for entry in data):
            raise Malformed("the engine's list of models has no `data` with an `id` in each entry")
        return data

    def mark(self, problem: str | None, listed: Sequence[dict[str, Any]] = ()) -> None:
        """Notes the outcome of a check: no `problem` means ready, with the models `listed`."""
        self.ready = problem is None
        self.problem = problem
        if listed:
            self.listed = list(listed)
        ENGINE_READY.labels(self.name).set(self.ready)

    def count(self, error: EngineError) -> None:
        """Counts a failed call."""
        UPSTREAM_ERRORS.labels(self.name, error.reason).inc()

    async def _open(self, path: str, body: bytes, request_id: str) -> Response:
        try:
            return await self._send("POST", path, body, request_id)
        except EngineError as error:
            self.count(error)
            raise

    async def _send(self, method: str, path: str, body: bytes, request_id: str) -> Response:
        head = (
            f"{method} {self._path}{path} HTTP/1.1\r\nhost: {self._host}\r\nx-request-id: {request_id}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        ).encode()
        response = await self.pool.send(b"".join((head, self._key.header(), b"\r\n")), body)
        if response.status == OK:
            return response
        try:
            raise _refusal(response, await response.read_all(MAX_ERROR))
        finally:
            response.close()


def _json(raw: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"the engine's answer is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise Malformed("the engine's answer is not a JSON object")
    return document


def _answer(raw: bytes, field: str) -> dict[str, Any]:
    document = _json(raw)
    parts = document.get(field)
    if isinstance(parts, list) and parts and isinstance(parts[0], dict):
        return document
    if "error" in document:
        raise Malformed(f"the engine answered 200 with an error: {_error_fields(document).get('message')}")
    raise Malformed(f"the engine's answer has no {field}")


def _error_fields(document: Any) -> dict[str, Any]:
    """OpenAI's error object, from whatever shape an engine gives its errors."""
    if not isinstance(document, dict):
        return {}
    error = document.get("error", document)
    if isinstance(error, str):
        return {"message": error}
    return {"message": error.get("message") or error.get("detail"), **error} if isinstance(error, dict) else {}


def _refusal(response: Response, raw: bytes) -> EngineError:
    try:
        fields = _error_fields(orjson.loads(raw))
    except orjson.JSONDecodeError:
        fields = {}
    status = response.status
    if status in OWN_FAULT:
        return EngineError(f"the engine refused the orchestrator's key ({status})", code="engine_key_refused")
    if status in HANDED_ON or CLIENT_ERRORS <= status < SERVER_ERRORS:
        return Refused(status, fields, response.headers.get(b"retry-after"))
    return Refused(502, {**fields, "type": "engine_error", "code": "engine_failed"})
