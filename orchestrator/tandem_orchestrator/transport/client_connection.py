"""HTTP/1.1 with clients, in uvicorn's server: deadlines for those that do not go on, and exchanges that cost little."""

import asyncio
from collections import deque
from functools import partial
from typing import Any, Final, NoReturn, cast
from urllib.parse import unquote

import httptools
import structlog
import uvicorn
from tandem_contract.config import OrchestratorConfig
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from tandem_orchestrator.errors import BadRequest, GatewayError, HeadersTooLarge, TooSlow
from tandem_orchestrator.transport.exchange import Exchange, Wire
from tandem_orchestrator.transport.outbox import outbox_of
from tandem_orchestrator.transport.websocket import PATH, WebSocket, is_offer

NEVER: Final = float("inf")
UNREAD_BODY_SECONDS = 5.0  # on top of the body's time, in which the application answers for itself
VERSIONS: Final = frozenset({"1.0", "1.1"})
MOST_AHEAD: Final = 100  # requests that a client may send before it has the answer to one
ASGI: Final = {"version": "3.0", "spec_version": "2.3"}

log = structlog.get_logger()


def protocol_for(config: OrchestratorConfig) -> type[asyncio.Protocol]:
    """Return what uvicorn makes a connection with."""
    return cast("type[asyncio.Protocol]", partial(Protocol, config))


