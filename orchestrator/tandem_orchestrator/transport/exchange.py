"""A client's request and its answer on the wire: the server's side of ASGI, where an answer leaves in one piece."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from starlette.types import ASGIApp, Message
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from tandem_orchestrator.errors import InternalError, send_error
from tandem_orchestrator.transport.outbox import Outbox
from tandem_orchestrator.transport.served import EXCHANGE, Served

WITHOUT_BODY: Final = frozenset({204, 304})
GO_ON: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNK: Final = b"%x\r\n%b\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"

log = structlog.get_logger()


@dataclass(slots=True)
class Wire:
    """What the exchanges of a connection write to."""

    transport: asyncio.Transport
    flow: FlowControl
    outbox: Outbox
    server: ServerState


class Exchange(Served):
    """One request. `completed` is called when its answer is complete.

    The head of an answer is held back until its first body message, as ASGI asks of servers: apart they cost a second
    system call, and a client that is woken twice.
    """

    __slots__ = (
        "_chunked",
        "_completed",
        "_expects_go_ahead",
        "_flows",
        "_head",
        "_keep_alive",
        "_leave",
        "_more_body",
        "_news",
        "_pieces",
        "_remaining",
        "_size",
        "_task",
        "_waiting",
        "_wire",
        "begun",
        "complete",
        "disconnected",
        "scope",
    )

    def __init__(
        self,
        scope: dict[str, Any],
        wire: Wire,
        completed: Callable[[], None],
        *,
        keep_alive: bool,
        expects_go_ahead: bool,
    ) -> None:
        self.scope = scope
        self.begun = False
        """True once the head of the answer is made."""
        self.complete = False
        """True once the whole answer is written."""
        self.disconnected = False
        """True once the client has gone before that."""
        self._wire = wire
        self._completed = completed
        self._keep_alive = keep_alive
        self._expects_go_ahead = expects_go_ahead
        self._pieces: list[bytes] = []
        self._size = 0
        self._more_body = True
        self._news = False
        self._waiting: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None
        self._leave: Callable[[], None] | None = None
        self._head = b""
        self._chunked: bool | None = None
        self._remaining = 0
        self._flows = False
        scope["state"][EXCHANGE] = self

    def start(self, app: ASGIApp, loop: asyncio.AbstractEventLoop) -> None:
        """Have `app` answer; where it fails, the client gets a 500, or a connection that is cut."""
        self._task = loop.create_task(self._run(app))
        self._wire.server.tasks.add(self._task)
        self._wire.outbox.under_way += 1

    async def _run(self, app: ASGIApp) -> None:
        try:
            await app(self.scope, self.receive, self.send)
        except BaseException:
            log.exception("request failed", path=self.scope["path"])
        if not (self.complete or self.disconnected):
            await self._give_up()
        # What refers to this exchange is dropped: left to the collector of garbage, it cost a tenth of a request's CPU.
        self.scope["state"].clear()
        self._wire.outbox.under_way -= 1
        if self._task is not None:
            self._wire.server.tasks.discard(self._task)  # a callback of the task would cost a turn of the loop
            self._task = None

    async def _give_up(self) -> None:
        log.error("the application did not complete its answer", path=self.scope["path"])
        if self.begun:
            self._wire.transport.close()
        else:
            await send_error(self.send, InternalError())

    def feed(self, piece: bytes) -> None:
        """Take a piece of the request's body."""
        if not self.complete:
            self._pieces.append(piece)
            self._size += len(piece)
            if self._size > HIGH_WATER_LIMIT:
                self._wire.flow.pause_reading()
            self._news = True
            if self._waiting is not None:
                self._waiting.set()

    def end(self) -> None:
        """Note that the request's body is complete."""
        self._more_body = False
        self._news = True
        if self._waiting is not None:
            self._waiting.set()

    def take_body(self) -> bytes | None:
        """See `Served`. Most bodies come along with their headers, and `receive` would take a coroutine for each."""
        if self._more_body or self._expects_go_ahead or self.disconnected or self.complete:
            return None
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        self._news = False
        return body

    def cut(self) -> None:
        """Note that the client has gone."""
        if not (self.complete or self.disconnected):
            self.disconnected = True
            if self._leave is not None:
                self._leave()
        self._tell()

    def close_after(self) -> None:
        """End the connection with this answer."""
        self._keep_alive = False

    def on_leave(self, leave: Callable[[], None] | None) -> None:
        """See `Served`.

        ASGI would have somebody wait in `receive` for it, which a profile showed among the dearest duties of a request.
        """
        self._leave = leave
        if leave is not None:
            self._wire.flow.resume_reading()  # after a large body; or nobody would hear of it
            if self.disconnected:
                leave()

    def send_at_once(self, body: bytes) -> bool:
        """See `Served`. Not past the outbox, where earlier pieces may wait."""
        if not self._flows or self.disconnected or self._wire.flow.write_paused:
            return False
        self._wire.outbox.write(self._wire.transport, CHUNK % (len(body), body))
        return True

    async def receive(self) -> Message:
        """ASGI."""
        if self._expects_go_ahead:
            self._expects_go_ahead = False
            if not self.begun and not self._wire.transport.is_closing():
                self._wire.outbox.write(self._wire.transport, GO_ON)
        if not (self.disconnected or self.complete):
            self._wire.flow.resume_reading()
            while not self._news:
                await self._something_new()
            self._news = False
        if self.disconnected or self.complete:
            return {"type": "http.disconnect"}
        body = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        return {"type": "http.request", "body": body, "more_body": self._more_body}

    async def send(self, message: Message) -> None:
        """ASGI."""
        if self._wire.flow.write_paused and not self.disconnected:
            await self._wire.flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if kind == "http.response.body" and self.begun and not self.complete:
            self._go_on(message.get("body", b""), message.get("more_body", False))
        elif kind == "http.response.start" and not self.begun:
            self._start(message["status"], message.get("headers", ()))
        else:
            raise RuntimeError(f"{kind!r} is out of order")

    def _start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.begun = True
        if self._expects_go_ahead:
            self._keep_alive = False  # whether the body still comes, only the client knows
        lines = [STATUS_LINE[status]]
        for header in (*self._wire.server.default_headers, *headers):
            name, value = header
            if name == b"content-length":
                self._remaining = int(value)
                self._chunked = False
            elif name == b"connection" and value.lower() == b"close":
                self._keep_alive = False
                continue
            lines.append(b"%b: %b\r\n" % header)
        if not self._keep_alive:
            lines.append(b"connection: close\r\n")
        if self._chunked is None and self.scope["method"] != "HEAD" and status not in WITHOUT_BODY:
            self._chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
        head = b"".join(lines)
        if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines):
            raise RuntimeError("a header of the answer has a line break in it")
        self._head = head + b"\r\n"

    def _go_on(self, body: bytes, more: bool) -> None:  # noqa: FBT001 # a name costs on each token
        if self.scope["method"] == "HEAD":
            self._remaining, body = 0, b""
        elif self._chunked:
            body = CHUNK % (len(body), body) if body else b""
            self._flows = more
            if not more:
                body += LAST_CHUNK
        else:
            self._remaining -= len(body)
            if self._remaining < 0 or (self._remaining and not more):
                raise RuntimeError("the answer's body is not as long as its content-length")
        if self._head:
            body, self._head = self._head + body, b""
        if body:
            self._wire.outbox.write(self._wire.transport, body)
        if not more:
            self.complete = self._news = True
            if self._waiting is not None:
                self._waiting.set()
            if not self._keep_alive:
                self._wire.outbox.flush()
                self._wire.transport.close()
            self._completed()

    def _tell(self) -> None:
        """Wake who waits in `receive`."""
        self._news = True
        if self._waiting is not None:
            self._waiting.set()

    async def _something_new(self) -> None:
        if self._waiting is None:
            self._waiting = asyncio.Event()
        self._waiting.clear()
        await self._waiting.wait()
