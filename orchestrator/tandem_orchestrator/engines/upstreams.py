"""All engines, and what is known about them."""

import asyncio
from typing import TYPE_CHECKING

from tandem_contract import names
from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.engines.upstream import Upstream
from tandem_orchestrator.part import Part

if TYPE_CHECKING:
    from collections.abc import Callable


class Upstreams(Part):
    """All configured engines; `watch()` keeps their state fresh."""

    def __init__(self, config: OrchestratorConfig) -> None:
        self.all: list[Upstream] = []
        self.checked = False
        """True once each was checked."""
        self.version = 0
        """Grows whenever other models or replicas are here than before."""
        self.on_change = _nothing
        """Called when a replica may have become able to take requests, or no longer."""
        self.on_free: list[Callable[[], None]] = []
        """What is called whenever a replica has one request less."""
        self._watching: dict[Upstream, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self.update(config)

    @property
    def default_model(self) -> str | None:
        """The model of a request that names none: the first upstream's first."""
        return next(iter(self.offered[0].models), None)

    @property
    def offered(self) -> list[Upstream]:
        """Those whose models clients may ask for: all but candidates."""
        return [upstream for upstream in self.all if upstream.settings.candidate_of is None]

    def candidate(self, beside: Upstream) -> Upstream | None:
        """Return the one that takes a share of another's requests, if there is one."""
        return next((upstream for upstream in self.all if upstream.settings.candidate_of == beside.name), None)

    @property
    def problems(self) -> list[str]:
        """A line for each upstream that does not answer, and for each adapter that is not loaded. Of candidates nothing
        is said, as nobody waits for them.
        """
        silent = (upstream for upstream in self.offered if not upstream.ready)
        lines = [names.UPSTREAM_PROBLEM.format(name=upstream.name, problem=upstream.problem) for upstream in silent]
        return [*lines, *(line for upstream in self.offered for line in upstream.adapters.problems)]

    def update(self, config: OrchestratorConfig) -> None:
        """Make these the upstreams of `config`. Unchanged ones keep their connections and state."""
        before = {upstream.name: upstream for upstream in self.all}
        self.all = []
        for settings in config.upstreams:
            upstream = before.get(settings.name)
            if upstream is not None and upstream.can_become(settings):
                del before[settings.name]
                upstream.tune(settings, config.timeouts, config.routing)
            else:
                upstream = Upstream(settings, config.timeouts, config.routing, self._changed, self.on_free)
            self.all.append(upstream)
        for upstream in before.values():
            upstream.retire()
            if watching := self._watching.pop(upstream, None):
                watching.cancel()
        self._watch_all()
        self._changed(True)  # noqa: FBT003 # the one argument there is

    async def watch(self) -> None:
        """Check every upstream again and again; run until cancelled."""
        async with asyncio.TaskGroup() as self._group:
            self._watch_all()
            await asyncio.gather(*(upstream.checked.wait() for upstream in self.all))
            self.checked = True
            await asyncio.Event().wait()  # more engines may come

    async def close(self) -> None:
        """Close every connection."""
        for upstream in self.all:
            upstream.close()

    def _watch_all(self) -> None:
        if self._group is not None:
            for upstream in self.all:
                if upstream not in self._watching or self._watching[upstream].done():
                    self._watching[upstream] = self._group.create_task(upstream.watch())

    def _changed(self, others: bool) -> None:  # noqa: FBT001 # as `Upstream` says
        self.version += others
        self.on_change()


def _nothing() -> None:
    """Do nothing, as nobody listens."""
