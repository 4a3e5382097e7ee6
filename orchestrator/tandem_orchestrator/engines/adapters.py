"""The LoRA adapters of one upstream: which its replicas are to have, and which of them could not be loaded."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

import structlog
from tandem_contract import names
from tandem_contract.config import Adapter

from tandem_orchestrator.engines.replica import Replica
from tandem_orchestrator.errors import EngineError

LEAST_PAUSE: Final = 1.0
MOST_PAUSE: Final = 60.0  # after what failed

log = structlog.get_logger()


class Step(NamedTuple):
    """What a replica is to do: load an adapter from `path`, or without one to forget it."""

    name: str
    path: str | None


class Adapters:
    """The adapters that the replicas of one upstream are to have."""

    def __init__(self, wanted: Iterable[Adapter]) -> None:
        self._wanted: dict[str, str] = {}
        self.dropped: set[str] = set()
        """Those that are to be forgotten: nobody may use them while an engine has yet to."""
        self._failed: dict[str, dict[str, str]] = {}
        """What replicas said of one, by their addresses."""
        self.changed = asyncio.Event()
        """Set at the next change, and then another one."""
        self.update(wanted)

    @property
    def names(self) -> list[str]:
        """By which requests ask for them, loaded or not."""
        return list(self._wanted)

    @property
    def problems(self) -> list[str]:
        """A line for each that a replica could not load."""
        said = ((name, "; ".join(sorted({*told.values()}))) for name, told in self._failed.items() if told)
        return [names.ADAPTER_PROBLEM.format(name=name, problem=problem) for name, problem in said]

    def update(self, wanted: Iterable[Adapter]) -> None:
        """Take changed settings.

        Only those are to be forgotten that were here before: of another that an engine has, another orchestrator may
        have heard already.
        """
        before, self._wanted = self._wanted, {adapter.name: adapter.path for adapter in wanted}
        self.dropped = (self.dropped | before.keys()) - self._wanted.keys()
        self._failed = {}
        self.changed.set()
        self.changed = asyncio.Event()

    def steps(self, listed: Iterable[Mapping[str, Any]]) -> Iterator[Step]:
        """Yield what a replica with this list of models has yet to do; one from elsewhere is forgotten first."""
        found = {entry["id"]: entry.get("root") for entry in listed}
        for name, path in self._wanted.items():
            if found.get(name) != path:
                yield Step(name, None if name in found else path)
        yield from (Step(name, None) for name in sorted(self.dropped & found.keys()))

    async def keep(self, replica: Replica) -> None:
        """Have a replica load and forget what it should; run until cancelled."""
        pause = LEAST_PAUSE
        try:
            while True:
                changed = self.changed
                steps = list(self.steps(replica.listed)) if replica.ready else []
                self._settle(replica, steps)
                outcomes = [await self._take(step, replica) for step in steps]
                if any(outcomes):
                    await replica.doubt().wait()  # so that it lists what it has now
                pause = LEAST_PAUSE if all(outcomes) else min(2 * pause, MOST_PAUSE)
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await changed.wait()
        finally:
            for told in self._failed.values():
                told.pop(replica.pool.address, None)

    def _settle(self, replica: Replica, steps: list[Step]) -> None:
        """Forget what the replica said of those that it has now, whoever had it load them."""
        missing = {step.name for step in steps}
        for name, told in self._failed.items():
            if name not in missing:
                told.pop(replica.pool.address, None)

    async def _take(self, step: Step, replica: Replica) -> bool:
        """Return whether a replica did it, or another orchestrator had it done meanwhile."""
        path, body = (
            replica.type.load_adapter(step.name, step.path) if step.path else replica.type.drop_adapter(step.name)
        )
        told = self._failed.setdefault(step.name, {})
        try:
            await replica.order(path, body)
        except EngineError as error:
            if step.path and (words := replica.type.half_dropped_words) and words in error.problem:
                await self._take(Step(step.name, None), replica)
                return False
            try:
                if step not in self.steps(await replica.list_models()):
                    return True
            except EngineError:
                return False  # it is away, which is told elsewhere
            if told.get(replica.pool.address) != error.problem:
                log.warning("adapter", upstream=replica.upstream, adapter=step.name, problem=error.problem)
            told[replica.pool.address] = error.problem
            return False
        log.info("adapter", upstream=replica.upstream, adapter=step.name, loaded=step.path is not None)
        return True
