"""A WebSocket in uvicorn's server: its own protocol, with bounds for clients that do not go on, read, or end."""

import asyncio
import logging
from collections.abc import Callable
from copy import copy
from typing import Any, Final

import uvicorn
from tandem_contract.config import OrchestratorConfig
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import CloseCode, Frame

from tandem_orchestrator.transport.served import ON_END

PATH: Final = "/v1/responses"
"""The only one at which the offer of a WebSocket is taken."""
PING_SECONDS: Final = 20.0  # between two pings, and for the answer to one
MOST_FRAGMENTS: Final = 16_384  # of a message: empty ones cost memory, too, which the bound of its bytes does not see

_quiet: Final = logging.getLogger("tandem.websocket")
_quiet.setLevel(logging.CRITICAL)  # strangers could fill the log; what goes on is told by records
_quiet.propagate = False


def is_offer(headers: list[tuple[bytes, bytes]]) -> bool:
    """Return whether a request offers a WebSocket and nothing else: a body would be read as frames."""
    upgrade = False
    for name, value in headers:
        if name == b"upgrade":
            upgrade = value.strip().lower() == b"websocket"
        elif name == b"transfer-encoding" or (name == b"content-length" and value.strip() != b"0"):
            return False
    return upgrade


class WebSocket(WebSocketsSansIOProtocol):
    """A connection that has been a request until now; `begin` takes it over."""

    def __init__(
        self,
        settings: OrchestratorConfig,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        own = copy(config)
        own.ws_max_size = settings.limits.max_body_bytes
        own.ws_per_message_deflate = False  # an event is short: it would cost more than it saves
        own.ws_ping_interval = own.ws_ping_timeout = PING_SECONDS
        super().__init__(own, server_state, {**app_state, ON_END: self._on_end}, loop)
        self.logger = self.conn.logger = _quiet
        self._message_seconds = settings.timeouts.body_seconds
        self._idle_seconds = settings.timeouts.idle_seconds
        self._unfinished: asyncio.TimerHandle | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._unread = 0
        self._end: Callable[[], None] | None = None

    def begin(self, transport: asyncio.Transport, head: bytes) -> bool:
        """Go on with a connection on which `head` came; return false, and do nothing, where that is no handshake."""
        self.connection_made(transport)
        self.data_received(head)
        if not self.handshake_initiated:
            self.connections.discard(self)
            self._stop_timers()
            return False
        transport.set_protocol(self)
        return True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: begin to look after the client."""
        super().connection_made(transport)
        self._looking = self.loop.call_later(self._idle_seconds, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the client is gone."""
        self._stop_timers()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came."""
        super().data_received(data)
        if self.conn.reader.buffer or self.conn.current_size is not None:
            if self._unfinished is None:
                self._unfinished = self.loop.call_later(self._message_seconds, self._too_slow)
        else:
            self._finished()

    def send_receive_event_to_app(self) -> None:
        """uvicorn: a message is complete."""
        self._finished()
        super().send_receive_event_to_app()

    def handle_cont(self, event: Frame) -> None:
        """uvicorn: a further fragment of a message came."""
        if self.close_sent:
            return
        if len(self.frames) < MOST_FRAGMENTS:
            super().handle_cont(event)
        else:
            self._fail(CloseCode.MESSAGE_TOO_BIG, f"a message may have {MOST_FRAGMENTS} fragments")

    def handle_ping(self) -> None:
        """uvicorn: a ping came, whose answer is there to be sent; one that reads nothing gets none."""
        answer = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self.transport.write(answer)

    def keepalive_timeout(self) -> None:
        """uvicorn: no answer to a ping came. In the midst of a message none can; that has a time of its own."""
        if self._unfinished is not None:
            self.pong_timer = self.loop.call_later(PING_SECONDS, self.keepalive_timeout)
        else:
            super().keepalive_timeout()

    def shutdown(self) -> None:
        """uvicorn: the server ends."""
        if self._end is None or self.close_sent:
            super().shutdown()
        else:
            self._end()

    def _on_end(self, end: Callable[[], None]) -> None:
        """Have `end` called when the server ends; the application closes the connection then."""
        self._end = end

    def _finished(self) -> None:
        if self._unfinished is not None:
            self._unfinished.cancel()
            self._unfinished = None

    def _too_slow(self) -> None:
        self._unfinished = None
        self._fail(CloseCode.POLICY_VIOLATION, f"the message did not arrive within {self._message_seconds:g} s")

    def _fail(self, code: CloseCode, reason: str) -> None:
        if not (self.close_sent or self.transport.is_closing()):
            self.conn.fail(code, reason)
            self.handle_parser_exception()

    def _look(self) -> None:
        """Cut the connection where the client has read nothing of what waits for it since the last look."""
        waits = not self.writable.is_set() or self.transport.is_closing()
        unread = self.transport.get_write_buffer_size() if waits else 0
        if unread and self._unread and unread >= self._unread:
            self.transport.abort()
            return
        self._unread = unread
        self._looking = self.loop.call_later(self._idle_seconds, self._look)

    def _stop_timers(self) -> None:
        self._finished()
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
