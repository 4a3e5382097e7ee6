"""HTTP to the world outside, kept away from the network inside.

Link-local, loopback and private addresses (cloud metadata, the cluster's own services) are refused whichever way a
name or a redirect leads to them, unless the configuration itself names the host.
"""

import socket
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

MAX_CONNECTIONS = 64
MAX_BYTES = 1_048_576  # of one answer


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
        if (host, port) not in self._allowed and not ip_address(str(host).partition("%")[0]).is_global:
            raise Blocked(f"{host} is not a public address")
        return socket.socket(family, kind, protocol)


class Http:
    """A client behind an `OutboundGuard`; it opens nothing before its first request."""

    def __init__(self, configured: Iterable[str]) -> None:
        self._configured = tuple(configured)
        self._session: aiohttp.ClientSession | None = None

    async def get_json(self, url: str, query: dict[str, str]) -> tuple[int, Any]:
        """Status and JSON body of a GET. Raises `OutboundError`."""
        try:
            async with self._open().get(url, params=query, max_redirects=3) as response:
                return response.status, orjson.loads(await _read(response.content))
        except (aiohttp.ClientError, OSError) as error:
            raise OutboundError(f"cannot be reached: {type(error).__name__}") from error
        except orjson.JSONDecodeError:
            raise OutboundError("did not answer in JSON") from None

    async def close(self) -> None:
        """Closes its connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            guard = OutboundGuard(self._configured)
            connector = aiohttp.TCPConnector(resolver=guard, socket_factory=guard.open_socket, limit=MAX_CONNECTIONS)
            self._session = aiohttp.ClientSession(connector=connector, headers={"user-agent": "tandem-orchestrator"})
        return self._session


async def _read(content: aiohttp.StreamReader) -> bytes:
    raw = b""
    async for piece in content.iter_any():
        raw += piece
        if len(raw) > MAX_BYTES:
            raise OutboundError(f"answered with more than {MAX_BYTES} bytes")
    return raw


def _target(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
