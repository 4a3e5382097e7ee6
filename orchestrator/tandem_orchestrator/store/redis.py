"""Redis: scripts that end soon, one way or the other."""

from collections.abc import Sequence
from hashlib import sha1
from typing import Any

from redis.asyncio import Redis as Client
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError
from tandem_contract.config import Redis

from tandem_orchestrator.secret_file import SecretError, read_secret

TIMEOUT = 1.0
"""Seconds for a connection to come about, and again for an answer."""

URL_FORM = "the URL must be redis://[user:password@]host:port/db, rediss:// or unix://"


class RedisDown(Exception):  # noqa: N818 # a state rather than a mistake
    """A script did not run, or nobody knows whether it did. The message says why and holds no secret."""


class Script:
    """Lua that Redis runs at once, or not at all."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = sha1(text.encode(), usedforsecurity=False).hexdigest()


class RedisStore:
    """Connected when it is first used, and anew after each failure, since the URL may have changed."""

    def __init__(self, settings: Redis) -> None:
        self._settings = settings
        self._client: Client | None = None

    def key(self, *parts: str) -> str:
        """The name of one of our keys. All share a hash tag, so that one script may use several in a cluster."""
        return ":".join((f"{{{self._settings.prefix}}}", *parts))

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> Any:
        """What the script returns. Raises `RedisDown`."""
        try:
            if self._client is None:
                self._client = _connect(self._url())
            try:
                return await self._client.evalsha(script.sha, len(keys), *keys, *arguments)
            except NoScriptError:
                return await self._client.eval(script.text, len(keys), *keys, *arguments)
        except (RedisError, SecretError, OSError) as error:
            await self.close()
            raise RedisDown(f"{type(error).__name__}: {error}") from None

    async def close(self) -> None:
        """Closes the connection; the next script opens another."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _url(self) -> str:
        if self._settings.url_from is not None:
            return read_secret(self._settings.url_from)
        return self._settings.url.get_secret_value() if self._settings.url is not None else ""


def _connect(url: str) -> Client:
    try:
        client: Client = Client.from_url(
            url, socket_connect_timeout=TIMEOUT, socket_timeout=TIMEOUT, retry=Retry(NoBackoff(), 0), max_connections=2
        )
    except ValueError:  # quotes what it cannot read, which may be the password
        raise SecretError(URL_FORM) from None
    return client
