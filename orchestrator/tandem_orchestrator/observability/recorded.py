"""Gives each request a record and reports it at its end: metrics, one log line, the end of its trace."""

import logging
import re
from collections.abc import Awaitable
from datetime import UTC, datetime
from random import getrandbits
from time import perf_counter
from typing import Any, Final, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tandem_orchestrator.observability import logs
from tandem_orchestrator.observability.metrics import (
    REQUEST_LATENCY,
    REQUESTS_IN_FLIGHT,
    TIME_PER_OUTPUT_TOKEN,
    TIME_TO_FIRST_TOKEN,
    TOKENS,
)
from tandem_orchestrator.observability.prometheus import Labelled
from tandem_orchestrator.observability.record import OTHER, Bodies, Record
from tandem_orchestrator.observability.trace import NO_TRACE, Tracer

QUIET_PATHS: Final = frozenset({"/live", "/ready", "/metrics"})
HANDSHAKE: Final = "GET"  # the method of WebSockets, and of what is asked by them
SWITCHED: Final = 101
REFUSED: Final = 403  # what a WebSocket is answered that is closed before it is accepted
MAX_TENANTS: Final = 1000  # as metric labels; further ones are counted together

_latency = Labelled(REQUEST_LATENCY)
_first_token = Labelled(TIME_TO_FIRST_TOKEN)
_output_token = Labelled(TIME_PER_OUTPUT_TOKEN)
_tokens = Labelled(TOKENS)
_tenants: set[str] = set()
_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")


class Draining(Protocol):
    """What knows whether the process ends."""

    draining: bool


class Recorded:
    """ASGI application around another: gives each request an id and a record, and reports it at its end.

    While the process is draining, clients are told to open their next connection elsewhere.
    """

    def __init__(self, app: ASGIApp, state: Draining, tracer: Tracer | None = None) -> None:
        self.app = app
        self.log_prompts = False
        self._state = state
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await (self._socket if scope["type"] == "websocket" else self.app)(scope, receive, send)
            return
        record = Record(_request_id(scope["headers"]))
        scope.setdefault("state", {})["record"] = record
        if self._tracer is not None and scope["path"] not in QUIET_PATHS:
            record.trace = self._tracer.begin(scope["headers"], scope["path"])
        if self.log_prompts:
            record.bodies = bodies = Bodies(receive, send)
            receive, send = bodies.receive, bodies.send
        REQUESTS_IN_FLIGHT.inc()
        try:
            await self.app(scope, receive, _Answer(record, send, self._state))
        finally:
            REQUESTS_IN_FLIGHT.dec()
            found = scope.get("route")
            report(record, scope["method"], scope["path"], record.route if found is None else found.path)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record a WebSocket's handshake; what is asked by it then has records of its own."""
        record = Record(_request_id(scope["headers"]))
        scope.setdefault("state", {})["record"] = record
        handshake = _Handshake(record, send, scope)
        try:
            await self.app(scope, receive, handshake)
        finally:
            handshake.end()

    def message(self, connection: Record, number: int, headers: list[tuple[bytes, bytes]], path: str) -> Record:
        """Return the record of what a WebSocket asks for the `number`th time; `report` must follow."""
        record = Record(f"{connection.request_id}-{number}")
        record.route, record.tenant, record.key_id = connection.route, connection.tenant, connection.key_id
        if self._tracer is not None:
            record.trace = self._tracer.begin(headers, path)
        if self.log_prompts:
            record.bodies = Bodies(_nothing, _nothing)
        return record


async def _nothing(*_: Any) -> Any:
    """Be the ASGI of what has none."""


class _Answer:
    """`send` of one request, which adds the request's id to the answer."""

    __slots__ = ("_record", "_send", "_state")

    def __init__(self, record: Record, send: Send, state: Draining) -> None:
        self._record = record
        self._send = send
        self._state = state

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            record = self._record
            record.status = record.status or message["status"]
            headers = [*message.get("headers", ()), *record.headers, (b"x-request-id", record.request_id.encode())]
            if self._state.draining:
                headers.append((b"connection", b"close"))
            message["headers"] = headers
        return self._send(message)


