"""All engines, and what is known about them."""

import asyncio

from tandem_contract import names
from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.engines.upstream import Engine


class Engines:
    """All configured engines; `watch()` keeps their state fresh."""

    def __init__(self, config: OrchestratorConfig) -> None:
        self.all: list[Engine] = []
        self.checked = False
        """True once each was checked."""
        self.version = 0
        """Grows whenever other models or replicas are here than before."""
        self.on_change = _nothing
        """Called when a replica may have become able to take requests, or no longer."""
        self._watching: dict[Engine, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self.update(config)

    @property
    def default_model(self) -> str | None:
        """The model of a request that names none: the first engine's first."""
        return next(iter(self.all[0].models), None)

    def degraded(self) -> list[str]:
        """One line for each engine that does not answer."""
        silent = (engine for engine in self.all if not engine.ready)
        return [names.ENGINE_PROBLEM.format(name=engine.name, problem=engine.problem) for engine in silent]

    def update(self, config: OrchestratorConfig) -> None:
        """Makes these the engines of `config`. Unchanged ones keep their connections and state."""
        before = {engine.name: engine for engine in self.all}
        self.all = []
        for upstream in config.upstreams:
            engine = before.get(upstream.name)
            if engine is not None and engine.upstream == upstream:
                del before[upstream.name]
                engine.tune(config.timeouts, config.routing)
            else:
                engine = Engine(upstream, config.timeouts, config.routing, self._changed)
            self.all.append(engine)
        for engine in before.values():
            engine.retire()
            if watching := self._watching.pop(engine, None):
                watching.cancel()
        self._watch_all()
        self._changed(True)  # noqa: FBT003 # the one argument there is

    async def watch(self) -> None:
        """Checks every engine again and again; runs until cancelled."""
        async with asyncio.TaskGroup() as self._group:
            self._watch_all()
            await asyncio.gather(*(engine.checked.wait() for engine in self.all))
            self.checked = True
            await asyncio.Event().wait()  # more engines may come

    def close(self) -> None:
        """Closes every connection."""
        for engine in self.all:
            engine.close()

    def _watch_all(self) -> None:
        if self._group is not None:
            for engine in self.all:
                if engine not in self._watching or self._watching[engine].done():
                    self._watching[engine] = self._group.create_task(engine.watch())

    def _changed(self, others: bool) -> None:  # noqa: FBT001 # as `Engine` says
        self.version += others
        self.on_change()


def _nothing() -> None:
    """Nobody listens."""
