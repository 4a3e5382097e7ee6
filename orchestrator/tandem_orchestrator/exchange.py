"""A client's request and its answer, on the wire: uvicorn's cycle, with an answer that leaves in one piece."""

from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from tandem_orchestrator.outbox import Outbox

ON_LEAVE: Final = "on_leave"
"""In the state of an ASGI scope: `Exchange.on_leave` of its request."""
SEND_AT_ONCE: Final = "send_at_once"
"""In the state of an ASGI scope: `Exchange.send_at_once` of its request, unless somebody is to see every message."""
WITHOUT_BODY = frozenset({204, 304})
CHUNK = b"%x\r\n%b\r\n"
LAST_CHUNK = b"0\r\n\r\n"


class Exchange(RequestResponseCycle):
    """Holds the head of an answer back until its first body message, as ASGI asks of servers.

    uvicorn's own cycle writes head and body apart: a second system call, and a client that is woken twice.
    """

    outbox: Outbox
    """Set by who makes it."""
    _head = b""
    _leave: Callable[[], None] | None = None
    _flows = False

    def on_leave(self, leave: Callable[[], None] | None) -> None:
        """Has `leave` called when the client goes before it is answered, now if it has gone; None takes that back.

        ASGI would have somebody wait in `receive` for it, which a profile showed among the dearest duties of a request.
        """
        self._leave = leave
        if leave is not None:
            self.flow.resume_reading()  # after a large body; or nobody would hear of it
            if self.disconnected:
                leave()

    def left(self) -> None:
        """The client has gone."""
        if self._leave is not None and not self.response_complete:
            self._leave()

    def send_at_once(self, body: bytes) -> bool:
        """Sends a piece of a stream that has begun, in this very call; false when that is for `send` to do.

        Not past the outbox: writes that do not follow one another at once took 2.5 us more of a token's time.
        """
        if not self._flows or self.flow.write_paused or self.disconnected:
            return False
        self.outbox.write(self.transport, CHUNK % (len(body), body))
        return True

    async def send(self, message: Any) -> None:
        """ASGI."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if kind == "http.response.body" and self.response_started and not self.response_complete:
            self._go_on(message.get("body", b""), message.get("more_body", False))
        elif kind == "http.response.start" and not self.response_started:
            self._start(message["status"], message.get("headers", ()))
        else:
            raise RuntimeError(f"{kind!r} is out of order")

    def _start(self, status: int, headers: Any) -> None:
        self.response_started = True
        self.waiting_for_100_continue = False
        lines = [STATUS_LINE[status]]
        for header in (*self.default_headers, *headers):
            name, value = header
            if name == b"content-length":
                self.expected_content_length = int(value)
                self.chunked_encoding = False
            elif name == b"connection" and value.lower() == b"close":
                self.keep_alive = False
                continue
            lines.append(b"%b: %b\r\n" % header)
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and status not in WITHOUT_BODY:
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
        head = b"".join(lines)
        if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines):
            raise RuntimeError("a header of the answer has a line break in it")
        self._head = head + b"\r\n"

    def _go_on(self, body: bytes, more: bool) -> None:  # noqa: FBT001 # a name costs on each token
        if self.scope["method"] == "HEAD":
            self.expected_content_length, body = 0, b""
        elif self.chunked_encoding:
            body = CHUNK % (len(body), body) if body else b""
            self._flows = more
            if not more:
                body += LAST_CHUNK
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0 or (self.expected_content_length and not more):
                raise RuntimeError("the answer's body is not as long as its content-length")
        if self._head:
            self.outbox.write(self.transport, self._head)
            self._head = b""
        if body:
            self.outbox.write(self.transport, body)
        if not more:
            self._complete()

    def _complete(self) -> None:
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.outbox.flush()
            self.transport.close()
        self.on_response()