class Protocol:
    """A connection. Closed when its client does not send or read on in time, or sends headers that are too large.

    One timer a connection looks at the deadline now and then, so that moving the deadline costs an assignment.
    In place of uvicorn's own, which spends on each request what is not needed here: a timer for its answer, a second
    look at its path, a callback for its task.
    """

    def __init__(
        self,
        settings: OrchestratorConfig,
        *,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._settings = settings
        self._config = config
        self._app = config.loaded_app
        self._server = server_state
        self._state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._outbox = outbox_of(self._loop)
        self._timeouts = settings.timeouts
        self._max_header_bytes = settings.limits.max_header_bytes
        self._parser: httptools.HttpRequestParser | None = self._new_parser()
        self._transport: asyncio.Transport
        self._flow: FlowControl
        self._wire: Wire
        self._around: dict[str, Any] = {}
        self._arriving: Exchange | None = None
        self._running: Exchange | None = None
        self._ahead: deque[Exchange] = deque()
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._hosts = 0
        self._expects_go_ahead = False
        self._refusal: GatewayError | None = None
        self._in_headers = False
        self._header_bytes = 0  # of headers, or of what else may come between two pieces of a body
        self._unread = 0
        self._deadline = NEVER
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """asyncio: a client is there."""
        self._server.connections.add(self)  # type: ignore[arg-type] # which names uvicorn's own
        self._transport = transport
        self._flow = FlowControl(transport)
        self._wire = Wire(transport, self._flow, self._outbox, self._server)
        self._around = {
            "type": "http",
            "asgi": ASGI,
            "server": get_local_addr(transport),
            "client": get_remote_addr(transport),
            "scheme": "https" if is_ssl(transport) else "http",
            "root_path": "",
        }
        self._expect_within(self._timeouts.keep_alive_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the client is gone."""
        self._server.connections.discard(self)
        self._parser = None  # which refers to this connection
        self._flow.resume_writing()
        for exchange in (self._running, self._arriving):
            if exchange is not None:
                exchange.cut()
        if exc is None:
            self._transport.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def eof_received(self) -> None:
        """asyncio: the client sends no more, which ends the connection."""

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came."""
        if self._parser is None:
            return
        self._header_bytes += len(data)
        try:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                self._feed_behind(offer, data)
        except httptools.HttpParserError:
            self._refuse(self._refusal or _malformed(self._parser))
            return
        if self._header_bytes > self._max_header_bytes:
            self._refuse(self._headers_too_large())

    def on_message_begin(self) -> None:
        """httptools: a request begins."""
        self._url = b""
        self._headers = []
        self._hosts = 0
        self._expects_go_ahead = False
        self._in_headers = True
        self._expect_within(self._timeouts.body_seconds)

    def on_url(self, url: bytes) -> None:
        """httptools: a part of the request's target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: one header, or a trailer behind the body."""
        if not self._in_headers:
            self._stop(BadRequest("Trailers are not read here; send all headers before the body.", code="invalid_http"))
        name = name.lower()
        if name == b"host":
            self._hosts += 1
        elif name == b"expect" and value.lower() == b"100-continue":
            self._expects_go_ahead = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """httptools: the body follows."""
        assert self._parser is not None  # noqa: S101 # it is what calls
        if self._parser.should_upgrade():  # httptools reads no body then; the request is read again
            if self._parser.get_method() == b"CONNECT":
                self._stop(BadRequest("CONNECT is not served: this is no proxy.", code="invalid_http"))
            return
        self._in_headers = False
        if self._header_bytes > self._max_header_bytes and self._exact_header_bytes() > self._max_header_bytes:
            self._stop(self._headers_too_large())
        self._header_bytes = 0
        # later than the timer's, which will look
        self._deadline = self._loop.time() + self._timeouts.body_seconds + UNREAD_BODY_SECONDS
        self._arriving = exchange = self._begin(self._parser)
        if self._running is None:
            self._running = exchange
            exchange.start(self._app, self._loop)
        elif len(self._ahead) < MOST_AHEAD:  # its next request waits for the answer to this one
            self._flow.pause_reading()
            self._ahead.append(exchange)
        else:
            self._stop(BadRequest(f"More than {MOST_AHEAD} requests wait for their answers.", code="invalid_http"))

    def on_body(self, piece: bytes) -> None:
        """httptools: a piece of the body."""
        self._header_bytes = 0
        if self._arriving is not None:
            self._arriving.feed(piece)
            if not self._arriving.complete:  # the application bounds how long all of it may take
                self._deadline = self._loop.time() + self._timeouts.body_seconds + UNREAD_BODY_SECONDS

    def on_message_complete(self) -> None:
        """httptools: the request is complete."""
        if self._in_headers:  # it only seems so: it offers another protocol
            return
        self._header_bytes = 0
        self._deadline = NEVER
        if self._arriving is not None:
            self._arriving.end()
            self._arriving = None
        if self._running is None:
            self._expect_within(self._timeouts.keep_alive_seconds)

    def shutdown(self) -> None:
        """uvicorn: the server ends."""
        if self._running is None:
            self._outbox.flush()
            self._transport.close()
        else:
            self._running.close_after()

    def pause_writing(self) -> None:
        """asyncio: the client reads more slowly than it is written to."""
        self._flow.pause_writing()
        self._unread = self._transport.get_write_buffer_size()
        self._expect_within(self._timeouts.idle_seconds)

    def resume_writing(self) -> None:
        """asyncio: the client has caught up."""
        self._flow.resume_writing()
        self._deadline = NEVER
        if self._running is None:
            self._expect_within(self._timeouts.keep_alive_seconds)

    def _new_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)  # or its last answer would never be sent
        return parser

    def _feed_behind(self, offer: httptools.HttpParserUpgrade, data: bytes | memoryview) -> None:
        """Read on in `data` as if the client had not offered another protocol there, nor further behind.

        But for a WebSocket where there is one.
        """
        assert self._parser is not None  # noqa: S101 # it is what has told of the offer
        while True:
            data = memoryview(data)[offer.args[0] :]
            if self._is_socket(self._parser):
                self._hand_over(self._parser, behind=len(data))
                return
            head = self._head(self._parser, without=b"upgrade")
            self._parser = self._new_parser()
            self._parser.feed_data(head)
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as another:
                offer = another
            else:
                return

    def _is_socket(self, parser: httptools.HttpRequestParser) -> bool:
        """Return whether the offer that `parser` has read is taken; what is wrong is refused as without it."""
        return (
            self._url.partition(b"?")[0] == PATH.encode()
            and is_offer(self._headers)
            and parser.get_method() == b"GET"
            and parser.get_http_version() == "1.1"
            and self._hosts == 1
            and self._exact_header_bytes() <= self._max_header_bytes
            and self._running is None
        )

    def _hand_over(self, parser: httptools.HttpRequestParser, behind: int) -> None:
        """Let the connection go on as a WebSocket; `behind` are the bytes that came after its handshake."""
        if behind:
            self._refuse(
                BadRequest("Nothing may follow a WebSocket's handshake before its answer.", code="invalid_http")
            )
            return
        self._outbox.flush()  # or an earlier answer would come after what is written past it
        socket = WebSocket(self._settings, self._config, self._server, self._state, self._loop)
        if not socket.begin(self._transport, self._head(parser)):
            self._refuse(BadRequest("This is no handshake of a WebSocket.", code="invalid_http"))
            return
        self._server.connections.discard(self)
        self._parser = None
        self._header_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _head(self, parser: httptools.HttpRequestParser, without: bytes = b"") -> bytes:
        """Return the head that `parser` has read, but for the header `without`."""
        lines = [b"%b %b HTTP/%b\r\n" % (parser.get_method(), self._url, parser.get_http_version().encode())]
        lines += [b"%b: %b\r\n" % header for header in self._headers if header[0] != without]
        return b"".join((*lines, b"\r\n"))

    def _begin(self, parser: httptools.HttpRequestParser) -> Exchange:
        version = parser.get_http_version()
        if version not in VERSIONS:
            self._stop(BadRequest(f"HTTP/{version} is not spoken here; use HTTP/1.1.", code="invalid_http"))
        if self._hosts != 1 and (self._hosts or version != "1.0"):
            self._stop(BadRequest("A request needs one Host header, and not more.", code="invalid_http"))
        path, query = self._url, b""
        if not path.startswith(b"/") or b"?" in path or b"#" in path:
            parsed: Any = httptools.parse_url(path)  # Any: parts that are missing are None, whatever its types say
            path, query = parsed.path or b"/", parsed.query or b""
        scope = {
            **self._around,
            "http_version": version,
            "method": parser.get_method().decode("ascii"),
            "path": unquote(path) if b"%" in path else path.decode("ascii"),
            "raw_path": path,
            "query_string": query,
            "headers": self._headers,
            "state": self._state.copy(),
        }
        keep_alive = version != "1.0" and parser.should_keep_alive()
        return Exchange(
            scope, self._wire, self._completed, keep_alive=keep_alive, expects_go_ahead=self._expects_go_ahead
        )

    def _completed(self) -> None:
        """Note that an answer is complete."""
        self._server.total_requests += 1
        self._running = None
        if self._transport.is_closing():
            return
        self._flow.resume_reading()
        if self._ahead:
            self._running = self._ahead.popleft()
            self._running.start(self._app, self._loop)
        elif self._deadline == NEVER:
            self._expect_within(self._timeouts.keep_alive_seconds)

    def _expect_within(self, seconds: float) -> None:
        self._deadline = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(self._deadline, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._loop.time() < self._deadline:
            if self._deadline != NEVER:
                self._timer = self._loop.call_at(self._deadline, self._look)
        elif self._flow.write_paused:
            self._look_at_reader()
        elif self._flow.read_paused:
            self._expect_within(self._timeouts.body_seconds)  # it is not the client who makes us wait
        elif self._in_headers:
            seconds = self._timeouts.body_seconds
            self._refuse(TooSlow(f"the request's headers did not arrive within {seconds:g} s"))
        else:
            self._close()

    def _look_at_reader(self) -> None:
        unread = self._transport.get_write_buffer_size()
        if unread < self._unread:
            self._unread = unread
            self._expect_within(self._timeouts.idle_seconds)
        else:
            log.info("client does not read", seconds=self._timeouts.idle_seconds, unread_bytes=unread)
            self._transport.abort()

    def _headers_too_large(self) -> HeadersTooLarge:
        return HeadersTooLarge(f"the request's headers are larger than {self._max_header_bytes} bytes")

    def _exact_header_bytes(self) -> int:
        return len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers)

    def _stop(self, error: GatewayError) -> NoReturn:
        """End the parsing, in a call of the parser: `error` is what the client gets."""
        self._refusal = error
        raise error  # httptools wraps it in an error of its own

    def _refuse(self, error: GatewayError) -> None:
        log.info("request refused", status=error.status, error=error.code, reason=error.message)
        if self._running is not None:
            if self._running.begun or self._running is not self._arriving:
                self._transport.abort()  # an error in the place or the middle of an answer would be read as that
                return
            self._running.cut()
        body = error.body()
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self._outbox.write(self._transport, b"".join((STATUS_LINE[error.status], head, body)))
        self._close()

    def _close(self) -> None:
        self._outbox.flush()
        self._transport.close()  # waits until the client has read everything, and for some that is never
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._timeouts.idle_seconds, self._transport.abort)


def _malformed(parser: httptools.HttpRequestParser) -> BadRequest:
    if parser.get_method() == b"PRI":
        return BadRequest("HTTP/2 is not spoken here; use HTTP/1.1.", code="invalid_http")
    return BadRequest("Invalid HTTP request received.", code="invalid_http")
