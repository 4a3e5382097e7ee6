"""An engine that does to a request what it is told, down to the socket, and is started again whenever it has died."""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Callable
from typing import Self

import orjson

from tests.engine_double.http import Exchange, HttpListener

MODELS = b'{"object":"list","data":[{"id":"double","object":"model"}]}'
ANSWER = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"double","choices":'
    b'[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}'
)
LAST_WORDS = (
    b'{"error":{"message":"EngineCore encountered an issue. See stack trace (above) for the root cause.",'
    b'"type":"InternalServerError","param":null,"code":500}}'
)
STREAM_HEADERS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class DyingEngine:
    """`async with DyingEngine(deed) as engine:`; a request whose `user` is poison gets the deed, others an answer.

    `seen` counts how often each `user` came.
    """

    def __init__(self, deed: Callable[["DyingEngine", Exchange], None]) -> None:
        self.model = "double"
        self.port = 0
        self.seen: Counter[str] = Counter()
        self.deaths = 0
        self._deed = deed
        self._listener = HttpListener(self._handle)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self.port = self._listener.start("127.0.0.1")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._listener.aclose()

    def die(self) -> None:
        """Cuts all connections at once; what watches it starts it again."""
        self.deaths += 1
        self._listener.stop()
        self._listener.start("127.0.0.1", self.port)

    def drop(self) -> None:
        """Closes the connections, as a server does with idle ones, and serves on."""
        for connection in tuple(self._listener.connections):
            connection.transport.close()

    async def _handle(self, exchange: Exchange) -> None:
        if exchange.method == "GET":
            await exchange.answer(200, MODELS if exchange.target == "/v1/models" else b"", "application/json")
            return
        user = orjson.loads(exchange.body).get("user", "")
        self.seen[user] += 1
        if user == "poison":
            self._deed(self, exchange)
        else:
            await exchange.answer(200, ANSWER)


def on_reading(engine: DyingEngine, _: Exchange) -> None:
    engine.die()


def after_the_headers(engine: DyingEngine, exchange: Exchange) -> None:
    exchange.transport.write(STREAM_HEADERS)
    asyncio.get_running_loop().call_later(0.01, engine.die)


def with_a_reset(engine: DyingEngine, exchange: Exchange) -> None:
    opened: socket.socket = exchange.transport.get_extra_info("socket")
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    engine.die()


def after_a_while(engine: DyingEngine, _: Exchange) -> None:
    asyncio.get_running_loop().call_later(0.05, engine.die)


def with_last_words(engine: DyingEngine, exchange: Exchange) -> None:
    head = b"HTTP/1.1 500 X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(LAST_WORDS)
    exchange.transport.write(head + LAST_WORDS)
    asyncio.get_running_loop().call_later(0.03, engine.die)
