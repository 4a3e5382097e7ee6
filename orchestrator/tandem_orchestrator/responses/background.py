"""Makes the responses that wait for no client, and those that a process which is gone has left behind."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Final

import structlog
from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.errors import GatewayError, InternalError, NotFound
from tandem_orchestrator.observability.metrics import BACKGROUND_AGE, BACKGROUND_QUEUED, TAKEOVERS
from tandem_orchestrator.part import Part
from tandem_orchestrator.responses.attempt import MOST_ATTEMPTS, Attempt, Later, Means, end_unmade
from tandem_orchestrator.responses.queue import Run
from tandem_orchestrator.responses.store import Stored
from tandem_orchestrator.responses.stores import Stores
from tandem_orchestrator.store.rows import now

LIFE_SECONDS: Final = 5.0  # between two signs of life
LOOK_SECONDS: Final = 1.0  # between two looks for what others have queued
FIRST_PAUSE: Final = 1.0  # after an engine was found away; doubles
LONGEST_PAUSE: Final = 30.0
CLOSE_SECONDS: Final = 10.0

log = structlog.get_logger()


@dataclass(slots=True)
class Pause:
    """How long the queue of a model rests whose engine is away."""

    seconds: float = FIRST_PAUSE
    until: float = 0.0
    """On the monotonic clock."""

    def begin(self) -> None:
        """Rest, longer each time."""
        self.until = monotonic() + self.seconds
        self.seconds = min(2 * self.seconds, LONGEST_PAUSE)


class Background(Part):
    """Takes responses from the queue, as many as may be made at the same time."""

    def __init__(
        self,
        config: OrchestratorConfig,
        stores: Stores,
        means: Callable[[], Means],
        may_begin: Callable[[], bool],
    ) -> None:
        self._stores = stores
        self._runs, self._queue, self._leases = stores.runs, stores.queue, stores.leases
        self._queue.on_cancelled = self._cancel
        self._means = means
        self._may_begin = may_begin
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._absent: dict[str, Pause] = {}
        self._forgotten: set[tuple[str, str]] = set()
        self.update(config)

    def update(self, config: OrchestratorConfig) -> None:
        """Take changed settings."""
        self._settings = config.responses.background

    async def watch(self) -> None:
        """Take what is queued and what is left behind, and give signs of life; run until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_living())
            group.create_task(self._keep_taking())

    async def close(self) -> None:
        """Give back what can go on elsewhere, and end the rest."""
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=CLOSE_SECONDS)
        await self._runs.endings.ended()
        with suppress(GatewayError):
            await self._leases.leave()

    async def _keep_taking(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._queue.woken.wait()
            self._queue.woken.clear()
            with suppress(GatewayError):  # which has been logged, and shows in metrics and /health
                await self._take()

    async def _take(self) -> None:
        room = self._settings.concurrency - len(self._tasks)
        if room <= 0 or not self._may_begin() or not self._stores.database.exists:
            return
        if await self._queue.any_queued():
            moment = monotonic()
            absent = [model for model, pause in self._absent.items() if pause.until > moment]
            for run in await self._queue.claim(room, absent):
                self._begin(run)

    async def _keep_living(self) -> None:
        while True:
            with suppress(GatewayError):
                if self._stores.database.exists:
                    await self._live()
            await asyncio.sleep(LIFE_SECONDS)

    async def _live(self) -> None:
        if self._tasks or self._runs.active or self._forgotten or not self._leases.settled:
            await self._leases.live()
        number, since = await self._queue.queued()
        BACKGROUND_QUEUED.set(number)
        BACKGROUND_AGE.set((now() - since) / 1000)
        tasks = dict(self._tasks)  # those that are begun meanwhile may not be in what is read
        mine = await self._runs.mine()
        lost = [tasks[key] for key in tasks.keys() - mine]  # cancelled, or taken over
        for task in lost:
            task.cancel()
        if lost:  # or what is taken again below would be given back by the attempt before
            await asyncio.wait(lost, timeout=CLOSE_SECONDS)
        forgotten = mine - self._tasks.keys() - self._runs.active
        for key in forgotten & self._forgotten:  # their end could not be written
            await self._runs.abandon(*key)
        self._forgotten = forgotten
        if not (self._may_begin() and self._leases.settled):
            return
        expired = now() - round(self._settings.max_queued_seconds * 1000)
        for run in await self._queue.claim_left(self._settings.concurrency, expired):
            TAKEOVERS.inc()
            self._begin(run)

    def _cancel(self, tenant: str, response_id: str) -> None:
        """End what is made here; what others make, they notice within some seconds."""
        if (task := self._tasks.get((tenant, response_id))) is not None:
            task.cancel()

    def _begin(self, run: Run) -> None:
        key = (run.tenant, run.id)
        task = asyncio.get_running_loop().create_task(self._serve(run))
        self._tasks[key] = task

        def ended(_: asyncio.Task[None]) -> None:
            if self._tasks.get(key) is task:
                del self._tasks[key]
            self._queue.woken.set()

        task.add_done_callback(ended)

    async def _serve(self, run: Run) -> None:
        try:
            await self._make(run)
        except NotFound:
            pass  # deleted meanwhile, and its run with it
        except GatewayError as error:  # of the database: its run is abandoned soon
            log.warning("a response could not be made", id=run.id, problem=error.message)
        except Exception:
            log.exception("a response could not be made", id=run.id)
            with suppress(GatewayError):
                await end_unmade(self._runs, await self._stores.responses.get(run.tenant, run.id), InternalError())

    async def _make(self, run: Run) -> None:
        stored = await self._stores.responses.get(run.tenant, run.id)
        if problem := self._hopeless(run, stored):
            await end_unmade(self._runs, stored, GatewayError(problem))
            return
        attempt = Attempt(run, stored, self._means())
        try:
            await attempt.make()
        except Later as later:
            pause = self._absent.setdefault(later.model, Pause()) if later.model else Pause()
            pause.begin()
            log.info("a response waits", id=run.id, problem=later.why.message, seconds=pause.seconds)
            rest = round((pause.until - monotonic()) * 1000)
            await self._queue.release(run, rest, attempt.put_off(), counts=later.counts)
        else:
            self._absent.pop(attempt.model, None)

    def _hopeless(self, run: Run, stored: Stored) -> str | None:
        """Return why a response cannot be made any more."""
        if not run.request:
            return "the server that made this response for its client is gone"
        if stored.status == "queued" and now() - run.queued > self._settings.max_queued_seconds * 1000:
            return f"it was queued for more than {self._settings.max_queued_seconds:g} s"
        if run.attempts > MOST_ATTEMPTS:
            return f"{MOST_ATTEMPTS} servers were lost, or failed, while they made it"
        if run.in_tools:
            return "the server was lost while tools ran; whether they have done something is not known"
        return None
