"""Which services to look at next: one at a time for each key, many keys at once, failures with growing pauses."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from tandem_operator.kube import metrics
from tandem_operator.kube.store import Key

logger = logging.getLogger(__name__)

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 120.0
SETTLE_SECONDS: Final = 0.1
"""News come in bursts: those of one service within this time are one piece of work."""


class WorkQueue:
    """Keys to work on. A key added while it is being worked on is worked on once more afterwards."""

    def __init__(self, work: Callable[[Key], Awaitable[None]], workers: int = 8) -> None:
        self._work = work
        self._workers = workers
        self._ready: asyncio.Queue[Key] = asyncio.Queue()
        self._waiting: set[Key] = set()
        self._running: set[Key] = set()
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}

    def add(self, key: Key) -> None:
        """Ask for work on a key; asking twice is asking once."""
        if key in self._running:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            metrics.QUEUE_DEPTH.set(len(self._waiting))
            asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._ready.put_nowait, key)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._serve())

    async def _serve(self) -> None:
        while True:
            key = await self._ready.get()
            self._waiting.discard(key)
            metrics.QUEUE_DEPTH.set(len(self._waiting))
            self._running.add(key)
            try:
                with metrics.RECONCILE_SECONDS.time():
                    await self._work(key)
            except Exception as error:  # noqa: BLE001 # whatever it was, the other services must go on
                self._retry(key, error)
            else:
                self._failures.pop(key, None)
                metrics.RECONCILES.labels(result="ok").inc()
            finally:
                self._running.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.add(key)

    def _retry(self, key: Key, error: Exception) -> None:
        failures = self._failures.get(key, 0) + 1
        self._failures[key] = failures
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (failures - 1))
        metrics.RECONCILES.labels(result="retry").inc()
        logger.warning(
            "%s/%s failed %d times, next attempt in %.0f s: %s: %s",
            *(*key, failures, pause, type(error).__name__, error),
            exc_info=None if isinstance(error, RetryError) else error,
        )
        asyncio.get_running_loop().call_later(pause, self.add, key)


class RetryError(Exception):
    """Expected trouble, such as an API server that does not answer: try again later."""
