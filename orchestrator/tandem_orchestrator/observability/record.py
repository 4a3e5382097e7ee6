"""One record a request: who asked for what, how it ended; written as one log line and as metrics."""

import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tandem_orchestrator.observability.metrics import (
    REQUEST_LATENCY,
    REQUESTS_IN_FLIGHT,
    TIME_TO_FIRST_TOKEN,
    TOKENS,
)

QUIET_PATHS = frozenset({"/live", "/ready", "/metrics"})
CLIENT_LEFT = 499
_SANE_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")

log = structlog.get_logger()


@dataclass(slots=True)
class Record:
    """What is known about a request while it runs. Holds no prompt and no answer."""

    request_id: str
    status: int = 0
    model: str | None = None
    stream: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    tool_calls: list[str] = field(default_factory=list)
    error: str | None = None
    started: float = field(default_factory=perf_counter)
    first_byte: float | None = None
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Goes out with the answer, whoever writes it: the request's id, the limits of its key."""

    def count_usage(self, usage: Any) -> None:
        """Adds an OpenAI `usage` object; anything else adds nothing."""
        if isinstance(usage, dict):
            self.prompt_tokens += usage.get("prompt_tokens") or 0
            self.completion_tokens += usage.get("completion_tokens") or 0

    def mark_first_byte(self) -> None:
        """Notes when a stream's first byte went out."""
        if self.first_byte is None:
            self.first_byte = perf_counter() - self.started


def record_of(scope: Scope) -> Record:
    """The record of the request that `scope` describes."""
    record: Record = scope["state"]["record"]
    return record


class Recorded:
    """ASGI application around another: gives each request an id and a record, and reports it at its end.

    `draining` is asked for each answer; while it says so, clients are told to open their next connection elsewhere.
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
        record.headers.append((b"x-request-id", record.request_id.encode()))
        scope.setdefault("state", {})["record"] = record
        REQUESTS_IN_FLIGHT.inc()
        try:
            await self._app(scope, receive, self._sender(record, send))
        finally:
            REQUESTS_IN_FLIGHT.dec()
            _report(record, scope)

    def _sender(self, record: Record, send: Send) -> Callable[[Message], Awaitable[None]]:
        async def tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = record.status or message["status"]
                headers = [*message.get("headers", ()), *record.headers]
                if self._draining():
                    headers.append((b"connection", b"close"))
                message["headers"] = headers
            await send(message)

        return tagged


def _request_id(headers: list[tuple[bytes, bytes]]) -> str:
    for name, value in headers:
        if name == b"x-request-id":
            if _SANE_ID.fullmatch(value):
                return value.decode()
            break
    return os.urandom(16).hex()


def _report(record: Record, scope: Scope) -> None:
    seconds = perf_counter() - record.started
    path = scope["path"]
    route = getattr(scope.get("route"), "path", None) or scope["state"].get("route", "other")
    REQUEST_LATENCY.labels(route, str(record.status)).observe(seconds)
    model = record.model or "unknown"
    if record.first_byte is not None:
        TIME_TO_FIRST_TOKEN.labels(model).observe(record.first_byte)
    if record.prompt_tokens:
        TOKENS.labels(model, "prompt").inc(record.prompt_tokens)
    if record.completion_tokens:
        TOKENS.labels(model, "completion").inc(record.completion_tokens)
    fields: dict[str, Any] = {
        "request_id": record.request_id,
        "method": scope["method"],
        "path": path,
        "status": record.status,
        "duration_ms": round(seconds * 1000, 2),
    }
    if record.model is not None:
        fields.update(
            model=record.model,
            stream=record.stream,
        )
    if record.completion_tokens:
        fields.update(prompt_tokens=record.prompt_tokens, completion_tokens=record.completion_tokens)
    if record.first_byte is not None:
        fields["first_byte_ms"] = round(record.first_byte * 1000, 2)
    if record.tool_calls:
        fields["tool_calls"] = record.tool_calls
    if record.error:
        fields["error"] = record.error
    if path in QUIET_PATHS:
        log.debug("request", **fields)
    else:
        log.info("request", **fields)
