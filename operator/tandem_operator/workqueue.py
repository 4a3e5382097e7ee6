"""Which services to look at next: one at a time for each key, many keys at once, failures with growing pauses."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from tandem_operator.kube import metrics
from tandem_operator.kube.store import Key

logger = logging.getLogger(__name__)

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 120.0
SETTLE_SECONDS: Final = 0.1
"""News come in bursts: those of one service within this time are one piece of work."""
LONGEST_ATTEMPT: Final = 90.0
PATIENCE: Final = 30.0
"""How long a key may fail before that is told."""
_MOST_DOUBLINGS: Final = 16
_ROUTINE_TURN: Final = 4
"""One of so many turns is for what is not urgent, whatever else there is."""


class WorkQueue:
    """Keys to work on. A key added while it is being worked on is worked on once more afterwards.

    `report` is called with a key that has been failing for PATIENCE, and the error, at each further failure.
    """

    def __init__(
        self,
        work: Callable[[Key], Awaitable[None]],
        report: Callable[[Key, Exception], Awaitable[None]],
        workers: int = 8,
    ) -> None:
        self._work = work
        self._report = report
        self._workers = workers
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._urgent, self._routine = _Line(), _Line()
        self._in_line = asyncio.Semaphore(0)
        self._turns = 0
        self._running: set[Key] = set()
        self._again: dict[Key, bool] = {}
        self._settling: dict[Key, bool] = {}
        self._failures: dict[Key, _Failures] = {}

    def add(self, key: Key, *, urgent: bool = False) -> None:
        """Ask for work on a key, now and not when a failed attempt's pause is over; asking twice is asking once.

        What is urgent goes before what is not.
        """
        if key in self._running:
            self._again[key] = urgent or self._again.get(key, False)
        elif key in self._routine:
            if urgent:
                self._routine.remove(key)
                self._urgent.append(key)
        elif key not in self._urgent:
            if key not in self._settling:
                self._set_timer(key, SETTLE_SECONDS)
            self._settling[key] = urgent or self._settling.get(key, False)
            self._measure()

    def pauses(self, key: Key) -> bool:
        """Return whether a key has failed and waits for its next attempt."""
        return key in self._timers and key not in self._settling

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._serve())

    async def _serve(self) -> None:
        while True:
            await self._in_line.acquire()
            key = self._next()
            self._running.add(key)
            self._measure()
            begun = asyncio.get_running_loop().time()
            try:
                with metrics.RECONCILE_SECONDS.time():
                    await self._attempt(key)
            except Exception as error:  # noqa: BLE001 # whatever it was, the other services must go on
                await self._put_off(key, error, begun)
            else:
                self._failures.pop(key, None)
                metrics.RECONCILES.labels(result="ok").inc()
            finally:
                self._running.discard(key)
            if key in self._again:
                self.add(key, urgent=self._again.pop(key))
            self._measure()

    async def _attempt(self, key: Key) -> None:
        try:
            async with asyncio.timeout(LONGEST_ATTEMPT) as limit:
                await self._work(key)
        except TimeoutError as error:
            if limit.expired():
                raise RetryError(f"it was not done after {LONGEST_ATTEMPT:.0f} s") from error
            raise

    async def _put_off(self, key: Key, error: Exception, begun: float) -> None:
        failures = self._failures.setdefault(key, _Failures(begun))
        failures.count += 1
        metrics.RECONCILES.labels(result="retry").inc()
        if asyncio.get_running_loop().time() - failures.since >= PATIENCE:
            await self._report(key, error)
        # News that came during the attempt may be the remedy, but may as well be what the attempt itself has done.
        pause = FIRST_PAUSE if self._again.pop(key, None) is not None else _pause(failures.count)
        logger.warning(
            "%s/%s failed %d times, next attempt in %.0f s: %s: %s",
            *(*key, failures.count, pause, type(error).__name__, error),
            exc_info=None if isinstance(error, RetryError) else error,
        )
        self._set_timer(key, pause)

    def _set_timer(self, key: Key, seconds: float) -> None:
        """Let a key get in line after a pause, and not after the one that was set before."""
        if former := self._timers.pop(key, None):
            former.cancel()
        self._timers[key] = asyncio.get_running_loop().call_later(seconds, self._enqueue, key)

    def _enqueue(self, key: Key) -> None:
        del self._timers[key]
        line = self._urgent if self._settling.pop(key, False) else self._routine
        line.append(key)
        self._in_line.release()

    def _next(self) -> Key:
        self._turns += 1
        first, second = self._urgent, self._routine
        if self._turns % _ROUTINE_TURN == 0:
            first, second = second, first
        return (first or second).take()

    def _measure(self) -> None:
        metrics.QUEUE_DEPTH.set(len(self._settling) + len(self._urgent) + len(self._routine) + len(self._running))
        metrics.FAILING.set(len(self._failures))


class _Line:
    """Keys in line: their namespaces take turns, so that what is many in one does not keep the others waiting."""

    def __init__(self) -> None:
        self._keys: dict[str, dict[Key, None]] = {}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __contains__(self, key: Key) -> bool:
        return key in self._keys.get(key.namespace, ())

    def append(self, key: Key) -> None:
        self._keys.setdefault(key.namespace, {})[key] = None
        self._length += 1

    def remove(self, key: Key) -> None:
        of_namespace = self._keys[key.namespace]
        del of_namespace[key]
        if not of_namespace:
            del self._keys[key.namespace]
        self._length -= 1

    def take(self) -> Key:
        namespace, of_namespace = next(iter(self._keys.items()))
        key = next(iter(of_namespace))
        self.remove(key)
        if of_namespace:  # to the end, for its next turn
            self._keys[namespace] = self._keys.pop(namespace)
        return key


@dataclass
class _Failures:
    """What a key has failed at since it last succeeded; `since` is the begin of the first such attempt."""

    since: float
    count: int = 0


def _pause(failures: int) -> float:
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, _MOST_DOUBLINGS))


class RetryError(Exception):
    """Expected trouble, such as an API server that does not answer: try again later."""
