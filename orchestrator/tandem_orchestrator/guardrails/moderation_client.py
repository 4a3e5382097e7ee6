"""HTTP to services that judge texts. They stand in the configuration, and may be inside of the network."""

from typing import Final

import aiohttp

from tandem_orchestrator.errors import Malformed, Unreachable
from tandem_orchestrator.part import Part

MOST_BYTES: Final = 262_144  # of an answer
MOST_CONNECTIONS: Final = 64  # to one of them
HEADERS: Final = {
    "user-agent": "tandem-orchestrator",
    "content-type": "application/json",
    "accept": "application/json",
    "accept-encoding": "identity",
}
OK: Final = 200


class ModerationClient(Part):
    """Keeps connections across reloads; opens none before it is used."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, url: str, body: bytes, key: str | None) -> bytes:
        """Return what the service answers to JSON. Follows no redirect. Raises `EngineError`."""
        headers = HEADERS if key is None else {**HEADERS, "authorization": f"Bearer {key}"}
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, limit_per_host=MOST_CONNECTIONS)
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False, trust_env=True)
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                if response.status != OK:
                    raise Malformed(f"the moderation service answered {response.status}")
                return await _read(response.content)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unreachable(f"the moderation service cannot be reached: {type(error).__name__}") from None

    async def close(self) -> None:
        """Close its connections."""
        if self._session is not None:
            await self._session.close()


async def _read(content: aiohttp.StreamReader) -> bytes:
    raw = bytearray()
    async for piece in content.iter_any():
        raw += piece
        if len(raw) > MOST_BYTES:
            raise Malformed(f"the moderation service answered with more than {MOST_BYTES} bytes")
    return bytes(raw)
