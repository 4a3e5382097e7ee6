"""HTTP/1.1 with clients: uvicorn's protocol, with deadlines for those that do not go on."""

import asyncio
from functools import partial
from typing import Any, cast
from urllib.parse import unquote

import httptools
import structlog
from tandem_contract.config import OrchestratorConfig
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from tandem_orchestrator.errors import BadRequest, GatewayError, HeadersTooLarge, TooSlow
from tandem_orchestrator.exchange import ON_LEAVE, SEND_AT_ONCE, Exchange
from tandem_orchestrator.outbox import outbox_of

NEVER = float("inf")
UNREAD_BODY_SECONDS = 5.0  # on top of the body's time, in which the application answers for itself

log = structlog.get_logger()


def protocol_for(config: OrchestratorConfig) -> type[asyncio.Protocol]:
    """What uvicorn makes a connection with."""
    return cast("type[asyncio.Protocol]", partial(Protocol, config))


class Protocol(HttpToolsProtocol):
    """Closes a connection whose client does not send or read on in time, and refuses headers that are too large.

    One timer a connection looks at the deadline now and then, so that moving the deadline costs an assignment.
    """

    def __init__(self, settings: OrchestratorConfig, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._outbox = outbox_of(self.loop)
        self._timeouts = settings.timeouts
        self._max_header_bytes = settings.limits.max_header_bytes
        self._refusal: GatewayError | None = None
        self._in_headers = False
        self._header_bytes = 0
        self._unread = 0
        self._deadline = NEVER
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """asyncio: a client is there."""
        super().connection_made(transport)
        self._expect_within(self._timeouts.keep_alive_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the client is gone."""
        super().connection_lost(exc)
        if isinstance(self.cycle, Exchange):
            self.cycle.left()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came."""
        self._header_bytes += len(data)
        super().data_received(data)
        if self._in_headers and self._header_bytes > self._max_header_bytes and self._refusal is None:
            self._refuse(self._headers_too_large())

    def on_message_begin(self) -> None:
        """httptools: a request begins."""
        super().on_message_begin()
        self._in_headers = True
        self._expect_within(self._timeouts.body_seconds)

    def on_headers_complete(self) -> None:
        """httptools: the body follows."""
        self._in_headers = False
        if self._header_bytes > self._max_header_bytes and self._exact_header_bytes() > self._max_header_bytes:
            self._refusal = self._headers_too_large()
            raise self._refusal  # ends the parsing: httptools wraps it, uvicorn calls send_400_response
        self._expect_within(self._timeouts.body_seconds + UNREAD_BODY_SECONDS)
        self._describe()
        before, self.cycle = self.cycle, self._exchange()
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:  # the client sends ahead; its next request waits for the answer to this one
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_message_complete(self) -> None:
        """httptools: the request is complete."""
        super().on_message_complete()
        self._header_bytes = 0
        self._deadline = NEVER
        if self.cycle.response_complete:
            self._expect_within(self._timeouts.keep_alive_seconds)

    def on_response_complete(self) -> None:
        """uvicorn: the answer is complete. In place of uvicorn's, whose timer for each answer cost 2 us."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._deadline == NEVER:
            self._expect_within(self._timeouts.keep_alive_seconds)

    def shutdown(self) -> None:
        """uvicorn: the server ends."""
        self._outbox.flush()
        super().shutdown()

    def pause_writing(self) -> None:
        """asyncio: the client reads more slowly than it is written to."""
        super().pause_writing()
        self._unread = self.transport.get_write_buffer_size()
        self._expect_within(self._timeouts.idle_seconds)

    def resume_writing(self) -> None:
        """asyncio: the client has caught up."""
        super().resume_writing()
        self._deadline = NEVER
        if self._answered:
            self._expect_within(self._timeouts.keep_alive_seconds)

    def send_400_response(self, msg: str) -> None:
        """uvicorn: what came is no HTTP."""
        self._refuse(self._refusal or BadRequest(msg, code="invalid_http"))

    def _describe(self) -> None:
        """Completes the scope. In place of uvicorn's, which parses plain paths as URLs, too."""
        path, query = self.url, b""
        if not path.startswith(b"/") or b"?" in path or b"#" in path:
            parsed = httptools.parse_url(path)
            path, query = parsed.path, parsed.query or b""
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["http_version"] = self.parser.get_http_version()
        self.scope["path"] = unquote(path) if b"%" in path else path.decode("ascii")
        self.scope["raw_path"] = path
        self.scope["query_string"] = query

    def _exchange(self) -> Exchange:
        exchange = Exchange(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=self.scope["http_version"] != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        exchange.outbox = self._outbox
        self.scope["state"][ON_LEAVE] = exchange.on_leave
        self.scope["state"][SEND_AT_ONCE] = exchange.send_at_once
        return exchange

    @property
    def _answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _expect_within(self, seconds: float) -> None:
        self._deadline = self.loop.time() + seconds
        if self._timer is None or self._timer.when() > self._deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_at(self._deadline, self._look)

    def _look(self) -> None:
        self._timer = None
        if self.loop.time() < self._deadline:
            if self._deadline != NEVER:
                self._timer = self.loop.call_at(self._deadline, self._look)
        elif self.flow.write_paused:
            self._look_at_reader()
        elif self.flow.read_paused:
            self._expect_within(self._timeouts.body_seconds)  # it is not the client who makes us wait
        elif self._in_headers:
            seconds = self._timeouts.body_seconds
            self._refuse(TooSlow(f"the request's headers did not arrive within {seconds:g} s"))
        else:
            self._close()

    def _look_at_reader(self) -> None:
        unread = self.transport.get_write_buffer_size()
        if unread < self._unread:
            self._unread = unread
            self._expect_within(self._timeouts.idle_seconds)
        else:
            log.info("client does not read", seconds=self._timeouts.idle_seconds, unread_bytes=unread)
            self.transport.abort()

    def _headers_too_large(self) -> HeadersTooLarge:
        return HeadersTooLarge(f"the request's headers are larger than {self._max_header_bytes} bytes")

    def _exact_header_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse(self, error: GatewayError) -> None:
        log.info("request refused", status=error.status, error=error.code, reason=error.message)
        if not self._answered:
            self.transport.abort()  # an error in the middle of an answer would be read as a part of it
            return
        body = error.body()
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self._outbox.write(self.transport, b"".join((STATUS_LINE[error.status], head, body)))
        self._close()

    def _close(self) -> None:
        self._outbox.flush()
        self.transport.close()  # waits until the client has read everything, and for some that is never
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(self._timeouts.idle_seconds, self.transport.abort)
