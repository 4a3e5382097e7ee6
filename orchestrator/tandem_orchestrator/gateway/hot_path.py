"""The endpoints that engines answer, straight on ASGI: from a client's request to the last byte of its answer."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send
from tandem_contract.config import OrchestratorSettings

from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.engines.endpoints import ENDPOINTS, Endpoint
from tandem_orchestrator.error_shape import told
from tandem_orchestrator.errors import (
    ClientLeft,
    GatewayError,
    InternalError,
    ShuttingDown,
    WrongMethod,
    send_error,
)
from tandem_orchestrator.gateway.admission import Admission
from tandem_orchestrator.gateway.event_stream import EventStream, end_with_error
from tandem_orchestrator.gateway.generate import Generator
from tandem_orchestrator.gateway.request import (
    LARGE,
    Deadlines,
    Headers,
    checked,
    json_object,
    read_body,
    too_large,
    weigh,
)
from tandem_orchestrator.gateway.watch import ClientWatch
from tandem_orchestrator.limits.limiter import Ticket
from tandem_orchestrator.observability.record import CLIENT_LEFT, Record, record_of
from tandem_orchestrator.transport.served import EXCHANGE, Served, served

POST: Final = "POST"
JSON_TYPE: Final = (b"content-type", b"application/json")

log = structlog.get_logger()


@dataclass(slots=True)
class Arrived:
    """A request whose body is there, from somebody who may send it."""

    body: bytes
    principal: Principal
    record: Record
    headers: Headers
    exchange: Served
    send: Send
    receive: Receive
    """Brings the body of a request whose answer reads it itself; others have it already."""
    ticket: Ticket
    """What counts it; whoever makes several requests of it may settle it with the first."""


Answer = Callable[[Arrived], Awaitable[None]]
"""Answers a request; raises `GatewayError`."""


class HotPath:
    """ASGI application for `ENDPOINTS` and paths that are added, in front of the `rest`, which it counts too."""

    def __init__(
        self,
        admission: Admission,
        generator: Generator,
        deadlines: Deadlines,
        settings: OrchestratorSettings,
        rest: ASGIApp,
    ) -> None:
        self._admission = admission
        self._generator = generator
        self._deadlines = deadlines
        self._settings = settings
        self._rest = rest
        self._answers: dict[str, Answer] = {
            path: partial(self._answer, endpoint) for path, endpoint in ENDPOINTS.items()
        }
        self._arriving = set[str]()
        self._shared = set[str]()
        self._open = 0
        self._on_unused: Callable[[], None] | None = None

    def add(self, others: Mapping[str, Answer]) -> None:
        """Answer further paths, by what makes requests to engines of others."""
        self._answers.update(others)

    def add_arriving(self, others: Mapping[str, Answer]) -> None:
        """Answer further paths by what reads its requests' bodies, and watches its clients, itself."""
        self._answers.update(others)
        self._arriving.update(others)

    def add_posts(self, others: Mapping[str, Answer]) -> None:
        """Answer POST at further paths, of which the rest answers the other methods."""
        self._answers.update(others)
        self._shared.update(others)

    def retire(self, on_unused: Callable[[], None]) -> None:
        """Have `on_unused` called once no request is open any more: no other one comes."""
        self._on_unused = on_unused
        if not self._open:
            on_unused()

    async def hold(self, work: Awaitable[None]) -> None:
        """Wait for `work`, which counts among the open requests meanwhile."""
        self._open += 1
        try:
            await work
        finally:
            self._open -= 1
            if self._on_unused is not None and not self._open:
                self._on_unused()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        answer = self._answers.get(scope["path"])
        self._open += 1
        try:
            if answer is None or (scope["method"] != POST and scope["path"] in self._shared):
                await self._rest(scope, receive, send)
            else:
                await self._serve(answer, scope, receive, send)
        except ClientLeft:
            record = record_of(scope)
            if not record.told:
                record.status, record.error = CLIENT_LEFT, "client_left"
        except GatewayError as error:
            await _fail(error, scope, send)
        except asyncio.CancelledError:
            await _fail(ShuttingDown("the server is shutting down"), scope, send)
        except Exception:
            record = record_of(scope)
            log.exception("request failed", request_id=record.request_id)
            if record.status:
                raise  # the answer has begun: uvicorn cuts the connection, which the client notices
            await send_error(send, told(InternalError(), scope))
        finally:
            self._open -= 1
            if self._on_unused is not None and not self._open:
                self._on_unused()

    async def _serve(self, answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
        record: Record = scope["state"]["record"]
        record.route = scope["path"]
        if scope["method"] != POST:
            raise WrongMethod(f"{record.route} takes POST, not {scope['method']}", allowed="POST")
        headers = scope["headers"]
        principal, ticket = self._admission.admit(headers, record)
        try:
            exchange = scope["state"].get(EXCHANGE) or served(scope, receive)
            if scope["path"] in self._arriving:
                await answer(Arrived(b"", principal, record, headers, exchange, send, receive, ticket))
                return
            body = await self._read(exchange, receive, record)
            arrived = Arrived(body, principal, record, headers, exchange, send, receive, ticket)
            with ClientWatch(exchange, self._deadlines.request):
                await answer(arrived)
        finally:
            ticket.settle(record.prompt_tokens + record.completion_tokens)

    async def _answer(self, endpoint: Endpoint, arrived: Arrived) -> None:
        request = checked(endpoint, json_object(arrived.body, self._settings.limits.max_depth))
        if len(arrived.body) > LARGE:
            arrived.body = b""  # or it would be held as long as the engine takes
            await asyncio.sleep(0)  # others go on before it is written again
        principal, record, headers = arrived.principal, arrived.record, arrived.headers
        if request.stream:
            stream = EventStream(arrived.exchange, record, arrived.send)
            await self._generator.stream(request, principal, record, headers, stream)
        else:
            whole, _ = await self._generator.whole(request, principal, record, headers)
            await send_json(arrived.send, whole)

    async def _read(self, exchange: Served, receive: Receive, record: Record) -> bytes:
        limits = self._settings.limits
        body = exchange.take_body() if record.bodies is None else None  # a log of bodies sees what is received
        if body is None:
            body = await read_body(receive, limits.max_body_bytes, self._deadlines.body)
        elif len(body) > limits.max_body_bytes:
            raise too_large(limits.max_body_bytes)
        if len(body) > LARGE:
            await weigh(body)
        return body


async def send_json(send: Send, body: bytes) -> None:
    """Answer 200 with JSON."""
    headers = [JSON_TYPE, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _fail(error: GatewayError, scope: Scope, send: Send) -> None:
    record = record_of(scope)
    if record.told:  # nothing is missing but the end
        await send({"type": "http.response.body", "body": b""})
        return
    record.error = str(error.code or error.type)
    error = told(error, scope)
    if not record.status:
        await send_error(send, error)
    elif record.stream:
        record.status = error.status
        await end_with_error(send, error)
