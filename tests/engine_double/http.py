"""A bare HTTP/1.1 server, near enough to the wire to break the protocol on purpose."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self, cast

import httptools

from tests.engine_double.listener import Listener


class Exchange:
    """One request, and the means to answer it."""

    def __init__(self, method: str, target: str, headers: dict[str, str], transport: asyncio.Transport) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.body = b""
        self.keep_alive = True
        self.transport = transport
        self._writable = asyncio.Event()
        self._writable.set()

    async def write(self, data: bytes) -> None:
        await self._writable.wait()
        self.transport.write(data)

    async def head(self, status: int, headers: dict[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
        await self.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def answer(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        fields = {"content-type": kind, "content-length": str(len(body)), **headers}
        lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in fields.items())]
        await self.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)

    async def piece(self, data: bytes) -> None:
        await self.write(b"%x\r\n%b\r\n" % (len(data), data))

    def cut(self) -> None:
        self.transport.close()

    def pause(self) -> None:
        self._writable.clear()

    def resume(self) -> None:
        self._writable.set()


class HttpProtocol(asyncio.Protocol):
    """Hands each request to `handle` in a task of its own, which is cancelled when the client leaves."""

    def __init__(self, handle: Callable[[Exchange], Awaitable[None]], open_ones: set["HttpProtocol"]) -> None:
        self._handle = handle
        self._open = open_ones
        self._parser = httptools.HttpRequestParser(self)
        self._exchange: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport

    @property
    def idle(self) -> bool:
        return self._task is None or self._task.done()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # asyncio names it
        self._open.discard(self)
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def pause_writing(self) -> None:
        if self._exchange is not None:
            self._exchange.pause()

    def resume_writing(self) -> None:
        if self._exchange is not None:
            self._exchange.resume()

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode().lower(), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        self._exchange = Exchange(method, self._target.decode(), self._headers, self.transport)
        self._exchange.body = b"".join(self._body)
        self._task = asyncio.get_running_loop().create_task(self._run(self._exchange))

    async def _run(self, exchange: Exchange) -> None:
        await self._handle(exchange)


class HttpListener(Listener):
    """Speaks HTTP on its connections."""

    def __init__(self, handle: Callable[[Exchange], Awaitable[None]]) -> None:
        super().__init__(lambda: HttpProtocol(handle, self.connections))
        self.connections: set[HttpProtocol] = set()

    def stop(self) -> None:
        """Takes no connection from now on, and cuts those that are open."""
        self.refuse()
        for connection in tuple(self.connections):
            connection.transport.abort()


class HttpServer:
    """`async with` a subclass: it serves at `url`, on a free port, and answers in `_handle`."""

    address = "127.0.0.1"

    async def __aenter__(self) -> Self:
        self._listener = HttpListener(self._handle)
        self.port = self._listener.start(self.address)
        self.url = f"http://{self.address}:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._listener.aclose()

    async def _handle(self, exchange: Exchange) -> None:
        raise NotImplementedError
