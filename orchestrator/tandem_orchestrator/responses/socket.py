"""/v1/responses as a WebSocket: one response after the other, as the Open Responses standard (2026-04-24) has it.

A browser cannot send a key with a WebSocket. So that no page uses this service in its visitor's name, one that is of
another origin is refused where nobody showed a key; and always, where `server.cors` says which origins there are.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import structlog
from starlette.types import Message, Receive, Scope, Send
from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.auth.keys import NOBODY
from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.errors import (
    BadRequest,
    ClientLeft,
    Forbidden,
    GatewayError,
    InternalError,
    LimitExceeded,
    NotFound,
    ShuttingDown,
    Unauthorized,
    send_error,
)
from tandem_orchestrator.gateway.admission import Admission
from tandem_orchestrator.gateway.hot_path import HotPath
from tandem_orchestrator.gateway.request import LARGE, Deadlines, Headers, json_object, weigh
from tandem_orchestrator.gateway.watch import ClientWatch
from tandem_orchestrator.limits.limiter import Ticket
from tandem_orchestrator.observability.metrics import REQUESTS_IN_FLIGHT
from tandem_orchestrator.observability.record import CLIENT_LEFT, MAX_LOGGED_BODY, Record, record_of
from tandem_orchestrator.observability.recorded import HANDSHAKE, Recorded, report
from tandem_orchestrator.responses.asker import Asker
from tandem_orchestrator.responses.memory import BOUND, Memories
from tandem_orchestrator.responses.messages import (
    MOST_WAITING,
    NOT_FOUND,
    Waiting,
    create_in,
    envelope,
    frames,
    is_foreign,
    parent_of,
)
from tandem_orchestrator.responses.preparation import Preparation
from tandem_orchestrator.responses.service import Responses
from tandem_orchestrator.transport.served import ON_END, Told
from tandem_orchestrator.transport.websocket import PATH

LIFE_SECONDS: Final = 3600.0
OK: Final = 200

log = structlog.get_logger()


class End(Enum):
    """Why a connection ends; the value is the code with which it is closed."""

    LEFT = 1006
    OLD = 1000
    SERVER = 1001
    KEY = 1008
    TOO_BIG = 1009


@dataclass(frozen=True, slots=True)
class Serving:
    """What makes the next response."""

    config: OrchestratorConfig
    admission: Admission
    preparation: Preparation
    responses: Responses
    deadlines: Deadlines
    hot_path: HotPath
    draining: bool


class Sockets:
    """All WebSockets of this process, whatever the configuration."""

    def __init__(self, serving: Callable[[], Serving], recorded: Callable[[], Recorded]) -> None:
        self.serving = serving
        self.recorded = recorded
        self.memories = Memories()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a WebSocket from its handshake to its end: ASGI."""
        try:
            await self._serve(scope, receive, send)
        except OSError:  # the client has gone
            pass
        except Exception:
            log.exception("WebSocket failed", request_id=record_of(scope).request_id)
            raise

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        record = record_of(scope)
        try:
            principal = _checked(scope, record, self.serving())
        except GatewayError as error:
            record.error = str(error.code or error.type)
            await send_error(send, error)
            return
        await receive()  # that it connects
        await send({"type": "websocket.accept"})
        await Connection(self, scope, receive, send, principal.tenant).serve()


def _checked(scope: Scope, record: Record, serving: Serving) -> Principal:
    """Return who opens a WebSocket. Raises `GatewayError`."""
    if scope["path"] != PATH:
        raise NotFound(f"there is no WebSocket under {scope['path']}, but under {PATH}")
    record.route = PATH
    headers = scope["headers"]
    principal = serving.admission.identify(headers, record)
    origins = serving.config.server.cors.allow_origins
    if (origins or principal is NOBODY) and is_foreign(headers, origins):
        raise Forbidden(
            "pages of this origin may not open a WebSocket; server.cors says which may", code="origin_not_allowed"
        )
    if serving.draining:
        raise ShuttingDown("the server is shutting down")
    return principal


