"""Ends that have to be kept, although nobody waits for them any more."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any

import structlog

from tandem_orchestrator.errors import GatewayError

log = structlog.get_logger()


class Endings:
    """What is being ended; it goes on without those who began it."""

    def __init__(self) -> None:
        self._ending: set[asyncio.Task[Any]] = set()

    async def end(self, ending: Coroutine[Any, Any, None]) -> None:
        """Have a response ended, also when nobody waits for that any more. Raises what `ending` raises."""
        task = asyncio.get_running_loop().create_task(ending)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            self.end_later(_without_error(task))
            raise

    def end_later(self, ending: Coroutine[Any, Any, Any]) -> None:
        """Have a response ended beside all else; `ended` waits for it."""
        task = asyncio.get_running_loop().create_task(ending)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def ended(self) -> None:
        """Wait for what `end_later` began."""
        if self._ending:
            await asyncio.wait(self._ending)


async def _without_error(ending: Awaitable[None]) -> None:
    try:
        await ending
    except GatewayError as error:
        log.warning("the end of a response could not be kept", problem=error.message)
