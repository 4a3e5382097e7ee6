"""The ASGI application that keeps a record of every request."""

import re
from collections.abc import Awaitable
from random import getrandbits
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tandem_orchestrator.observability.metrics import REQUESTS_IN_FLIGHT
from tandem_orchestrator.observability.record import Bodies, Record
from tandem_orchestrator.observability.report import QUIET_PATHS, report
from tandem_orchestrator.observability.trace import Tracer

_SANE_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")


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
            await self.app(scope, receive, send)
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
            report(record, scope)


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


def _request_id(headers: list[tuple[bytes, bytes]]) -> str:
    for name, value in headers:
        if name == b"x-request-id":
            if _SANE_ID.fullmatch(value):
                return value.decode()
            break
    return f"{getrandbits(128):032x}"  # no secret, and asking the kernel took a tenth of a request's time
