"""The one queue through which a process writes: what waits while a transaction is under way shares the next one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Final, NamedTuple

from tandem_orchestrator.errors import DatabaseDown, GatewayError

if TYPE_CHECKING:  # what speaks SQL is imported late
    from tandem_orchestrator.store.statement import Job, Rows

MOST_IN_ONE: Final = 256  # jobs in a transaction
MOST_WAITING: Final = 10_000

Write = Callable[["Sequence[Job]"], "Awaitable[list[Rows]]"]


class Writer:
    """Commits jobs in groups, by `write`, which does a group altogether or not at all.

    `observe` is told how many seconds each job took from its arrival on. Where `write` raises what is no
    `GatewayError`, one job is to blame, and the others of its group are written without it.
    """

    def __init__(self, write: Write, observe: Callable[[float], None]) -> None:
        self._write = write
        self._observe = observe
        self._waiting: deque[Waiting] = deque()
        self._running: asyncio.Task[None] | None = None

    def add(self, job: "Job") -> "asyncio.Future[Rows]":
        """Write a job; what comes back is done once it is committed. Raises `DatabaseDown`."""
        if len(self._waiting) >= MOST_WAITING:
            raise DatabaseDown("the database cannot follow; too much waits to be written", retry_after=1)
        done: asyncio.Future[Rows] = asyncio.get_running_loop().create_future()
        self._waiting.append(Waiting(job, done, perf_counter()))
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._run())
        return done

    async def drained(self) -> None:
        """Wait until all that was added is written."""
        while self._running is not None:
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        try:
            while self._waiting:
                group = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_IN_ONE))]
                await self._commit(group)
        finally:
            self._running = None

    async def _commit(self, group: Sequence["Waiting"]) -> None:
        try:
            results = await self._write([waiting.job for waiting in group])
        except Exception as error:  # noqa: BLE001 # whoever waits gets it
            if len(group) > 1 and not isinstance(error, GatewayError):  # one of them is to blame
                for one in group:
                    await self._commit([one])
                return
            for waiting in group:
                if not waiting.done.done():
                    waiting.done.set_exception(error)
        else:
            ended = perf_counter()
            for waiting, rows in zip(group, results, strict=True):
                self._observe(ended - waiting.since)
                if not waiting.done.done():
                    waiting.done.set_result(rows)


class Waiting(NamedTuple):
    """A job that waits for its transaction."""

    job: "Job"
    done: "asyncio.Future[Rows]"
    since: float
