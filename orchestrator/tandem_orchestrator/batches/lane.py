"""Makes the lines of one model, as many at the same time as nobody else is the slower for."""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from time import monotonic
from typing import Final

import structlog

from tandem_orchestrator.batches.attempt import Later, Means, attempt
from tandem_orchestrator.batches.batch import Batch
from tandem_orchestrator.batches.ledger import Ledger
from tandem_orchestrator.batches.load import Loads
from tandem_orchestrator.batches.room import Bounds, Room
from tandem_orchestrator.batches.slowdown import Slowdown
from tandem_orchestrator.batches.supply import Job, Supply
from tandem_orchestrator.errors import GatewayError
from tandem_orchestrator.observability.metrics import BATCH_LINES
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.store.ids import new

TICK_SECONDS: Final = 0.01  # between two looks at the engines while there are lines
IDLE_SECONDS: Final = 0.5  # while there are none
PAUSE_SECONDS: Final = 1.0  # after a line found its engine away; doubles
LONGEST_PAUSE: Final = 30.0
BUDGET_SECONDS: Final = 30.0  # for which a batch rests whose key has used up its budget
LEAST_TOKENS: Final = 4  # of an answer from which it is learned how long a token takes
LEAST_SECONDS: Final = 0.1
CLOSE_SECONDS: Final = 10.0

log = structlog.get_logger()


class Lane:
    """`means` are asked for anew for each line, as the configuration may have changed."""

    def __init__(
        self, model: str, ledger: Ledger, means: Callable[[], Means], loads: Loads, slowdown: Slowdown
    ) -> None:
        self.model = model
        self.supply = Supply(ledger.work)
        self.problem: str | None = None
        """Why no line can be made."""
        self._ledger = ledger
        self._means = means
        self._loads = loads
        self._slowdown = slowdown
        self._room = Room(slowdown)
        self._requests = 0.0
        """Requests in an engine, times the seconds for which they were there."""
        self._looked = monotonic()
        self._capacity = 0
        self._tasks: dict[asyncio.Task[None], tuple[Job, Record]] = {}
        self._changed = asyncio.Event()
        self._pause = PAUSE_SECONDS
        self._rests_until = 0.0
        self._running = asyncio.get_running_loop().create_task(self._run())

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do any more."""
        return not self.supply and not self._tasks

    def add(self, batch: Batch) -> None:
        """Make a batch's lines."""
        self.supply.add(batch)
        self._changed.set()

    def drop(self, keys: Collection[tuple[str, str]]) -> None:
        """Make no more lines of some batches, and end those that are under way."""
        self.supply.drop(keys)
        for task, (job, _) in self._tasks.items():
            if job.source.batch.key in keys:
                task.cancel()

    async def close(self) -> None:
        """End everything; lines without an outcome are made again elsewhere."""
        tasks = [self._running, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=CLOSE_SECONDS)

    async def _run(self) -> None:
        while True:
            try:
                await self._fill()
            except GatewayError:  # of the database, which has been logged
                await asyncio.sleep(IDLE_SECONDS)
            except Exception:
                log.exception("lines of batches could not be begun", model=self.model)
                await asyncio.sleep(IDLE_SECONDS)
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS if self._tasks else IDLE_SECONDS):
                    await self._changed.wait()

    async def _fill(self) -> None:
        """End lines for which there is no room any more, or begin those for which there is."""
        while self.supply or self._tasks:
            bounds = self._bounds()
            self._end_beyond(bounds.keep)
            if len(self._tasks) >= bounds.begin or not self._ledger.has_room or self._rests_until > monotonic():
                return
            job = await self.supply.next()
            if job is None:
                return
            self._begin(job)

    def _bounds(self) -> Bounds:
        load, moment = self._loads.of(self.model), monotonic()
        self._requests += load.running * (moment - self._looked)
        self._looked = moment
        if load.capacity and load.capacity != self._capacity:
            self._capacity = load.capacity
            self._slowdown.bound(load.capacity / load.replicas)
        if load.replicas:
            self.problem = None
        elif self.problem is None and self.supply:
            self.problem = f"lines of batches wait, as no engine of {self.model!r} answers"
        return self._room.bounds(load, self._means().makers.config.batches.concurrency, moment)

    def _end_beyond(self, most: int) -> None:
        """End the youngest lines, which lose the least, but for those whose tools may have done something."""
        beyond = len(self._tasks) - most
        if beyond > 0:
            youngest = [task for task, (_, record) in reversed(self._tasks.items()) if not record.tool_calls]
            for task in youngest[:beyond]:
                if not task.cancelling():
                    task.cancel()

    def _begin(self, job: Job) -> None:
        record = Record(new())
        task = asyncio.get_running_loop().create_task(self._serve(job, record))
        self._tasks[task] = job, record

        def ended(_: asyncio.Task[None]) -> None:
            del self._tasks[task]
            if task.cancelled():
                job.source.give_back(job)
                BATCH_LINES.labels("put_off").inc()
            self._changed.set()

        task.add_done_callback(ended)

    async def _serve(self, job: Job, record: Record) -> None:
        began, requests = self._looked, self._requests
        try:
            outcome = await attempt(job.source.batch, job.line, job.failures, record, self._means())
        except Later as later:
            self._put_off(job, later)
            return
        self._pause = PAUSE_SECONDS
        BATCH_LINES.labels("failed" if outcome.failed else "completed").inc()
        self._ledger.add(job.span, job.place, outcome)
        seconds = self._looked - began
        if record.completion_tokens >= LEAST_TOKENS and seconds > LEAST_SECONDS and not record.tool_calls:
            self._learn((self._requests - requests) / seconds, seconds / record.completion_tokens)

    def _learn(self, running: float, seconds: float) -> None:
        """Note how long a token took while so many requests ran, unless some of them waited."""
        load = self._loads.of(self.model)
        if not load.capacity or running <= load.capacity / load.replicas:
            self._slowdown.note(running, seconds)

    def _put_off(self, job: Job, later: Later) -> None:
        moment = monotonic()
        source = job.source
        source.give_back(job)
        BATCH_LINES.labels("put_off").inc()
        if later.of_batch:
            if source.rests_until <= moment:
                log.info("a batch waits", id=source.batch.id, problem=later.why.message)
            source.rests_until = moment + BUDGET_SECONDS
        elif later.counts:
            job.failures += 1
        elif self._rests_until <= moment:
            log.info("lines of batches wait", model=self.model, problem=later.why.message, seconds=self._pause)
            self._rests_until = moment + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
