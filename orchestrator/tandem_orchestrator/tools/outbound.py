"""HTTP to the world outside, kept away from the network inside.

Link-local, loopback and private addresses (cloud metadata, the cluster's own services) are refused whichever way a
name or a redirect leads to them, unless the configuration itself names the host.
"""

import asyncio
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
import orjson
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

MAX_CONNECTIONS = 64
MAX_BYTES = 1_048_576  # of one answer
MAX_REDIRECTS = 3
NAT64 = IPv6Network("64:ff9b::/96")
USER_AGENT = "tandem-orchestrator"


class OutboundError(Exception):
    """A request to the outside failed; the message goes on from the service's name."""


class Blocked(OSError):  # noqa: N818
    """The address must not be reached from a tool."""


class OutboundGuard(AbstractResolver):
    """Resolves names, and opens sockets only to public addresses and to host and port of `configured` URLs.

    The check stands where the socket is made, after every redirect and resolution.
    """

    def __init__(self, configured: Iterable[str]) -> None:
        self._named = {_target(url) for url in configured}
        self._allowed = set(self._named)  # an address that a configuration names stands for itself
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of `host`."""
        found = await self._resolver.resolve(host, port, family)
        if (host, port) in self._named:
            self._allowed.update((result["host"], port) for result in found)
        return found

    async def close(self) -> None:
        """Ends its resolver."""
        await self._resolver.close()

    def open_socket(self, address: tuple[int, int, int, str, tuple[str | int, ...]]) -> socket.socket:
        """The socket for aiohttp to connect with. Raises `Blocked`."""
        family, kind, protocol, _, (host, port, *_) = address
        if (host, port) not in self._allowed and not _is_public(ip_address(str(host).partition("%")[0])):
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
        """The body read as JSON. Raises `OutboundError`."""
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
        """The answer, which may have `limit` bytes. Raises `OutboundError`."""
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
        except (aiohttp.ClientError, OSError) as error:
            raise OutboundError(reason(error)) from error

    async def get_json(self, url: str, query: Mapping[str, str]) -> tuple[int, Any]:
        """Status and JSON body of a GET. Raises `OutboundError`."""
        answer = await self.fetch(HttpRequest("GET", f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"))
        return answer.status, answer.json()

    def session(self) -> aiohttp.ClientSession:
        """The client underneath, for what `fetch` does not do."""
        if self._session is None:
            guard = OutboundGuard(self._configured)
            connector = aiohttp.TCPConnector(resolver=guard, socket_factory=guard.open_socket, limit=MAX_CONNECTIONS)
            self._session = aiohttp.ClientSession(connector=connector, headers={"user-agent": USER_AGENT})
        return self._session

    async def close(self) -> None:
        """Closes its connections."""
        if self._session is not None:
            await self._session.close()


def reason(error: Exception) -> str:
    """Why a request failed, going on from the service's name."""
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


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    inner: IPv4Address | None = None
    if isinstance(address, IPv6Address):  # gateways on the way may take the IPv4 address out of it
        inner = address.ipv4_mapped or address.sixtofour
        if address in NAT64:
            inner = IPv4Address(address.packed[-4:])
    return address.is_global and not address.is_multicast and (inner is None or _is_public(inner))
