"""Which engine serves a model, and whether the engines answer."""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog

from tandem_orchestrator.errors import EngineError, UnknownModel
from tandem_orchestrator.gateway.engine import Engine

CHECK_SECONDS = 5.0
CHECK_SECONDS_DOWN = 1.0
CHECK_TIMEOUT = 5.0

log = structlog.get_logger()


class Engines:
    """All configured engines; `watch()` keeps their state fresh."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self.all = list(engines)
        self.checked = False

    @property
    def default_model(self) -> str | None:
        """The model of a request that names none: the first engine's first."""
        return next(iter(self.all[0].models), None)

    def route(self, model: str) -> Engine:
        """The engine that serves `model`: a ready one first, among those the least busy. Raises `UnknownModel`.

        An engine whose models are not known yet may serve any.
        """
        serving = [engine for engine in self.all if model in engine.models]
        candidates = serving or [engine for engine in self.all if not engine.models]
        if not candidates:
            there = ", ".join(sorted({name for engine in self.all for name in engine.models}))
            raise UnknownModel(f"the model {model!r} does not exist here; there are: {there}", param="model")
        return min(candidates, key=lambda engine: (not engine.ready, engine.pool.busy))

    def models(self) -> list[dict[str, Any]]:
        """OpenAI's list of models, each with `ready`; from the configuration where an engine never answered."""
        found: dict[str, dict[str, Any]] = {}
        for engine in self.all:
            listed = {entry["id"]: entry for entry in engine.listed}
            for name in engine.models:
                entry = {"id": name, "object": "model", "created": 0, "owned_by": "tandem", **listed.get(name, {})}
                ready = engine.ready and name in listed
                entry["ready"] = ready or found.get(name, {}).get("ready", False)
                found[name] = entry
        return list(found.values())

    def degraded(self) -> list[str]:
        """One line for each engine that does not answer."""
        return [f"engine {engine.name}: {engine.problem}" for engine in self.all if not engine.ready]

    async def watch(self) -> None:
        """Checks every engine again and again; runs until cancelled."""
        async with asyncio.TaskGroup() as group:
            first = [group.create_task(self._check(engine)) for engine in self.all]
            await asyncio.wait(first)
            self.checked = True
            for engine in self.all:
                group.create_task(self._keep_checking(engine))

    def close(self) -> None:
        """Closes every connection."""
        for engine in self.all:
            engine.pool.close()

    async def _keep_checking(self, engine: Engine) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS if engine.ready else CHECK_SECONDS_DOWN)
            await self._check(engine)

    async def _check(self, engine: Engine) -> None:
        before = engine.problem
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                engine.mark(None, await engine.list_models())
        except TimeoutError:
            engine.mark(f"no answer within {CHECK_TIMEOUT:g} s")
        except EngineError as error:
            engine.mark(error.message)
        except Exception as error:  # checks go on, whatever an engine answers
            log.exception("engine check failed", engine=engine.name)
            engine.mark(f"the check failed: {type(error).__name__}")
        if engine.problem != before:
            level = log.info if engine.ready else log.warning
            level("engine", engine=engine.name, url=engine.url, ready=engine.ready, problem=engine.problem)
