"""One keep-alive HTTP/1.1 connection to an engine; it carries one exchange at a time."""

import asyncio
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol, cast

import httptools
from tandem_contract.config import Timeouts

from tandem_orchestrator.errors import Cut, EngineError, Malformed, TimedOut
from tandem_orchestrator.transport.outbox import outbox_of

STALE_SECONDS = 1.0  # a kept connection that ends so soon, without a byte, may have been closed before the request
APART_ABOVE: Final = 65_536  # bytes of a body that are dearer to copy behind their head than to send by themselves
PAUSE_ABOVE: Final = 262_144  # bytes of an answer that wait for a slow client before the engine is made to wait


class LongBody(Protocol):
    """A request's body that is not held in memory; each attempt reads it anew."""

    size: int
    """Bytes."""

    async def piece(self, at: int) -> bytes:
        """Return some of the bytes from position `at` on."""
        ...


class Response:
    """An engine's answer while it arrives. `close()` must follow, whatever happened."""

    __slots__ = (
        "_buffered",
        "_chunks",
        "_connection",
        "_pass_on",
        "_waiter",
        "complete",
        "error",
        "headers",
        "news",
        "status",
    )

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._chunks: list[bytes] = []
        self._buffered = 0
        self.complete = False
        self.error: EngineError | None = None
        """What broke the answer off."""
        self._waiter: asyncio.Future[None] | None = None
        self._pass_on: Callable[[bytes], bool] | None = None
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.news = False
        """True once something came that whoever waits has not been told of."""

    async def started(self) -> None:
        """Wait for status and headers; close the answer if they never come."""
        try:
            while not (self.status or self.error):
                await self.wait()
        except BaseException:
            self.close()
            raise
        if not self.status and self.error:
            self.close()
            raise self.error

    async def begun(self, beyond: int = 0) -> bytes:
        """Return the body as soon as more than `beyond` bytes of it are there, or all; it stays for `read`."""
        while self._buffered <= beyond and not self.complete:
            if self.error:
                raise self.error
            await self.wait()
        return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)

    async def read(self, pass_on: Callable[[bytes], bool] | None = None) -> bytes:
        """Return the next bytes of the body, b"" at its end; raises `EngineError` when the end never came.

        While it waits, `pass_on` is offered each piece as it arrives; those that it takes, by returning true, are not
        returned. So a token needs no turn of the task that reads.
        """
        while not self._chunks:
            if self.complete:
                return b""
            if self.error:
                raise self.error
            self._pass_on = pass_on
            await self.wait()
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._buffered = 0
        if self._connection.paused:
            self._connection.resume()
        return data

    async def read_all(self, limit: int) -> bytes:
        """Return the whole body, which may have `limit` bytes."""
        if self.complete and self._buffered <= limit:  # as most answers are that fit into one packet
            return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        pieces, size = [], 0
        while data := await self.read():
            pieces.append(data)
            size += len(data)
            if size > limit:
                raise Malformed(f"the engine's answer is longer than {limit} bytes")
        return b"".join(pieces)

    def close(self) -> None:
        """Give the connection back if the answer is complete, else cut it, which aborts the engine's work."""
        self._connection.finish(self, reusable=self.complete)

    def wait(self) -> asyncio.Future[None]:
        """Return what to await until something new is there."""
        self.news = False
        self._waiter = waiter = self._connection.loop.create_future()
        return waiter

    def wake(self) -> None:
        """Wake whoever waits."""
        self._pass_on = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def feed(self, data: bytes) -> bool:
        """Take a piece of the body; true when so much waits that reading should pause."""
        pass_on = self._pass_on
        if self.complete or (pass_on is not None and pass_on(data)):
            return False
        self._chunks.append(data)
        self._buffered += len(data)
        self._pass_on = None  # or what comes next would overtake what is to be read
        self.news = True
        return self._buffered > PAUSE_ABOVE

    def fail(self, error: EngineError) -> None:
        """End the answer with `error`, if it is not complete."""
        if not self.complete and self.error is None:
            self.error = error
            self.wake()


