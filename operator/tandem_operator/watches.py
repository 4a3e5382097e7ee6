"""The watches, which go on whatever ends them: kopf itself ends for good at an answer that it does not expect."""

import asyncio
import logging
import signal
from collections.abc import Sequence
from typing import Final

import kopf

from tandem_operator import handlers
from tandem_operator.kube import metrics

logger = logging.getLogger(__name__)

_PAUSES: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_WATCHER: Final = "watcher for "
"""How kopf 1.45 names the tasks that watch (kopf/_core/reactor/orchestration.py)."""
_LONGEST_END: Final = 10.0
_WELL: Final = 60.0
"""Watches that went on for so long were well: the next pause is the shortest."""


class Watches:
    """What kopf watches, of these namespaces or, without one, of all."""

    def __init__(self, memo: handlers.Memo, namespaces: Sequence[str], capabilities: frozenset[str]) -> None:
        self._memo = memo
        self._namespaces = namespaces
        self._capabilities = capabilities
        self._stop = asyncio.Event()
        self._anew = asyncio.Event()

    def cover(self, capabilities: frozenset[str]) -> None:
        """Begin anew if other APIs are served than at the last beginning: kopf looks for them only then."""
        if capabilities != self._capabilities:
            self._capabilities = capabilities
            self.begin_anew()

    def begin_anew(self) -> None:
        """List everything again, and watch from there on."""
        self._anew.set()

    async def run(self) -> None:
        """Watch until SIGTERM or SIGINT."""
        failures = 0
        while not self._stop.is_set():
            begun = asyncio.get_running_loop().time()
            self._anew.clear()
            try:
                await self._watch()
            except Exception as error:  # noqa: BLE001 # whatever it was, Kubernetes could do no more than start it again
                failures = 0 if asyncio.get_running_loop().time() - begun > _WELL else failures
                pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
                failures += 1
                metrics.WATCH_FAILURES.inc()
                logger.warning(
                    "the watches ended, and begin anew in %.0f s: %s: %s", pause, type(error).__name__, error
                )
                await self._wait_for_orders(within=pause)

    async def _watch(self) -> None:
        """Watch until something ends it, and raise what it was."""
        tasks = await kopf.spawn_tasks(
            registry=handlers.REGISTRY,
            settings=handlers.settings(self._namespaces),
            memo=self._memo,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            standalone=True,
            # Used only with peering, but kopf's own guess fails for a user without a name.
            identity="tandem-operator",  # type: ignore[arg-type]
        )
        for number in (signal.SIGINT, signal.SIGTERM):  # what kopf has set would be of no use between two beginnings
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        try:
            await self._wait_for_orders(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            await _end_what_is_left()
        if errors := [end for end in ends if isinstance(end, Exception)]:
            raise errors[0]
        if not self._anew.is_set():
            self._stop.set()  # kopf was told to before it could be us

    async def _wait_for_orders(self, *tasks: asyncio.Task[None], within: float | None = None) -> None:
        """Wait to be told to stop or to begin anew, or for one of the tasks to end."""
        orders = [asyncio.create_task(event.wait()) for event in (self._stop, self._anew)]
        try:
            await asyncio.wait([*orders, *tasks], timeout=within, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in orders:
                task.cancel()


async def _end_what_is_left() -> None:
    """End the watchers that kopf leaves behind where one of them failed: they would wait for ever for credentials."""
    left = [task for task in asyncio.all_tasks() if task.get_name().startswith(_WATCHER)]
    for task in left:
        task.cancel()
    lasting = (await asyncio.wait(left, timeout=_LONGEST_END))[1] if left else ()
    if lasting:
        logger.warning("%d watchers of former watches did not end within %.0f s", len(lasting), _LONGEST_END)
