"""Finds the addresses behind a name."""

import asyncio
import socket

NO_ADDRESS = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of `host`, none if it has none now. Raises `OSError` when nobody can tell."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in NO_ADDRESS:
            return []
        raise
    return sorted({str(entry[4][0]) for entry in found})