class Connection:
    """An asyncio protocol that speaks HTTP/1.1 with an engine.

    `on_idle` and `on_lost` tell its pool when it is free or gone.
    """

    def __init__(self, on_idle: Callable[["Connection"], None], on_lost: Callable[["Connection"], None]) -> None:
        self.loop = asyncio.get_running_loop()
        self._outbox = outbox_of(self.loop)
        self._on_idle = on_idle
        self._on_lost = on_lost
        self._parser = httptools.HttpResponseParser(self)
        self._response: Response | None = None
        self._headers: dict[bytes, bytes] = {}
        self._timeouts: Timeouts
        self._keep_alive = False
        self._answered = False
        self._kept = False
        self.paused = False
        """True while the engine is made to wait for a slow client."""
        self._full = False
        """True while the engine does not take what is written."""
        self._sent = True
        """False while a body is only there in part."""
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    @property
    def usable(self) -> bool:
        """True while a new exchange may start."""
        return self._transport is not None and not self._transport.is_closing() and self._response is None

    def exchange(self, head: bytes, body: bytes, timeouts: Timeouts) -> Response:
        """Send a request; the answer may be awaited on what this returns."""
        assert self._transport is not None  # noqa: S101 # `usable` came first
        self._response = response = Response(self)
        self._answered = False
        self._sent = True
        self._timeouts = timeouts
        self._expect_within(timeouts.first_byte_seconds)
        if len(body) > APART_ABOVE:
            self._outbox.write(self._transport, head)
            self._outbox.write(self._transport, body)
        else:
            self._outbox.write(self._transport, head + body)
        return response

    async def send_rest(self, response: Response, body: LongBody) -> None:
        """Send a body behind its head, piece by piece as the engine takes it; no further once the engine answers."""
        self._sent = False
        at = 0
        while at < body.size and not (response.status or response.error):
            piece = await body.piece(at)
            if self._transport is None or not piece:
                return
            self._outbox.write(self._transport, piece)
            at += len(piece)
            self._expect_within(self._timeouts.first_byte_seconds)
            while self._full and not (response.status or response.error):
                await response.wait()
        self._sent = at >= body.size

    def pause_writing(self) -> None:
        """asyncio: enough is written for now."""
        self._full = True

    def resume_writing(self) -> None:
        """asyncio: more may be written."""
        self._full = False
        if self._response is not None:
            self._response.wake()

    def resume(self) -> None:
        """Let the engine go on after its client caught up."""
        if self.paused and self._transport is not None:
            self.paused = False
            self._expect_within(self._timeouts.idle_seconds)
            self._transport.resume_reading()

    def finish(self, response: Response, *, reusable: bool) -> None:
        """End an exchange; a second call for the same one does nothing."""
        if self._response is not response:
            return
        self._response = None
        if self.paused:
            self.resume()
        transport = self._transport
        if reusable and self._keep_alive and self._sent and transport is not None and not transport.is_closing():
            self._kept = True
            self._on_idle(self)
        else:
            self.abort()

    def abort(self) -> None:
        """Close the connection without waiting for anything."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the connection is open."""
        self._transport = cast("asyncio.Transport", transport)
        _acknowledge_less(transport)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came."""
        response = self._response
        if response is None:
            self.abort()  # an engine speaks only when it is asked
            return
        first = not self._answered
        self._answered = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(Malformed(f"the engine does not speak HTTP: {error}"))
        except httptools.HttpParserUpgrade:
            self._fail(Malformed("the engine goes over to another protocol"))
        if response.news:
            response.wake()
        if response.complete or response.error:
            return  # nothing more is expected
        if first:
            self._expect_within(self._timeouts.idle_seconds)
        else:
            self._deadline = self.loop.time() + self._timeouts.idle_seconds  # later than the timer's, which will look

    def eof_received(self) -> None:
        """asyncio: the engine sends no more, which ends the connection."""

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the connection is gone."""
        response = self._response
        if response is not None:
            if exc is None and response.status and self._until_close():
                response.complete = True
                response.wake()
            error = Cut("the engine closed the connection before its answer was complete")
            error.stale = self._kept and not self._answered and self._age() < STALE_SECONDS
            response.fail(error)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._transport = None
        self._on_lost(self)

    def on_message_begin(self) -> None:
        """httptools: an answer begins."""
        if self._response is not None and self._response.complete:
            self.abort()  # a second answer to one request
        self._headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: one header."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """httptools: the body follows."""
        status = self._parser.get_status_code()
        if self._response is not None and not self._response.status and status >= 200:  # noqa: PLR2004 # 1xx only announces the answer
            self._response.headers = self._headers
            self._response.status = status
            self._response.news = True

    def on_body(self, data: bytes) -> None:
        """httptools: a piece of the body."""
        if self._response is not None and self._response.feed(data) and not self.paused:
            self.paused = True
            if self._transport is not None:
                self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """httptools: the answer is complete."""
        if self._response is not None and self._response.status:
            self._keep_alive = self._parser.should_keep_alive()
            self._response.complete = self._response.news = True

    def _age(self) -> float:
        """Return seconds since a request that has no answer yet was sent."""
        return self.loop.time() - self._deadline + self._timeouts.first_byte_seconds

    def _until_close(self) -> bool:
        return b"content-length" not in self._headers and b"transfer-encoding" not in self._headers

    def _fail(self, error: EngineError) -> None:
        if self._response is not None:
            self._response.fail(error)
        self.abort()

    def _expect_within(self, seconds: float) -> None:
        self._deadline = self.loop.time() + seconds
        if self._timer is None or self._timer.when() > self._deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_at(self._deadline, self._check_deadline)

    def _check_deadline(self) -> None:
        # One timer outlives many exchanges: moving a deadline costs an assignment, not a timer.
        self._timer = None
        if self._response is None:
            return
        if self.paused:
            self._expect_within(self._timeouts.idle_seconds)
        elif self.loop.time() < self._deadline:
            self._timer = self.loop.call_at(self._deadline, self._check_deadline)
        else:
            self._fail(self._timed_out())

    def _timed_out(self) -> TimedOut:
        limits = self._timeouts
        if self._answered:
            return TimedOut(
                f"the engine went silent in the middle of its answer (timeouts.idleSeconds: {limits.idle_seconds:g})",
                phase="idle",
            )
        return TimedOut(
            f"the engine did not begin to answer in time (timeouts.firstByteSeconds: {limits.first_byte_seconds:g})",
            phase="first_byte",
        )


def _acknowledge_less(transport: asyncio.BaseTransport) -> None:
    """Have Linux not answer each token that is read with a packet of its own, which took 3 % of a token's CPU."""
    connected = transport.get_extra_info("socket")
    if sys.platform == "linux" and connected is not None:
        with suppress(OSError):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
