"""A load generator that takes less CPU than what it measures: prepared requests, straight on asyncio's transports."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Self, cast

import orjson

from bench.engine import DOCUMENT, MODEL, REQUEST, content_length

KEY: Final = "bench-key-of-no-use-elsewhere"
TIMEOUT: Final = 30.0
MOST_SECONDS: Final = 300.0
TICK: Final = 0.001


class Failed(Exception):
    """A target did not answer as it must; measuring on would mean nothing."""


@dataclass(frozen=True)
class Address:
    host: str
    port: int


def post(**fields: Any) -> bytes:
    """Return a chat request as bytes on the wire; `fields` beside the model and the one message."""
    return _written("/v1/chat/completions", {**REQUEST, **fields})


def respond(**fields: Any) -> bytes:
    """Return the same for a response; `fields` beside the model and the input."""
    return _written("/v1/responses", {"model": MODEL, "input": "Hello", **fields})


def rerank() -> bytes:
    """Return the same for a reranker, of about the size of a chat request."""
    return _written("/v1/rerank", {"model": MODEL, "query": "Hello", "documents": [DOCUMENT]})


def message(said: str = "Hello", **fields: Any) -> bytes:
    """Return the same for a message of Anthropic's API; `fields` beside the model, the bound and what is `said`."""
    asked = {"model": MODEL, "max_tokens": 64, "messages": [{"role": "user", "content": said}]}
    return _written("/v1/messages", {**asked, **fields})


def to_task(path: str, body: dict[str, Any]) -> bytes:
    """Return the same for a task, with that body."""
    return _written(path, body)


def _written(path: str, document: dict[str, Any]) -> bytes:
    body = orjson.dumps(document)
    head = (
        f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {KEY}\r\n\r\n".encode()


class Connection(asyncio.Protocol):
    """One keep-alive connection, which calls `done` with each whole answer's body (of a stream, its last bytes).

    `tokens` counts the events of all streams; `first` is when the current answer's body began.
    """

    def __init__(self, done: Callable[["Connection", bytes], None]) -> None:
        self._done = done
        self._buffer = b""
        self._tail = b""
        self._streaming = False
        self._awaited = False
        self.tokens = 0
        self.first = 0.0
        self.failure: str | None = None
        self._transport: asyncio.Transport

    @classmethod
    async def open(cls, address: Address, done: Callable[["Connection", bytes], None]) -> Self:
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(lambda: cls(done), address.host, address.port)
        return protocol

    def send(self, request: bytes) -> None:
        self._awaited = True
        self._transport.write(request)

    def close(self) -> None:
        self._awaited = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._awaited:
            self._fail(f"the connection ended: {exc}")

    def data_received(self, data: bytes) -> None:
        if self._streaming:
            self._stream(data)
            return
        self._buffer = data = self._buffer + data if self._buffer else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        if not data.startswith(b"HTTP/1.1 200"):
            self._fail(data.decode(errors="replace"))
            return
        head, body = data[:end].lower(), data[end + 4 :]
        if b"transfer-encoding: chunked" in head:
            self._buffer = b""
            if body:
                self._stream(body)
            else:
                self._streaming = True
        elif len(body) >= content_length(head):
            self._buffer = b""
            self._end(body)

    def _stream(self, data: bytes) -> None:
        if not self.first:
            self.first = time.perf_counter()
        self.tokens += data.count(b"data: ")
        self._tail = (self._tail + data)[-64:]  # a proxy may cut pieces anew
        self._streaming = not self._tail.endswith(b"0\r\n\r\n")
        if not self._streaming:
            self._end(self._tail)

    def _end(self, data: bytes) -> None:
        self._awaited = False
        self._done(self, data)

    def _fail(self, reason: str) -> None:
        self.failure = reason
        self._awaited = False
        self._done(self, b"")


@dataclass
class Outcome:
    """What a round of load gave. Times in seconds."""

    requests: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    first_bytes: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


class Load:
    """Sends one request over and over, on connections that each wait for their answer; `expect` is in each answer.

    A round without `rate` is a closed loop: a connection sends again as soon as it is answered. With `rate` requests
    leave at random moments, so many a second, on whichever connection is free: as from many clients that know nothing
    of each other.
    """

    def __init__(self, address: Address, request: bytes, expect: bytes = b"64 bytes") -> None:
        self._address = address
        self._request = request
        self._expect = expect

    async def run(
        self,
        connections: int,
        *,
        seconds: float = float("inf"),
        count: float = float("inf"),
        rate: float | None = None,
    ) -> Outcome:
        """Return one round, until time or count is up. Raises `Failed`."""
        self._outcome, self._failure = Outcome(), ""
        self._sent: dict[Connection, float] = {}
        self._idle = [await Connection.open(self._address, self._answered) for _ in range(connections)]
        every = list(self._idle)
        self._closed_loop = rate is None
        begun = time.perf_counter()
        self._left, self._until = count, begun + seconds
        try:
            async with asyncio.timeout(min(seconds, MOST_SECONDS) + TIMEOUT):
                await (self._send_at_once() if rate is None else self._send_at_random(rate))
                while len(self._idle) < connections and not self._failure:  # noqa: ASYNC110 # no event a request
                    await asyncio.sleep(TICK)
        except TimeoutError:
            self._failure = self._failure or f"port {self._address.port} leaves requests unanswered"
        finally:
            for connection in every:
                connection.close()
        if self._failure:
            raise Failed(self._failure)
        self._outcome.seconds = time.perf_counter() - begun
        return self._outcome

    async def _send_at_once(self) -> None:
        while self._idle:
            self._send(self._idle.pop())

    async def _send_at_random(self, rate: float) -> None:
        gaps = random.Random(0)
        due = time.perf_counter()
        while due < self._until and not self._failure:
            while time.perf_counter() < due or not self._idle:  # noqa: ASYNC110
                await asyncio.sleep(0)  # no timer is fine enough
            self._send(self._idle.pop())
            due += gaps.expovariate(rate)

    def _send(self, connection: Connection) -> None:
        self._left -= 1
        self._sent[connection] = time.perf_counter()
        connection.first = 0.0
        connection.send(self._request)

    def _answered(self, connection: Connection, body: bytes) -> None:
        now, sent = time.perf_counter(), self._sent[connection]
        if self._expect not in body:
            self._failure = connection.failure or f"unexpected answer: {body.decode(errors='replace')}"
        self._outcome.requests += 1
        self._outcome.latencies.append(now - sent)
        if connection.first:
            self._outcome.first_bytes.append(connection.first - sent)
        if self._closed_loop and self._left > 0 and now < self._until and not self._failure:
            self._send(connection)
        else:
            self._idle.append(connection)


async def ask(address: Address, request: bytes) -> bytes:
    """Return the body of one answer. Raises `Failed`."""
    answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    try:
        async with asyncio.timeout(TIMEOUT):
            connection = await Connection.open(address, lambda _, body: answer.set_result(body))
            try:
                connection.send(request)
                body = await answer
            finally:
                connection.close()
    except (OSError, TimeoutError) as error:
        raise Failed(f"port {address.port} does not answer: {error!r}") from error
    if connection.failure:
        raise Failed(connection.failure)
    return body
