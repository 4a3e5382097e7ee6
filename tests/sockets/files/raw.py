"""Requests byte by byte, as no library would send them."""

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson

BOUNDARY = "x-boundary"


def part(name: str, value: bytes, *, filename: str | None = None, headers: str = "") -> bytes:
    """A field of a form, with the boundary before it."""
    of_file = f'; filename="{filename}"' if filename is not None else ""
    head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"{of_file}\r\n{headers}\r\n'
    return head.encode() + value + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()
PURPOSE = part("purpose", b"user_data")


def head(path: str = "/v1/files", *, key: str = "key-a", length: int | None = None, kind: str | None = None) -> bytes:
    """The head of a request whose body comes in chunks, unless it has a length."""
    kind = kind or f"multipart/form-data; boundary={BOUNDARY}"
    size = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    lines = (f"POST {path} HTTP/1.1", "host: x", f"authorization: Bearer {key}", f"content-type: {kind}", size)
    return "\r\n".join((*lines, "", "")).encode()


@asynccontextmanager
async def connection(orchestrator: Any):
    port = int(orchestrator.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def answer(reader: asyncio.StreamReader, seconds: float = 10.0) -> tuple[int, Any]:
    """Status and JSON of an answer."""
    async with asyncio.timeout(seconds):
        text = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(text.partition("content-length: ")[2].partition("\r\n")[0])
        return int(text.split()[1]), orjson.loads(await reader.readexactly(length))


async def posted(orchestrator: Any, body: bytes, **fields: Any) -> tuple[int, Any]:
    """Status and JSON for a whole body with its length."""
    async with connection(orchestrator) as (reader, writer):
        writer.write(head(length=len(body), **fields) + body)
        return await answer(reader)
