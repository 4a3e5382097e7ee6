"""Server-sent events, as they come off the wire."""

from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

import aiohttp
import orjson

DONE: Final = b"data: [DONE]"


class Event(NamedTuple):
    """One event: its `event:` line, and the document in its `data:` line."""

    name: str
    document: dict[str, Any]


async def read_events(response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """Yield a stream's events up to `[DONE]`; each has to come whole, in one chunk of the body."""
    done = False
    async for chunk in _chunks(response):
        assert chunk.endswith(b"\n\n"), f"an event is cut in two: {chunk[-200:]!r}"
        for block in chunk[:-2].split(b"\n\n"):
            assert not done, f"there is more after [DONE]: {block!r}"
            if block == DONE:
                done = True
            elif not block.startswith(b":"):
                yield _event(block)
    assert done, "the stream ended without [DONE]"


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    pieces = []
    async for piece, whole in response.content.iter_chunks():
        pieces.append(piece)
        if whole:
            yield b"".join(pieces)
            pieces.clear()
    assert not b"".join(pieces), pieces


def _event(block: bytes) -> Event:
    first, second = block.split(b"\n")
    assert first.startswith(b"event: "), block
    assert second.startswith(b"data: "), block
    return Event(first.removeprefix(b"event: ").decode(), orjson.loads(second.removeprefix(b"data: ")))
