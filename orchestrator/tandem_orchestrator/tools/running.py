"""A toolbox and what goes on behind it."""

import asyncio
from collections.abc import Awaitable, Callable

from tandem_contract.config import Tools as ToolSettings

from tandem_orchestrator.tools.build import build

Keeper = Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]


class RunningTools:
    """The tools of one configuration, which run as long as somebody uses them.

    Reloads that leave the tools as they were go on with the same, so that no connection is made anew.
    """

    def __init__(self, settings: ToolSettings) -> None:
        """Raise `ConfigError`."""
        self.settings = settings
        self.toolbox = build(settings)
        self._users = 0
        self._watching: asyncio.Future[None] | None = None

    def start(self, keep: Keeper) -> None:
        """Count a user; for the first one the toolbox is watched, kept going by `keep`."""
        self._users += 1
        if self._watching is None:
            self._watching = asyncio.ensure_future(keep(self.toolbox.watch))

    async def stop(self) -> None:
        """End a use, and with the last one all of it."""
        self._users -= 1
        if self._users or self._watching is None:
            return
        self._watching.cancel()
        await asyncio.wait([self._watching])
        await self.toolbox.close()
