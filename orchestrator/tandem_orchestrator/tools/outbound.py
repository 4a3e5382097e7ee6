"""HTTP to the world outside, kept away from the network inside.

What is not the open internet (cloud metadata, the cluster's own services) is refused whichever way a name or a redirect
leads to it, unless the configuration itself names the host.
"""

import asyncio
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import aiohttp
import orjson
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from tandem_orchestrator.tools.address import is_public

MAX_CONNECTIONS: Final = 64
MAX_BYTES: Final = 1_048_576  # of one answer
MAX_REDIRECTS: Final = 3
USER_AGENT: Final = "tandem-orchestrator"


class OutboundError(Exception):
    """A request to the outside failed; the message goes on from the service's name."""


class Blocked(OSError):
    """The address must not be reached from a tool."""


class _Found(str):
    """An address that a name led to; `open_port` is set if the configuration names that host and port."""

    __slots__ = ("open_port",)
    open_port: int | None


class OutboundGuard(AbstractResolver):
    """Resolves names, and opens sockets only to public addresses and to host and port of `configured` URLs.

    The check stands where the socket is made, after every redirect and resolution, so that what is checked is what is
    connected to. An address that a configured name leads to is open under that name alone: behind it may stand others.
    """

    def __init__(self, configured: Iterable[str]) -> None:
        self._named = {_target(url) for url in configured}
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of `host`."""
        results = await self._resolver.resolve(host, port, family)
        for result in results:
            result["host"] = found = _Found(result["host"])
            found.open_port = port if (host.lower(), port) in self._named else None
        return results

    async def close(self) -> None:
        """Close the resolver."""
        await self._resolver.close()

    def open_socket(self, address: tuple[int, int, int, str, tuple[str | int, ...]]) -> socket.socket:
        """Return the socket for aiohttp to connect with. Raises `Blocked`."""
        family, kind, protocol, _, (host, port, *_) = address
        named = host.open_port == port if isinstance(host, _Found) else (str(host).lower(), port) in self._named
        if not named and not is_public(str(host)):
            raise Blocked(f"{host} is not a public address")
        return socket.socket(family, kind, protocol)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request that is ready to be sent; `url` is encoded and has its query."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service said; `kind` is its media type, in small letters and without parameters."""

    status: int
    kind: str
    body: bytes

    def json(self) -> Any:
        """Return the body read as JSON. Raises `OutboundError`."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise OutboundError("did not answer in JSON") from None


class Http:
    """A client behind an `OutboundGuard` of its own; it opens nothing before its first request."""

    def __init__(self, configured: Iterable[str]) -> None:
        self._configured = tuple(configured)
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, request: HttpRequest, *, redirects: int = MAX_REDIRECTS, limit: int = MAX_BYTES) -> Answer:
        """Return the answer, which may have `limit` bytes. Raises `OutboundError`."""
        try:
            async with self.session().request(
                request.method,
                URL(request.url, encoded=True),
                headers=request.headers,
                data=request.body,
                allow_redirects=redirects > 0,
                max_redirects=redirects or 1,
            ) as response:
                return Answer(response.status, response.content_type.lower(), await _read(response.content, limit))
        except (aiohttp.ClientError, OSError, ValueError) as error:  # the last for a redirect to what can be no name
            raise OutboundError(reason(error)) from error

    async def get_json(self, url: str, query: Mapping[str, str]) -> tuple[int, Any]:
        """Return status and JSON body of a GET. Raises `OutboundError`."""
        answer = await self.fetch(HttpRequest("GET", f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"))
        return answer.status, answer.json()

    def session(self) -> aiohttp.ClientSession:
        """Return the client underneath, for what `fetch` does not do."""
        if self._session is None:
            guard = OutboundGuard(self._configured)
            connector = aiohttp.TCPConnector(resolver=guard, socket_factory=guard.open_socket, limit=MAX_CONNECTIONS)
            self._session = aiohttp.ClientSession(connector=connector, headers={"user-agent": USER_AGENT})
        return self._session

    async def close(self) -> None:
        """Close its connections."""
        if self._session is not None:
            await self._session.close()


def reason(error: Exception) -> str:
    """Return why a request failed, going on from the service's name."""
    if isinstance(error, asyncio.TimeoutError):
        return "did not answer in time"
    if isinstance(error, Blocked) or isinstance(getattr(error, "os_error", None), Blocked):
        return "cannot be reached: it leads to an address that is not public"
    return f"cannot be reached: {type(error).__name__}"


async def _read(content: aiohttp.StreamReader, limit: int) -> bytes:
    pieces, size = [], 0
    async for piece in content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            raise OutboundError(f"answered with more than {limit} bytes")
    return b"".join(pieces)


def _target(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
