"""The client's side of a stream of server-sent events."""

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.types import Send

from tandem_orchestrator.errors import GatewayError
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.transport.served import Served

HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # or nginx in front of us collects the events
]


class EventStream:
    """An answer that goes out piece by piece; it begins with its first piece or with `start`."""

    __slots__ = ("_record", "_send", "_started", "write_at_once")

    def __init__(self, exchange: Served, record: Record, send: Send) -> None:
        self._send = send
        self._record = record
        self._started = False
        see_all = record.bodies is not None  # a log of answers, which looks at what `send` sends
        self.write_at_once: Callable[[bytes], bool] = _cannot if see_all else exchange.send_at_once
        """Sends whole lines in this very call, once the stream has `begun`; false when that is for `write` to do."""

    @property
    def begun(self) -> bool:
        """True once lines of the engine's answer went out."""
        return self._record.first_byte is not None

    async def start(self) -> None:
        """Answer 200, so that the client knows that events will come; a second call does nothing."""
        if not self._started:
            self._started = True
            await self._send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})

    def write(self, data: bytes) -> Awaitable[None]:
        """Send whole lines of the engine's answer. No coroutine of its own, since there are many."""
        if not self.begun:
            return self._first(data)
        return self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def _first(self, data: bytes) -> None:
        await self.start()
        self._record.mark_first_byte()
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def comment(self, text: str) -> None:
        """Send what clients skip, and proxies take for life."""
        await self.start()
        await self._write_on(f": {text}\n\n".encode())

    async def _write_on(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def heartbeat(self) -> None:
        """Tell that the request still waits for an engine."""
        await self.comment("waiting for an engine")

    async def end(self, data: bytes = b"") -> None:
        """Send the last lines."""
        await self.start()
        await self._send({"type": "http.response.body", "body": data})


def _cannot(_: bytes) -> bool:
    return False


async def end_with_error(send: Send, error: GatewayError) -> None:
    """End a stream that has begun with an error event, which takes the place of `[DONE]`."""
    await send({"type": "http.response.body", "body": b"\n" + error.event()})
