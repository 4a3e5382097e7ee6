"""A connection to one Redis, by the `redis` package."""

from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from tandem_orchestrator.secret_file import SecretError
from tandem_orchestrator.store.script import RedisDown, Script

TIMEOUT: Final = 1.0
"""Seconds for a connection to come about, and again for an answer."""

URL_FORM: Final = "the URL must be redis://[user:password@]host:port/db, rediss:// or unix://"


class RedisClient:
    """Connects when it is first used. Raises `SecretError` if the URL cannot be understood."""

    def __init__(self, url: str) -> None:
        once = Retry(NoBackoff(), 0)  # whoever calls tries again in its own time
        try:
            self._redis: Redis = Redis.from_url(
                url, socket_connect_timeout=TIMEOUT, socket_timeout=TIMEOUT, retry=once, max_connections=1
            )
        except ValueError:  # quotes what it cannot read, which may be the password
            raise SecretError(URL_FORM) from None

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> Any:
        """Return what the script returns. Raises `RedisDown`."""
        try:
            try:
                return await self._redis.evalsha(script.sha, len(keys), *keys, *arguments)
            except NoScriptError:
                return await self._redis.eval(script.text, len(keys), *keys, *arguments)
        except (RedisError, OSError) as error:
            raise RedisDown(f"{type(error).__name__}: {error}") from None

    async def close(self) -> None:
        """Close what is open."""
        await self._redis.aclose()
