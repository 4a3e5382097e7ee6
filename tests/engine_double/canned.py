"""An engine of any make: a server that answers each POST with given bytes, and speaks no HTTP of its own."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Self

from tests.engine_double.listener import stream_listener

MODELS = b'{"object":"list","data":[{"id":"double","object":"model"}]}'


class CannedEngine:
    """`async with CannedEngine() as engine:` serves at `engine.url`.

    A POST is answered with the pieces of the next of `answers`, the last of which stays; each leaves in a packet of its
    own. None among them closes the connection, and waiting follows the last one, so that only the client can end it.
    """

    model = "double"

    def __init__(self, *answers: Iterable[bytes | None]) -> None:
        self.answers = deque(answers)
        self.asked = 0
        self.left = 0
        """Connections that the client closed while they were being answered."""

    async def __aenter__(self) -> Self:
        self._listener = stream_listener(self._serve)
        self.url = f"http://127.0.0.1:{self._listener.start('127.0.0.1')}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._listener.aclose()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).lower():
                if head.startswith(b"get "):
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(MODELS) + MODELS)
                    continue
                await reader.readexactly(int(head.partition(b"content-length:")[2].split()[0]))
                self.asked += 1
                for piece in self.answers[0] if len(self.answers) == 1 else self.answers.popleft():
                    if piece is None:
                        return
                    writer.write(piece)
                    await _in_a_packet_of_its_own(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def _in_a_packet_of_its_own(writer: asyncio.StreamWriter) -> None:
    await writer.drain()
    for _ in range(3):  # turns of the loop, in which it is read
        await asyncio.sleep(0)


def whole(body: bytes, kind: bytes = b"application/json", status: bytes = b"200 OK", headers: bytes = b"") -> bytes:
    """An answer in one piece; `headers` are lines with their ends."""
    head = b"HTTP/1.1 %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n%b\r\n" % (status, kind, len(body), headers)
    return head + body


def streamed(*pieces: bytes, kind: bytes = b"text/event-stream") -> list[bytes | None]:
    """An answer in chunks."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n" % kind
    return [head, *(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n"]
