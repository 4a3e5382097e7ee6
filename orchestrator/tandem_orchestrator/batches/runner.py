"""Works at batches: reads inputs, has their lines made, keeps the results. One process does so for all."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

import structlog
from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.batches.assembly import Assembly
from tandem_orchestrator.batches.attempt import Means, principal_of
from tandem_orchestrator.batches.batch import Batch, Problem
from tandem_orchestrator.batches.desk import Desk
from tandem_orchestrator.batches.lane import Lane
from tandem_orchestrator.batches.leading import LEASE_MS
from tandem_orchestrator.batches.ledger import Ledger
from tandem_orchestrator.batches.load import Loads
from tandem_orchestrator.batches.slowdown import Slowdown
from tandem_orchestrator.batches.validation import Validation
from tandem_orchestrator.batches.work import Lost
from tandem_orchestrator.errors import DatabaseDown, GatewayError
from tandem_orchestrator.observability.metrics import BATCH_AGE, BATCH_LINES_QUEUED, BATCHES, SWEPT
from tandem_orchestrator.part import Part
from tandem_orchestrator.store.rows import now

LOOK_SECONDS: Final = 1.0  # between two looks for what others have changed
WRITE_SECONDS: Final = 0.25  # for which outcomes wait for others
TELL_SECONDS: Final = 5.0  # between two times that it is counted what is left
SWEEP_SECONDS: Final = 60.0
STEPS: Final = 4  # inputs that are read, and results that are kept, at the same time
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
CLOSE_SECONDS: Final = 10.0
DAY_MS: Final = 86_400_000

Key = tuple[str, str]

log = structlog.get_logger()


@dataclass(slots=True)
class Stuck:
    """A batch whose next step failed, until it is tried again."""

    problem: str
    until: float
    """On the monotonic clock."""
    seconds: float


class Runner(Part):
    """`means` are those of the present configuration."""

    def __init__(
        self,
        config: OrchestratorConfig,
        desk: Desk,
        means: Callable[[], Means],
        loads: Loads,
        may_begin: Callable[[], bool],
    ) -> None:
        self._desk = desk
        self._work = desk.work
        self._means = means
        self._loads = loads
        self._may_begin = may_begin
        self._ledger = Ledger(self._work)
        self._lanes: dict[str, Lane] = {}
        self._slowdowns: dict[str, Slowdown] = {}
        """What was learned of models' engines, also from batches that have ended."""
        self._lane_of: dict[Key, Lane] = {}
        self._steps: dict[Key, asyncio.Task[None]] = {}
        self._stuck: dict[Key, Stuck] = {}
        self._led = 0.0
        """When it was last known, on the monotonic clock, that this process works at batches; 0 while it does not."""
        self._told = self._swept = 0.0
        self.update(config)

    def update(self, config: OrchestratorConfig) -> None:
        """Take changed settings."""
        self._days = config.files.retention_days

    @property
    def problems(self) -> list[str]:
        """A line for each thing that holds batches up."""
        stuck = [f"batches: {batch_id}: {stuck.problem}" for (_, batch_id), stuck in self._stuck.items()]
        return stuck + [f"batches: {lane.problem}" for lane in self._lanes.values() if lane.problem is not None]

    async def watch(self) -> None:
        """Work; run until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_looking())
                group.create_task(self._keep_writing())
        finally:
            await self._drop_all()

    async def close(self) -> None:
        """Write what is known, and let another process go on."""
        if self._led:
            with suppress(GatewayError):
                await self._ledger.write()
                await self._work.leave()

    async def _keep_looking(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._desk.batches.woken.wait()
            self._desk.batches.woken.clear()
            try:
                await self._look()
            except GatewayError:  # which has been logged, and shows in metrics and /health
                await self._end_if_lapsed()

    async def _keep_writing(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(WRITE_SECONDS):
                    await self._ledger.full.wait()
            try:
                refused = await self._ledger.write()
            except GatewayError:
                await asyncio.sleep(WRITE_SECONDS)
            else:
                if refused:
                    self._drop(refused)
                    self._desk.batches.woken.set()

    async def _look(self) -> None:
        if not self._desk.database.exists:
            return
        if not self._may_begin():
            await self._hand_over()
        elif (self._led or await self._work.any()) and await self._lead():
            unfinished = await self._work.unfinished()
            await self._arrange(unfinished)
            await self._tell()
            await self._sweep()
            if not unfinished and not self._steps:
                await self._hand_over()

    async def _lead(self) -> bool:
        """Return whether this process works at batches; where that is news, with nothing under way."""
        asked = monotonic()
        await self._end_if_lapsed()
        if self._led and asked - self._led < LEASE_MS / 4000:
            return True
        leads = await self._work.lead()
        if not leads:
            await self._end()
        elif not self._led:
            log.info("this process works at batches now")
        self._led = asked if leads else 0.0
        return leads

    async def _end_if_lapsed(self) -> None:
        """End everything where another process may have taken over."""
        if self._led and monotonic() - self._led > LEASE_MS / 1000:
            await self._end()

    async def _hand_over(self) -> None:
        if self._led:
            await self._drop_all()
            with suppress(GatewayError):
                await self._ledger.write()
            await self._work.leave()
            await self._end()

    async def _end(self) -> None:
        await self._drop_all()
        self._ledger = Ledger(self._work)
        self._stuck.clear()
        BATCH_LINES_QUEUED.set(0)
        BATCH_AGE.set(0)
        self._led = 0.0

    async def _drop_all(self) -> None:
        lanes, self._lanes = list(self._lanes.values()), {}
        self._lane_of.clear()
        steps = list(self._steps.values())
        for step in steps:
            step.cancel()
        await asyncio.gather(*(lane.close() for lane in lanes))
        if steps:
            await asyncio.wait(steps, timeout=CLOSE_SECONDS)

    async def _arrange(self, unfinished: dict[Key, str]) -> None:
        """Begin what is to be done for each batch, and end what is not."""
        self._drop({key for key in self._lane_of if unfinished.get(key) != "in_progress"})
        for key in self._stuck.keys() - unfinished.keys():
            del self._stuck[key]
        for key, status in unfinished.items():
            if status == "in_progress":
                if key not in self._lane_of:
                    await self._add(key)
            elif key not in self._steps and len(self._steps) < STEPS and self._is_due(key):
                self._begin(key, self._validate(key) if status == "validating" else self._assemble(key))
        for model, lane in tuple(self._lanes.items()):
            if lane.idle:
                del self._lanes[model]
                await lane.close()

    async def _add(self, key: Key) -> None:
        with suppress(Lost):
            batch = await self._work.batch(key)
            lane = self._lanes.get(batch.model)
            if lane is None:
                slowdown = self._slowdowns.setdefault(batch.model, Slowdown())
                lane = Lane(batch.model, self._ledger, self._means, self._loads, slowdown)
                self._lanes[batch.model] = lane
            self._lane_of[key] = lane
            lane.add(batch)

    def _drop(self, keys: set[Key]) -> None:
        for lane in {self._lane_of.pop(key) for key in keys & self._lane_of.keys()}:
            lane.drop(keys)

    def _is_due(self, key: Key) -> bool:
        stuck = self._stuck.get(key)
        return stuck is None or stuck.until <= monotonic()

    def _begin(self, key: Key, step: Coroutine[Any, Any, None]) -> None:
        task = self._steps[key] = asyncio.get_running_loop().create_task(self._guarded(key, step))

        def ended(_: asyncio.Task[None]) -> None:
            del self._steps[key]
            self._desk.batches.woken.set()

        task.add_done_callback(ended)

    async def _guarded(self, key: Key, step: Coroutine[Any, Any, None]) -> None:
        try:
            await step
        except Lost:  # somebody else has ended it, or works at it
            return
        except DatabaseDown as error:
            self._rest(key, error.message)
        except GatewayError as error:
            self._rest(key, error.message)
            with suppress(GatewayError, Lost):
                await self._work.note(
                    await self._work.batch(key), Problem(str(error.code or error.type), error.message)
                )
        except Exception:
            log.exception("a batch cannot go on", id=key[1])
            self._rest(key, "an internal error; the log has it")
        else:
            self._stuck.pop(key, None)

    def _rest(self, key: Key, problem: str) -> None:
        before = self._stuck.get(key)
        seconds = FIRST_PAUSE if before is None else min(2 * before.seconds, LONGEST_PAUSE)
        self._stuck[key] = Stuck(problem, monotonic() + seconds, seconds)
        log.warning("a batch waits", id=key[1], problem=problem, seconds=seconds)

    async def _validate(self, key: Key) -> None:
        batch, means = await self._work.batch(key), self._means()
        await Validation(batch, self._work, means.makers.config, self._names_for(batch, means)).run(self._desk.files)

    def _names_for(self, batch: Batch, means: Means) -> Callable[[str | None], str]:
        """Return what finds a model for whoever has made the batch; where that key is gone, lines will say it."""
        try:
            principal = principal_of(batch, means.keys)
        except GatewayError:
            return self._loads.name_of
        generator = means.makers.generator

        def name_of(name: str | None) -> str:
            name = name or generator.default_model
            return "" if name is None else generator.find(name, principal).name

        return name_of

    async def _assemble(self, key: Key) -> None:
        status = await Assembly(await self._work.batch(key), self._work, self._desk.files).run()
        BATCHES.labels(status).inc()
        log.info("a batch ended", id=key[1], status=status)

    async def _tell(self) -> None:
        if monotonic() - self._told < TELL_SECONDS:
            return
        self._told = monotonic()
        number, since = await self._work.lines()
        BATCH_LINES_QUEUED.set(number)
        BATCH_AGE.set((now() - since) / 1000)

    async def _sweep(self) -> None:
        if monotonic() - self._swept < SWEEP_SECONDS:
            return
        self._swept = monotonic()
        await self._work.clear()
        if self._days is not None:
            SWEPT.labels("batches").inc(await self._work.forget(now() - round(self._days * DAY_MS)))
