"""The Redis that replicas share: scripts that end soon, one way or the other."""

import asyncio
from collections.abc import Sequence
from typing import Any

from tandem_contract.config import Redis

from tandem_orchestrator.secret_file import SecretError, read_secret
from tandem_orchestrator.store.script import RedisDown, Script


class RedisStore:
    """Connected when it is first used, and anew after each failure, since the URL may have changed."""

    def __init__(self, settings: Redis) -> None:
        from tandem_orchestrator.store.redis_client import RedisClient  # noqa: PLC0415 # 9 MB that few need

        self._new = RedisClient
        self._settings = settings
        self._client: RedisClient | None = None
        self._busy = asyncio.Lock()

    def key(self, *parts: str) -> str:
        """Return the name of one of our keys. All share a hash tag, so that one script may use several in a cluster."""
        return ":".join((f"{{{self._settings.prefix}}}", *parts))

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> Any:
        """Return what the script returns; one runs after the other. Raises `RedisDown`."""
        async with self._busy:
            try:
                if self._client is None:
                    self._client = self._new(self._url())
                return await self._client.run(script, keys, arguments)
            except SecretError as error:
                raise RedisDown(str(error)) from None
            except RedisDown:
                await self._disconnect()
                raise

    async def close(self) -> None:
        """Close the connection, once the script that runs has ended."""
        async with self._busy:
            await self._disconnect()

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _url(self) -> str:
        if self._settings.url_from is not None:
            return read_secret(self._settings.url_from)
        return self._settings.url.get_secret_value() if self._settings.url is not None else ""