class _Handshake:
    """`send` of a WebSocket, in which a refusal is an answer in HTTP, as of a request; with `end` it is reported."""

    __slots__ = ("_answers", "_path", "_record", "_send", "_told")

    def __init__(self, record: Record, send: Send, scope: Scope) -> None:
        self._record = record
        self._send = send
        self._path: str = scope["path"]
        self._answers = "websocket.http.response" in (scope.get("extensions") or {})
        self._told = False

    async def __call__(self, message: Message) -> None:
        kind = message["type"]
        if kind in ("websocket.accept", "http.response.start"):
            self._record.status = message.get("status", SWITCHED)
            request_id = (b"x-request-id", self._record.request_id.encode())
            message["headers"] = [*message.get("headers", ()), *self._record.headers, request_id]
        if kind.startswith("http."):
            if not self._answers:
                if kind == "http.response.body":
                    await self._send({"type": "websocket.close"})
                return
            message = {**message, "type": f"websocket.{kind}"}
        await self._send(message)
        if kind == "websocket.accept":
            self.end()

    def end(self) -> None:
        """Report the handshake, if that has not been done."""
        if not self._told:
            self._told = True
            self._record.status = self._record.status or REFUSED
            report(self._record, HANDSHAKE, self._path, self._record.route)


def _request_id(headers: list[tuple[bytes, bytes]]) -> str:
    for name, value in headers:
        if name == b"x-request-id":
            if _SANE_ID.fullmatch(value):
                return value.decode()
            break
    return f"{getrandbits(128):032x}"  # no secret, and asking the kernel took a tenth of a request's time


def report(record: Record, method: str, path: str, route: str) -> None:
    """Report a request that has ended; `route` is its path as metrics know it."""
    seconds = perf_counter() - record.started
    _latency[route, record.status].observe(seconds)
    if record.model is not None:
        _observe(record, record.model, seconds)
    if record.trace is not NO_TRACE:
        record.trace.end(method, route, record.status, _attributes(record))
    if logs.enabled(logging.DEBUG if path in QUIET_PATHS else logging.INFO):
        logs.write_request(_fields(record, seconds, method, path))


def _observe(record: Record, model: str, seconds: float) -> None:
    """Count what an engine was asked and answered."""
    prompt, completion = record.prompt_tokens, record.completion_tokens
    if prompt or completion:
        tenant = _tenant(record)
        _tokens[tenant, model, "prompt"].inc(prompt)
        _tokens[tenant, model, "completion"].inc(completion)
    if record.first_byte is not None:
        _first_token[model].observe(record.first_byte)
        if completion > 1:
            _output_token[model].observe((seconds - record.first_byte) / (completion - 1))


def _tenant(record: Record) -> str:
    tenant = record.tenant or "anonymous"
    if tenant not in _tenants:
        if len(_tenants) >= MAX_TENANTS:
            return OTHER
        _tenants.add(tenant)
    return tenant


def _fields(record: Record, seconds: float, method: str, path: str) -> dict[str, Any]:
    """Return the log line; what a request had nothing to do with is left out."""
    fields: dict[str, Any] = {
        "event": "request",
        "request_id": record.request_id,
        "method": method,
        "path": path,
        "status": record.status,
        "duration_ms": _ms(seconds),
        "level": "info",
        "time": datetime.now(UTC),
    }
    if record.tenant is not None:
        fields["tenant"], fields["key_id"] = record.tenant, record.key_id
    if record.model is not None:
        _add_answer(fields, record)
    if record.error:
        fields["error"] = record.error
    if record.trace.id:
        fields["trace_id"] = record.trace.id
    if record.bodies is not None:
        fields["request_body"] = record.bodies.request.decode(errors="replace")
        fields["answer_body"] = record.bodies.answer.decode(errors="replace")
    return fields


def _add_answer(fields: dict[str, Any], record: Record) -> None:
    fields["model"], fields["stream"], fields["upstream"] = record.model, record.stream, record.upstream
    if record.completion_tokens or record.prompt_tokens:
        fields["prompt_tokens"], fields["completion_tokens"] = record.prompt_tokens, record.completion_tokens
    if record.first_byte is not None:
        fields["first_byte_ms"] = _ms(record.first_byte)
    if record.engine_seconds:
        fields["engine_ms"] = _ms(record.engine_seconds)
    if record.queue_seconds:
        fields["queue_ms"] = _ms(record.queue_seconds)
    if record.tool_calls:
        fields["tools_ms"], fields["tool_calls"] = _ms(record.tool_seconds), record.tool_calls


def _attributes(record: Record) -> dict[str, Any]:
    return {
        "gen_ai.request.model": record.model,
        "gen_ai.usage.input_tokens": record.prompt_tokens or None,
        "gen_ai.usage.output_tokens": record.completion_tokens or None,
        "error.type": record.error,
        "tandem.request_id": record.request_id,
        "tandem.tenant": record.tenant,
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
