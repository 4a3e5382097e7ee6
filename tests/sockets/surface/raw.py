"""A client that writes bytes, and as slowly as it likes."""

import asyncio
import socket
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.sockets.running import Orchestrator

CHAT_HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n"


class RawClient:
    """`async with RawClient(orchestrator) as client:`; `small_buffer` makes the kernel keep little of what comes."""

    def __init__(self, orchestrator: Orchestrator, *, small_buffer: bool = False) -> None:
        self._url = urlsplit(orchestrator.url)
        self._small_buffer = small_buffer

    async def __aenter__(self) -> Self:
        client = socket.socket()
        client.settimeout(0)
        if self._small_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await asyncio.get_running_loop().sock_connect(client, (self._url.hostname, self._url.port))
        self.reader, self.writer = await asyncio.open_connection(sock=client, limit=1024)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.transport.abort()

    def pause(self) -> None:
        """Reads nothing from now on."""
        transport: Any = self.writer.transport
        transport.pause_reading()

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def until_closed(self, seconds: float = 5.0) -> bytes:
        """All that comes until the server closes the connection."""
        received = b""
        async with asyncio.timeout(seconds):
            try:
                while data := await self.reader.read(65_536):
                    received += data
            except ConnectionResetError:
                pass
        return received

    async def answer(self) -> tuple[bytes, bytes]:
        """Head and body of one answer with a known length."""
        async with asyncio.timeout(20):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            return head, await self.reader.readexactly(length)
