"""Tools that something else provides, and that are absent while it is down or cannot be used."""

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog

from tandem_orchestrator.observability.metrics import TOOL_SOURCES_ABSENT
from tandem_orchestrator.secret_file import SecretError
from tandem_orchestrator.tools.tool import Tool

FIRST_DELAY: Final = 1.0  # seconds between two attempts to reach a source; doubled with each
LONGEST_DELAY: Final = 60.0

_LOGIN: Final = re.compile(r"//\S*@")
_QUERY: Final = re.compile(r"(?<=[^\s?])\?[^\s'\"]+")

Offer = Callable[[Sequence[Tool]], None]
log = structlog.get_logger()


class SourceError(Exception):
    """The source has no tools to offer now; the message says why."""


class ToolSource(Protocol):
    """Where tools come from."""

    name: str
    """What it is called in logs and in /health, e.g. `mcp files`."""

    async def follow(self, offer: Offer) -> None:
        """Call `offer` with all tools, again whenever they change; run until cancelled. Raises `SourceError`."""


class FollowedSource:
    """A source and what it offers at the moment; `changed` is called when that is something else."""

    def __init__(self, source: ToolSource, changed: Callable[[], None]) -> None:
        self.name = source.name
        self.tools: Sequence[Tool] = ()
        self.problem: str | None = "not reached yet"
        self._source = source
        self._changed = changed
        self._absent = TOOL_SOURCES_ABSENT.labels(source.name)
        self._delay = FIRST_DELAY

    async def watch(self) -> None:
        """Follow the source, from the start again when it fails; run until cancelled."""
        self._absent.inc(self.problem is not None)
        try:
            await self._follow()
        finally:
            self._absent.dec(self.problem is not None)

    async def _follow(self) -> None:
        while True:
            try:
                await self._source.follow(self._offer)
                problem = "ended"
            except Exception as error:  # noqa: BLE001 # it is logged below, and what failed is tried again
                problem = reason(error)
            if (task := asyncio.current_task()) is not None and task.cancelling():
                return  # the source made an error of its own out of the cancellation
            log.warning("tools are absent", source=self.name, problem=problem, again_in_seconds=self._delay)
            self._set((), problem)
            await asyncio.sleep(self._delay)
            self._delay = min(2 * self._delay, LONGEST_DELAY)

    def _offer(self, tools: Sequence[Tool]) -> None:
        if self.problem is not None:
            log.info("tools are there", source=self.name, tools=[tool.name for tool in tools])
        self._delay = FIRST_DELAY
        self._set(tools, None)

    def _set(self, tools: Sequence[Tool], problem: str | None) -> None:
        self._absent.inc((problem is not None) - (self.problem is not None))
        self.tools, self.problem = tools, problem
        self._changed()


def reason(error: BaseException) -> str:
    """Return why a source has no tools, in a line, without what may be secret in the URLs that errors name."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    text = _QUERY.sub("?…", _LOGIN.sub("//…@", str(error)))
    return text if isinstance(error, SourceError | SecretError) else f"{type(error).__name__}: {text}"[:300]
