"""One record a request: who asked for what, how it ended; written as one log line and as metrics."""

import logging
import os
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tandem_orchestrator.observability import logs
from tandem_orchestrator.observability.metrics import (
    ENGINE_SECONDS,
    QUEUE_SECONDS,
    REQUEST_LATENCY,
    REQUESTS_IN_FLIGHT,
    TIME_PER_OUTPUT_TOKEN,
    TIME_TO_FIRST_TOKEN,
    TOKENS,
    TOOL_SECONDS,
    Labelled,
)
from tandem_orchestrator.observability.trace import NO_TRACE, Span, Trace

QUIET_PATHS = frozenset({"/live", "/ready", "/metrics"})
CLIENT_LEFT = 499
MAX_TENANTS = 1000  # as metric labels; further ones are counted together
OTHER = "other"
_SANE_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")

_latency = Labelled(REQUEST_LATENCY)
_first_token = Labelled(TIME_TO_FIRST_TOKEN)
_output_token = Labelled(TIME_PER_OUTPUT_TOKEN)
_queue = Labelled(QUEUE_SECONDS)
_engine = Labelled(ENGINE_SECONDS)
_tool = Labelled(TOOL_SECONDS)
_tokens = Labelled(TOKENS)
_tenants: set[str] = set()


class Record:
    """What is known about a request while it runs. Holds no prompt and no answer.

    What is not set keeps the value of the class, so that a record costs little to make.
    """

    status = 0
    route = OTHER
    """Path of the endpoint as metrics know it; never a client's word."""
    model: str | None = None
    """Only names from the configuration or the engines' own lists: it is a metric label."""
    upstream: str | None = None
    tenant: str | None = None
    key_id: str | None = None
    stream = False
    prompt_tokens = 0
    completion_tokens = 0
    error: str | None = None
    first_byte: float | None = None
    """Seconds from the start, as the three below."""
    queue_seconds = 0.0
    engine_seconds = 0.0
    tool_seconds = 0.0
    trace: Trace = NO_TRACE
    headers: Sequence[tuple[bytes, bytes]] = ()
    """Go out with the answer, whoever writes it: the state of the key's limits."""

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.started = perf_counter()
        self.tool_calls: list[str] = []

    def count_usage(self, usage: Any) -> None:
        """Adds an OpenAI `usage` object; anything else adds nothing."""
        if isinstance(usage, dict):
            self.prompt_tokens += usage.get("prompt_tokens") or 0
            self.completion_tokens += usage.get("completion_tokens") or 0

    def mark_first_byte(self) -> None:
        """Notes when a stream's first byte went out."""
        if self.first_byte is None:
            self.first_byte = perf_counter() - self.started

    def queued(self, seconds: float) -> None:
        """Notes a wait for an engine."""
        self.queue_seconds += seconds
        _queue[self.model or OTHER].observe(seconds)

    def engine_pass(self, upstream: str) -> "EnginePass":
        """Begins one request to an engine, each attempt being one."""
        self.upstream = upstream
        return EnginePass(self, self.trace.engine_pass(upstream, self.model), upstream)

    def tool(self, name: str, call_id: str) -> "ToolRun":
        """Begins one call of a server-side tool; `name` is one of the toolbox, a metric label too."""
        return ToolRun(self, self.trace.tool(name, call_id), name)


class EnginePass:
    """One request to an engine: timed, and a span where traces are on. `with` ends it, or a call of `end`."""

    __slots__ = ("_ended", "_record", "_started", "_upstream", "span")

    def __init__(self, record: Record, span: Span, upstream: str) -> None:
        self._record = record
        self._upstream = upstream
        self._started = perf_counter()
        self._ended = False
        self.span = span

    def count_usage(self, usage: Any) -> None:
        """Adds the pass's `usage` object to the request's, and to the span."""
        self._record.count_usage(usage)
        if isinstance(usage, dict):
            self.span.set("gen_ai.usage.input_tokens", usage.get("prompt_tokens"))
            self.span.set("gen_ai.usage.output_tokens", usage.get("completion_tokens"))

    def end(self, error: BaseException | None = None) -> None:
        """The answer is there, or has failed; a second call does nothing."""
        if not self._ended:
            self._ended = True
            seconds = perf_counter() - self._started
            self._record.engine_seconds += seconds
            _engine[self._upstream].observe(seconds)
            self.span.end(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self.end(error)


class ToolRun:
    """One call of a tool, timed and traced like an `EnginePass`; `with` ends it."""

    __slots__ = ("_name", "_record", "_started", "span")

    def __init__(self, record: Record, span: Span, name: str) -> None:
        self._record = record
        self._name = name
        self._started = perf_counter()
        self.span = span

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        seconds = perf_counter() - self._started
        self._record.tool_seconds += seconds
        _tool[self._name].observe(seconds)
        self.span.end(error)


def record_of(scope: Scope) -> Record:
    """The record of the request that `scope` describes."""
    record: Record = scope["state"]["record"]
    return record


class Recorded:
    """ASGI application around another: gives each request an id and a record, and reports it at its end.

    `draining` is asked for each request; while it says so, clients are told to open their next connection elsewhere.
    """

    def __init__(self, app: ASGIApp, draining: Callable[[], bool]) -> None:
        self._app = app
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = Record(_request_id(scope["headers"]))
        scope.setdefault("state", {})["record"] = record
        REQUESTS_IN_FLIGHT.inc()
        try:
            await self._app(scope, receive, _Answer(record, send, self._draining))
        finally:
            REQUESTS_IN_FLIGHT.dec()
            _report(record, scope)


class _Answer:
    """`send` of one request, which adds the request's id to the answer."""

    __slots__ = ("_draining", "_record", "_send")

    def __init__(self, record: Record, send: Send, draining: Callable[[], bool]) -> None:
        self._record = record
        self._send = send
        self._draining = draining

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            record = self._record
            record.status = record.status or message["status"]
            headers = [*message.get("headers", ()), *record.headers, (b"x-request-id", record.request_id.encode())]
            if self._draining():
                headers.append((b"connection", b"close"))
            message["headers"] = headers
        return self._send(message)


def _request_id(headers: list[tuple[bytes, bytes]]) -> str:
    for name, value in headers:
        if name == b"x-request-id":
            if _SANE_ID.fullmatch(value):
                return value.decode()
            break
    return os.urandom(16).hex()


def _report(record: Record, scope: Scope) -> None:
    seconds = perf_counter() - record.started
    route = scope.get("route")
    _observe(record, seconds, record.route if route is None else route.path)
    path = scope["path"]
    level = logging.DEBUG if path in QUIET_PATHS else logging.INFO
    if logs.enabled(level):
        logs.write_request(_fields(record, seconds, scope["method"], path))


def _observe(record: Record, seconds: float, route: str) -> None:
    _latency[route, str(record.status)].observe(seconds)
    model = record.model
    if model is None:
        return
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
    if record.error:
        fields["error"] = record.error
    return fields


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