class SocketStream:
    """Sends a response's events as frames."""

    def __init__(self, send: Callable[[str, Record], Awaitable[None]], record: Record) -> None:
        self._send = send
        self._record = record

    async def write(self, data: bytes) -> None:
        """Send whole events."""
        self._record.status = self._record.status or OK
        self._record.mark_first_byte()
        for frame in frames(data):
            await self._send(frame, self._record)

    async def heartbeat(self) -> None:
        """Do nothing: pings tell that the connection is alive."""

    async def end(self, data: bytes = b"") -> None:
        """Send the last events."""
        await self.write(data)


class Connection:
    """One WebSocket that was accepted."""

    def __init__(self, sockets: Sockets, scope: Scope, receive: Receive, send: Send, tenant: str) -> None:
        self._serving = sockets.serving
        self._recorded = sockets.recorded()
        self._memory = sockets.memories.begin()
        self._headers: Headers = scope["headers"]
        self._on_end = scope["state"].get(ON_END)
        self._record = record_of(scope)
        self._receive = receive
        self._asgi_send = send
        self._tenant = tenant
        self._client = Told()
        self._sending = asyncio.Lock()
        self._waiting = Waiting()
        self._news = asyncio.Event()
        self._number = 0
        self._end: End | None = None

    async def serve(self) -> None:
        """Answer what comes until the connection ends, and close it."""
        loop = asyncio.get_running_loop()
        if self._on_end is not None:
            self._on_end(lambda: self._stop(End.SERVER))
        age = loop.call_later(LIFE_SECONDS, self._stop, End.OLD)
        reading = loop.create_task(self._read())
        try:
            while await self._may_go_on():
                await self._answer(self._waiting.take())
        except asyncio.CancelledError:  # the server's time is up
            self._stop(End.SERVER)
        finally:
            age.cancel()
            reading.cancel()
            self._memory.clear()
        await self._close()

    async def _may_go_on(self) -> bool:
        """Wait for a message, and return whether it is to be answered."""
        while self._end is None and not self._waiting:
            self._news.clear()
            await self._news.wait()
        if self._end is None and self._serving().draining:
            self._stop(End.SERVER)
        return self._end is None

    def _stop(self, end: End) -> None:
        """Begin no further response."""
        self._end = self._end or end
        self._news.set()

    async def _read(self) -> None:
        try:
            while (message := await self._receive())["type"] != "websocket.disconnect":
                await self._take(message)
        finally:
            self._stop(End.LEFT)
            self._client.leave()

    async def _take(self, message: Message) -> None:
        text = message.get("text")
        body = None if text is None else text.encode()
        most = self._serving().config.limits.max_body_bytes
        if len(body or message.get("bytes") or b"") > most:
            self._stop(End.TOO_BIG)  # for servers that have another bound
            self._client.leave()
        elif self._waiting.add(body, most):
            self._news.set()
        else:
            record = self._begin()
            error = LimitExceeded(
                f"{MOST_WAITING} messages wait on this connection already, or {most} bytes", retry_after=1
            )
            with suppress(ClientLeft):
                await self._fail(error, record)
            report(record, HANDSHAKE, PATH, PATH)

    async def _answer(self, body: bytes | None) -> None:
        """Answer a message, whatever happens."""
        record = self._begin()
        if record.bodies is not None:
            record.bodies.request += (body or b"")[:MAX_LOGGED_BODY]
        REQUESTS_IN_FLIGHT.inc()
        try:
            await self._respond_or_tell(body, record)
        except ClientLeft:
            if record.error is None:
                record.status, record.error = CLIENT_LEFT, "client_left"
        finally:
            REQUESTS_IN_FLIGHT.dec()
            report(record, HANDSHAKE, PATH, PATH)

    async def _respond_or_tell(self, body: bytes | None, record: Record) -> None:
        serving = self._serving()
        try:
            await serving.hot_path.hold(self._respond(body, record, serving))
        except ClientLeft:
            raise
        except GatewayError as error:
            await self._fail(error, record)
            if isinstance(error, Unauthorized):
                self._stop(End.KEY)
        except asyncio.CancelledError:
            self._stop(End.SERVER)
            await self._fail(ShuttingDown("the server is shutting down"), record)
            raise
        except Exception:
            log.exception("request failed", request_id=record.request_id)
            await self._fail(InternalError(), record)

    async def _respond(self, body: bytes | None, record: Record, serving: Serving) -> None:
        """Send the response that a message asks for. Raises `GatewayError`, `ClientLeft`."""
        parent = None
        try:
            principal, ticket = self._admitted(serving, record)
        except GatewayError:
            self._memory.clear()  # which one it was to continue is not looked at
            raise
        try:
            message = await _read(body, serving.config.limits.max_depth)
            parent = parent_of(message)
            with ClientWatch(self._client, serving.deadlines.request):
                await self._make(message, Asker(principal, record, self._headers, self._memory), serving)
        except GatewayError:
            self._forget(parent)
            raise
        finally:
            ticket.settle(record.prompt_tokens + record.completion_tokens)
        if record.error is not None:  # which the stream has told
            self._forget(parent)

    def _admitted(self, serving: Serving, record: Record) -> tuple[Principal, Ticket]:
        principal, ticket = serving.admission.admit(self._headers, record)
        if principal.tenant != self._tenant:
            ticket.settle(0)
            raise Unauthorized("the API key of this connection is another tenant's now")
        return principal, ticket

    async def _make(self, message: dict[str, Any], asker: Asker, serving: Serving) -> None:
        payload, generate = create_in(message)
        create = serving.preparation.create(payload)
        stream = SocketStream(self._send, asker.record)
        try:
            if generate:
                await serving.responses.stream(create, asker, stream)
            else:
                await serving.responses.prepared(create, asker, stream)
        except NotFound as error:
            if error.code != NOT_FOUND:
                raise
            raise NotFound(f"{error.message}; {BOUND}", param=error.param, code=NOT_FOUND) from None

    def _forget(self, parent: str | None) -> None:
        if parent is not None:
            self._memory.forget(parent)

    def _begin(self) -> Record:
        self._number += 1
        return self._recorded.message(self._record, self._number, self._headers, PATH)

    async def _fail(self, error: GatewayError, record: Record) -> None:
        record.status, record.error = error.status, str(error.code or error.type)
        await self._send(envelope(error, record.request_id), record)

    async def _send(self, frame: str, record: Record | None = None) -> None:
        """Send a frame. Raises `ClientLeft`."""
        if record is not None and record.bodies is not None:
            kept = record.bodies.answer
            kept += frame.encode()[: MAX_LOGGED_BODY - len(kept)]
        await self._asgi({"type": "websocket.send", "text": frame})

    async def _asgi(self, message: Message) -> None:
        try:
            async with self._sending:
                await self._asgi_send(message)
        except (OSError, RuntimeError):  # it was closed a moment ago
            raise ClientLeft from None

    async def _close(self) -> None:
        """Say why it ends to who waits for an answer, and close it."""
        end = self._end
        if end is None or end is End.LEFT:
            return
        with suppress(ClientLeft):
            if end is End.OLD:
                await self._send(envelope(_too_old(), self._record.request_id))
            if end is End.SERVER:
                for _ in range(len(self._waiting)):
                    await self._send(envelope(ShuttingDown("the server is shutting down"), self._record.request_id))
            await self._asgi({"type": "websocket.close", "code": end.value})


async def _read(body: bytes | None, max_depth: int) -> dict[str, Any]:
    """Return the JSON of a message. Raises `BadRequest`."""
    if body is None:
        raise BadRequest("a message must be text, in JSON; this one is binary", code="invalid_json")
    if len(body) > LARGE:
        await weigh(body)
    return json_object(body, max_depth)


def _too_old() -> BadRequest:
    return BadRequest(
        f"a connection ends after {LIFE_SECONDS / 60:g} minutes; open another one",
        code="websocket_connection_limit_reached",
    )
