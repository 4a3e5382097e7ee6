"""Hands an engine's bytes on as they are."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
from starlette.types import Send

from tandem_orchestrator.errors import Malformed
from tandem_orchestrator.gateway import estimate
from tandem_orchestrator.gateway.dispatch import Call, Dispatcher
from tandem_orchestrator.gateway.event_stream import EventStream

DONE, ERROR = b"data: [DONE]", b'data: {"error"'
EVENT, USAGE = b"data: {", b'"usage"'
MAX_LINE = 16_777_216
LAST_PIECES = 4
JSON_TYPE = (b"content-type", b"application/json")


async def relay_answer(dispatcher: Dispatcher, call: Call, body: bytes, send: Send) -> None:
    """Answers with the engine's JSON."""
    raw, _ = await dispatcher.complete(call, body)
    await send_json(send, raw)


async def relay_stream(
    dispatcher: Dispatcher, call: Call, body: bytes, stream: EventStream, *, hide_usage: bool
) -> None:
    """Answers with the engine's events. Raises `GatewayError`, also after the stream's start.

    `hide_usage` keeps the event with the usage from the client, who did not ask for it.
    """
    response = await dispatcher.stream(call, body)
    lines = Lines(hide_usage=hide_usage)
    pass_on = partial(lines.pass_on, stream.write_at_once)
    try:
        await stream.start()
        while data := await response.read(pass_on if stream.begun else None):
            if whole := lines.take(data):
                await stream.write(whole)
        await stream.end(lines.end())
    finally:
        response.count_usage(lines.usage or estimate.usage(body, lines.events))
        response.close()


class Lines:
    """Lets whole lines of an event stream pass, so that a client never sees half an event, and finds the usage."""

    def __init__(self, *, hide_usage: bool = False) -> None:
        self._hide_usage = hide_usage
        self._hidden = False
        self._rest = b""
        self._last: deque[bytes] = deque(maxlen=LAST_PIECES)
        self.events = 0
        self.usage: dict[str, Any] | None = None
        """The last `usage` object that the engine sent."""

    def take(self, data: bytes) -> bytes:
        """The lines that `data` completes. Raises `Malformed` on a line without end."""
        if self._rest:
            data = self._rest + data
        if data.endswith(b"\n"):
            self._rest = b""
        else:
            end = data.rfind(b"\n") + 1
            data, self._rest = data[:end], data[end:]
            if len(self._rest) > MAX_LINE:
                raise Malformed("the engine's stream has a line without end")
        if not data:
            return data
        self._count(data)
        if self._hidden or USAGE in data:  # quotes in a text are escaped: it is a field's name
            data = b"".join(line for line in data.splitlines(keepends=True) if self._passes(line))
        return data

    def pass_on(self, write: Callable[[bytes], bool], data: bytes) -> bool:
        """Gives `data` to `write` where `take` would return it as it is; false if it did not, or `write` says so.

        What is false has changed nothing, and `data` is for `take`.
        """
        if self._rest or self._hidden or not data.endswith(b"\n") or USAGE in data or not write(data):
            return False
        self._count(data)
        return True

    def end(self) -> bytes:
        """What is left of the stream. Raises `Malformed` if it ended without saying so."""
        tail = b"".join((*self._last, self._rest))
        if DONE not in tail and ERROR not in tail:
            raise Malformed("the engine's stream ended without [DONE]")
        return self._rest and self._rest + b"\n\n"

    def _count(self, data: bytes) -> None:
        self.events += data.count(EVENT)
        self._last.append(data)

    def _passes(self, line: bytes) -> bool:
        if self._hidden:
            self._hidden = False
            if not line.strip():  # it ended the hidden event
                return False
        if USAGE not in line or not line.startswith(EVENT):
            return True
        try:
            event = orjson.loads(line[len(EVENT) - 1 :])
        except orjson.JSONDecodeError:
            return True
        usage = event.get("usage")
        if not isinstance(usage, dict):
            return True
        self.usage = usage
        self._hidden = self._hide_usage and event.get("choices") == []
        return not self._hidden


async def send_json(send: Send, body: bytes) -> None:
    """Answers 200 with a JSON body."""
    headers = [JSON_TYPE, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
