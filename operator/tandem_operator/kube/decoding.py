"""JSON of any depth.

Settings that are free JSON may be nested ten thousand deep, which is the API server's own bound. What works with them
calls itself for each level, and one object for which Python refuses that must not end the list or the watch of all
others. orjson reads 1,024 levels; Python's own json reads as deep as its version happens to.
"""

import json
import re
from typing import Any, Final, Self

import aiohttp
import orjson

DEEPEST: Final = 256
_TOKENS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]')
_OPENING: Final = (b"[", b"{")


def decoded(content: bytes) -> Any:
    """Read JSON; where it is too deep for Python, what is deeper than `DEEPEST` is null. ValueError: it is no JSON."""
    try:
        return orjson.loads(content)
    except ValueError:  # too deep, or nothing that json reads either
        return json.loads(shallow(content))


def readable(content: bytes) -> bytes:
    """Return JSON that Python can read and walk through: the same, or what is left of it."""
    if sum(map(content.count, _OPENING)) <= DEEPEST:
        return content  # the most frequent case, without reading it twice
    try:
        orjson.loads(content)
    except ValueError:
        return shallow(content)  # whoever reads it is to say what else is wrong with it
    return content


def shallow(content: bytes) -> bytes:
    """Return the same JSON with null in place of what is nested deeper than `DEEPEST`."""
    kept, depth, begin = [], 0, 0
    for token in _TOKENS.finditer(content):
        if token[0] in _OPENING:
            depth += 1
            if depth == DEEPEST + 1:
                kept.append(content[begin : token.start()])
        elif token[0] in (b"]", b"}"):
            depth -= 1
            if depth == DEEPEST:
                kept.append(b"null")
                begin = token.end()
    if depth <= DEEPEST:  # otherwise it ends in the middle, and is no JSON
        kept.append(content[begin:])
    return b"".join(kept)


class ShallowResponse(aiohttp.ClientResponse):
    """An answer of the API server, for those who read it with Python's own decoder."""

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        """Begin with the answer; what it streams comes line by line."""
        await super().start(connection)
        self.content = _Lines(self.content)  # type: ignore[assignment]
        return self

    async def json(self, **_: Any) -> Any:
        """Return the whole answer."""
        return decoded(await self.read())


class _Lines:
    """A stream of JSON, one document a line."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content
        self._rest = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    def iter_chunked(self, size: int) -> Self:
        self._chunks = self._content.iter_chunked(size)
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        lines: list[bytes] = []
        while not lines:
            *lines, self._rest = (self._rest + await anext(self._chunks)).split(b"\n")
        return b"".join(readable(line) + b"\n" for line in lines)
