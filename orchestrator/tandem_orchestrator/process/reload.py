"""Takes a changed configuration into the running process."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from time import time
from typing import Final

import structlog
from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.api.services import State
from tandem_orchestrator.config import ConfigError, Source
from tandem_orchestrator.config.reloading import changed_sections, taken_over
from tandem_orchestrator.observability.metrics import CONFIG_RELOAD_SUCCESS, CONFIG_RELOAD_TIME

POLL_SECONDS: Final = 1.0

log = structlog.get_logger()


class Reloader:
    """Reads the configuration again when its file changes or somebody asks; a refused one changes nothing."""

    def __init__(
        self, source: Source, config: OrchestratorConfig, state: State, apply: Callable[[OrchestratorConfig], None]
    ) -> None:
        self._source = source
        self._config = config
        self._state = state
        self._apply = apply
        self._asked = asyncio.Event()
        self._taken()

    def ask(self) -> None:
        """Have the configuration read again, changed or not."""
        self._asked.set()

    async def watch(self) -> None:
        """Run until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._asked.wait()
            if self._asked.is_set() or self._source.changed():
                self._asked.clear()
                self._reload()

    def _reload(self) -> None:
        try:
            new = self._source.load()
            taken, kept = taken_over(self._config, new)
            self._apply(taken)
        except ConfigError as error:
            self._refuse(error.problems)
        except Exception as error:
            log.exception("configuration not taken")
            self._refuse((f"it could not be taken: {type(error).__name__}",))
        else:
            log.info("configuration taken", changed=changed_sections(self._config, taken))
            if kept:
                log.warning("configuration needs a restart", settings=kept)
            self._config = taken
            self._state.needs_restart = tuple(kept)
            self._taken()

    def _taken(self) -> None:
        self._state.refused = ()
        CONFIG_RELOAD_SUCCESS.set(1)
        CONFIG_RELOAD_TIME.set(time())

    def _refuse(self, problems: tuple[str, ...]) -> None:
        self._state.refused = problems
        CONFIG_RELOAD_SUCCESS.set(0)
        for problem in problems:
            log.error("configuration refused, the one before stays in force", problem=problem)
