"""A Redis that nothing depends on: it is waited for a moment at most, and left alone for a while after it failed."""

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import Any, Final

import structlog

from tandem_orchestrator.store.redis import RedisStore
from tandem_orchestrator.store.script import RedisDown, Script

WAIT_SECONDS: Final = 0.25
"""For which a request waits for Redis; to embed a text takes an engine 5 to 50 ms, and to answer a chat far more."""
REST_SECONDS: Final = 5.0
"""For which Redis is not asked after it failed or took longer."""

log = structlog.get_logger()


class RedisCache:
    """Runs scripts; `away` is what the log tells when it cannot."""

    def __init__(self, redis: RedisStore, away: str) -> None:
        self._redis = redis
        self._away = away
        self._rests_until = 0.0
        self._running: set[asyncio.Task[Any]] = set()

    @property
    def under_way(self) -> int:
        """How many scripts run, or wait for their turn."""
        return len(self._running)

    def key(self, *parts: str) -> str:
        """Return the name of one of our keys."""
        return self._redis.key(*parts)

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[bytes | int]) -> Any:
        """Return what the script returns. Raises `RedisDown` where Redis rests, fails or takes too long."""
        task = self.begin(script, keys, arguments)
        await asyncio.wait({task}, timeout=WAIT_SECONDS)
        if not task.done():
            problem = f"no answer within {WAIT_SECONDS:g} s"
            self._rest(problem)
            raise RedisDown(problem)
        try:
            return task.result()
        except RedisDown:
            raise
        except Exception as error:
            raise RedisDown(repr(error)) from error

    def begin(self, script: Script, keys: Sequence[str], arguments: Sequence[bytes | int]) -> asyncio.Task[Any]:
        """Run a script for which nobody has to wait. Raises `RedisDown` where Redis rests."""
        if monotonic() < self._rests_until:
            raise RedisDown("it has failed a moment ago")
        # A task that ends by itself: broken off, redis-py might give the next one its answer.
        task = asyncio.create_task(self._redis.run(script, keys, arguments))
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def close(self) -> None:
        """Close the connection, once what runs on it has ended."""
        await self._redis.close()
        if self._running:
            await asyncio.wait(self._running)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._rest(str(error) if isinstance(error, RedisDown) else repr(error))

    def _rest(self, problem: str) -> None:
        if monotonic() >= self._rests_until:
            log.warning(self._away, problem=problem, seconds=REST_SECONDS)
        self._rests_until = monotonic() + REST_SECONDS
