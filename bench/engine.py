"""An engine that costs next to nothing: prepared answers, straight on asyncio's transports.

    .venv/bin/python -m bench.engine --port N

The engine double takes 23 µs of CPU for a request, twice what nginx takes and four times what this takes. A request's
own `double` field scripts the answer with the double's names: `before_first_byte` and `between_pieces` (seconds) and
`pieces` (tokens of a stream); so does one in JSON that is all its message says. A request that offers calculate_math or
file_search is answered with a call of it, and one that brings a tool's result with text; one with a response_format
with a document. `GET /state` tells how many
connections and requests are open. A response, which gateways ask engines for that speak that API, is always the same
one but for its ids, and so is what a reranker answers. From `GET /hold` on no answer begins until `GET /release`;
`GET /begun` tells when streams have begun since it was last asked.
"""

import argparse
import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, cast

import orjson
import uvloop

from tests.engine_double.reply import Answer, Call, Reply, RerankAnswer, event

MODEL: Final = "bench"
REQUEST: Final[dict[str, Any]] = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
DOCUMENT: Final = "A text of 64 bytes."
TOOL_CALL: Final = Reply("", (Call("calculate_math", '{"expression": "123 * 456"}'),))
SEARCH: Final = Reply("", (Call("file_search", '{"queries": ["Which report tells of w40, w700 and w9000?"]}'),))
MODELS: Final = orjson.dumps(
    {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1, "owned_by": "vllm"}]}
)
METRICS: Final = (
    f'vllm:num_requests_running{{model_name="{MODEL}"}} 0\nvllm:num_requests_waiting{{model_name="{MODEL}"}} 0\n'
)
OPEN, TOKEN, *_, FINISH, USAGE = (
    event(chunk) for chunk in Answer(Reply(), {**REQUEST, "stream_options": {"include_usage": True}}).chunks()
)


def response(body: bytes, kind: str = "application/json") -> bytes:
    """Return a whole HTTP answer."""
    return f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def piece(data: bytes) -> bytes:
    """Return a piece of a chunked answer."""
    return b"%x\r\n%b\r\n" % (len(data), data)


ANALYSIS: Final = {
    "category": "billing",
    "priority": "medium",
    "summary": "The customer was charged twice for the subscription and wants one charge refunded.",
    "customer_sentiment": "frustrated",
    "key_issues": ["charged twice", "wants a refund"],
    "requires_human": False,
}
ANALYSED: Final = response(orjson.dumps(Answer(Reply(orjson.dumps(ANALYSIS).decode()), REQUEST).whole()))
PLAIN: Final = response(orjson.dumps(Answer(Reply(), REQUEST).whole()))
RERANKED: Final = response(
    orjson.dumps(RerankAnswer(Reply(), {"model": MODEL, "query": "Hello", "documents": [DOCUMENT]}).whole())
)
ASKS_FOR_TOOL: Final = response(orjson.dumps(Answer(TOOL_CALL, REQUEST).whole()))
SEARCHES: Final = response(orjson.dumps(Answer(SEARCH, REQUEST).whole()))
STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
STREAM_START: Final = STREAM_HEAD + piece(OPEN) + piece(TOKEN)
STREAM_TOKEN: Final = piece(TOKEN)
STREAM_FINISH: Final = piece(FINISH)
STREAM_USAGE: Final = piece(USAGE)
STREAM_DONE: Final = piece(b"data: [DONE]\n\n") + b"0\r\n\r\n"
MESSAGE: Final = {
    "id": "msg_%032d",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": Reply().text, "annotations": [], "logprobs": None}],
}
RESPONSE: Final = orjson.dumps(
    {
        "id": "resp_%032d",
        "object": "response",
        "created_at": 1,
        "model": MODEL,
        "status": "completed",
        "output": [MESSAGE],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": 7,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 13,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 20,
        },
    }
)
"""Lacks its number, in two places."""
OTHERS: Final = {b"/v1/models": response(MODELS), b"/metrics": response(METRICS.encode(), "text/plain")}


class State:
    """What the bench asks the engine about."""

    def __init__(self) -> None:
        self.connections = 0
        self.asked = 0
        self.open = 0
        self.left = 0
        self.last_left = 0.0

    def abandon(self) -> None:
        """Count a request that lost its client."""
        self.open -= 1
        self.left += 1
        self.last_left = time.monotonic()


