"""Hands an engine's bytes on as they are."""

from collections import deque

import orjson
from starlette.types import Send

from tandem_orchestrator.errors import EngineError, GatewayError, Malformed
from tandem_orchestrator.gateway.dispatch import Call, Dispatcher
from tandem_orchestrator.observability.record import Record

STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # or nginx in front of us collects the events
]
DONE, ERROR = b"data: [DONE]", b'data: {"error"'
MAX_LINE = 16_777_216
LAST_PIECES = 4


async def relay_answer(dispatcher: Dispatcher, call: Call, body: bytes, send: Send) -> None:
    """Answers with the engine's JSON."""
    raw, answer = await dispatcher.complete(call, body)
    call.record.count_usage(answer.get("usage"))
    await send_json(send, raw)


async def relay_stream(dispatcher: Dispatcher, call: Call, body: bytes, send: Send) -> None:
    """Answers with the engine's events. A stream that breaks off ends in an error event without `[DONE]`."""
    response = await dispatcher.stream(call, body)
    record = call.record
    lines = Lines()
    try:
        await start_stream(send)
        while data := await response.read():
            if whole := lines.take(data):
                record.mark_first_byte()
                await send({"type": "http.response.body", "body": whole, "more_body": True})
        rest = lines.end()
    except EngineError as error:
        await end_with_error(send, record, error)
    else:
        await send({"type": "http.response.body", "body": rest})
    finally:
        record.count_usage(lines.usage())
        response.close()


class Lines:
    """Lets whole lines of an event stream pass, so that a client never sees half an event, and remembers the last."""

    def __init__(self) -> None:
        self._rest = b""
        self._last: deque[bytes] = deque(maxlen=LAST_PIECES)

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
        if data:
            self._last.append(data)
        return data

    def end(self) -> bytes:
        """What is left of the stream. Raises `Malformed` if it ended without saying so."""
        tail = b"".join((*self._last, self._rest))
        if DONE not in tail and ERROR not in tail:
            raise Malformed("the engine's stream ended without [DONE]")
        return self._rest and self._rest + b"\n\n"

    def usage(self) -> object:
        """The `usage` object among the last events, if there is one."""
        for line in reversed(b"".join(self._last).splitlines()):
            if line.startswith(b"data: {") and b'"usage"' in line:
                try:
                    usage: object = orjson.loads(line[6:]).get("usage")
                except orjson.JSONDecodeError:
                    return None
                return usage
        return None


async def send_json(send: Send, body: bytes) -> None:
    """Answers 200 with a JSON body."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def start_stream(send: Send) -> None:
    """Begins a stream of events."""
    await send({"type": "http.response.start", "status": 200, "headers": list(STREAM_HEADERS)})


async def end_with_error(send: Send, record: Record, error: GatewayError) -> None:
    """Ends a stream that had begun with an error event."""
    record.status = error.status
    record.error = error.code or error.type
    await send({"type": "http.response.body", "body": b"\ndata: " + error.body() + b"\n\n"})
