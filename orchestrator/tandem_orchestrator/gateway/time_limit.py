"""A time limit that costs next to nothing as long as it is kept."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

from tandem_orchestrator.errors import GatewayError


class Timed(Protocol):
    """What has a time limit."""

    def cut(self) -> None:
        """Called when the time is up."""


class TimeLimit:
    """`with limit():` cancels its body after `seconds` and raises what `error()` makes then.

    One timer serves all bodies, since the one that began first is due first; a timer for each, as in
    asyncio.timeout, cost 4 us a request.
    """

    def __init__(self, seconds: float, error: Callable[[], GatewayError]) -> None:
        self.error = error
        self._seconds = seconds
        self._due: dict[Timed, float] = {}  # in the order in which they are due
        self._timer: asyncio.TimerHandle | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        """The one in which it is used; kept, since Python 3.11 asks the kernel on each search for it."""

    def __call__(self) -> "_Body":
        """What `with` takes."""
        return _Body(self)

    def begin(self, timed: Timed) -> None:
        """Its time runs from now on."""
        if self.loop is None:
            self.loop = asyncio.get_running_loop()
        self._due[timed] = due = self.loop.time() + self._seconds
        if self._timer is None:
            self._timer = self.loop.call_at(due, self._check, self.loop)

    def end(self, timed: Timed) -> None:
        """It is over."""
        self._due.pop(timed, None)

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        while self._due:
            timed, due = next(iter(self._due.items()))
            if due > now:
                self._timer = loop.call_at(due, self._check, loop)
                return
            del self._due[timed]
            timed.cut()


class _Body:
    __slots__ = ("_late", "_limit", "_task")

    def __init__(self, limit: TimeLimit) -> None:
        self._limit = limit
        self._late = False

    def __enter__(self) -> None:
        self._limit.begin(self)
        self._task: asyncio.Task[Any] | None = asyncio.current_task(self._limit.loop)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limit.end(self)
        if self._late and self._task is not None:
            self._task.uncancel()
            if kind is asyncio.CancelledError:
                raise self._limit.error() from None

    def cut(self) -> None:
        """The time is up."""
        self._late = True
        if self._task is not None:
            self._task.cancel()