class Gate:
    """Holds answers back while it is shut."""

    def __init__(self) -> None:
        self._held: list[Callable[[], None]] | None = None

    def shut(self) -> None:
        self._held = self._held or []

    def open(self) -> None:
        held, self._held = self._held or [], None
        for answer in held:
            answer()

    def passes(self, answer: Callable[[], None]) -> bool:
        """Return whether it is open; else `answer` is called when it is opened."""
        if self._held is None:
            return True
        self._held.append(answer)
        return False


class Connection(asyncio.Protocol):
    """Answers one request after the other."""

    def __init__(self, state: State, gate: Gate, begun: list[float]) -> None:
        self._state = state
        self._gate = gate
        self._begun = begun
        self._buffer = b""
        self._pending: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()
        self._state.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # asyncio names it
        self._state.connections -= 1
        if self._pending is not None:
            self._pending.cancel()
            self._state.abandon()

    def data_received(self, data: bytes) -> None:
        self._buffer = data = self._buffer + data if self._buffer else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        size = content_length(data[:end])
        if len(data) >= end + 4 + size:  # clients of a proxy never send a second request before the answer
            self._buffer = b""
            self._answer(data[: data.find(b"\r\n")], data[end + 4 :])

    def _answer(self, line: bytes, body: bytes) -> None:
        if not line.startswith(b"POST"):
            self._transport.write(self._other(line.split(b" ")[1]))
            return
        self._state.asked += 1
        if self._gate.passes(partial(self._answer_post, line, body)):
            self._answer_post(line, body)

    def _answer_post(self, line: bytes, body: bytes) -> None:
        if line.startswith(b"POST /v1/responses "):
            number = self._state.asked
            self._transport.write(response(RESPONSE % (number, number)))
            return
        if line.startswith(b"POST /v1/rerank "):
            self._transport.write(RERANKED)
            return
        script = _script(body) if b"double" in body else {}
        if b'"stream":true' in body:
            usage = STREAM_USAGE if b'"include_usage":true' in body else b""
            self._after(script.get("before_first_byte", 0), self._start_stream, script, usage)
        elif b'"role":"tool"' not in body and b"calculate_math" in body:
            self._transport.write(ASKS_FOR_TOOL)
        elif b'"role":"tool"' not in body and b'"file_search"' in body:
            self._transport.write(SEARCHES)
        elif b'"response_format"' in body:
            self._transport.write(ANALYSED)
        elif script:
            self._after(script.get("before_first_byte", 0), self._end, PLAIN)
        else:
            self._transport.write(PLAIN)

    def _other(self, path: bytes) -> bytes:
        if path == b"/state":
            return response(orjson.dumps(vars(self._state)))
        if path == b"/begun":
            begun = response(orjson.dumps(self._begun))
            self._begun.clear()
            return begun
        if path == b"/hold":
            self._gate.shut()
        if path == b"/release":
            self._gate.open()
        return OTHERS.get(path) or response(b"{}")

    def _after(self, seconds: float, do: Any, *arguments: Any) -> None:
        self._state.open += 1
        if seconds:
            self._pending = self._loop.call_later(seconds, do, *arguments)
        else:
            do(*arguments)

    def _start_stream(self, script: dict[str, Any], usage: bytes) -> None:
        self._begun.append(time.perf_counter())
        self._transport.write(STREAM_START)
        end = b"".join((STREAM_FINISH, usage, STREAM_DONE))
        self._next(script.get("pieces", 16) - 1, script.get("between_pieces", 0), end)

    def _next(self, left: int, seconds: float, end: bytes) -> None:
        if not seconds:
            self._end(STREAM_TOKEN * left + end)
        elif left:
            self._pending = self._loop.call_later(seconds, self._token, left - 1, seconds, end)
        else:
            self._end(end)

    def _token(self, left: int, seconds: float, end: bytes) -> None:
        self._transport.write(STREAM_TOKEN)
        self._next(left, seconds, end)

    def _end(self, data: bytes) -> None:
        self._pending = None
        self._state.open -= 1
        self._transport.write(data)


def _script(body: bytes) -> dict[str, Any]:
    """Return the script in a request's own field, or in its message: what is translated has no fields of its own."""
    request = orjson.loads(body)
    said = request.get("messages", [{}])[-1].get("content")
    script: dict[str, Any] = request.get("double") or orjson.loads(said)["double"]
    return script


def content_length(head: bytes) -> int:
    """Return the value of that header, 0 without it."""
    head = head.lower()
    start = head.find(b"content-length:")
    if start < 0:
        return 0
    end = head.find(b"\r\n", start)
    return int(head[start + 15 : end if end > 0 else None])


async def serve(port: int) -> None:
    """Serve until it is ended."""
    state, gate, begun = State(), Gate(), list[float]()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(state, gate, begun), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))
