"""Ends what goes on for a client that has left, or that has been waiting for too long."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

from tandem_orchestrator.errors import ClientLeft, GatewayError
from tandem_orchestrator.transport.served import Served


class Timed(Protocol):
    """What has a time limit."""

    def cut(self) -> None:
        """End it, as the time is up."""


class TimeLimit:
    """`with limit():` cancels its body after `seconds` and raises what `error()` makes then.

    One timer serves all bodies, since the one that began first is due first; a timer for each, as in
    asyncio.timeout, cost 4 us a request.
    """

    def __init__(self, seconds: float, error: Callable[[], GatewayError]) -> None:
        self.error = error
        self.due: dict[Timed, float] = {}
        """When the time of each is up, in that order."""
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        """The one in which it is used; kept, since to search for it is dearer."""

    def __call__(self) -> "_Body":
        """Return what `with` takes."""
        return _Body(self)

    def begin(self, timed: Timed) -> None:
        """Let its time run from now on, until it is taken out of `due`."""
        if self.loop is None:
            self.loop = asyncio.get_running_loop()
        self.due[timed] = due = self.loop.time() + self._seconds
        if self._timer is None:
            self._timer = self.loop.call_at(due, self._check, self.loop)

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        while self.due:
            timed, due = next(iter(self.due.items()))
            if due > now:
                self._timer = loop.call_at(due, self._check, loop)
                return
            del self.due[timed]
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
        self._limit.due.pop(self, None)
        if self._late and self._task is not None:
            self._task.uncancel()
            if kind is asyncio.CancelledError:
                raise self._limit.error() from None

    def cut(self) -> None:
        """Note that the time is up."""
        self._late = True
        if self._task is not None:
            self._task.cancel()


class ClientWatch:
    """`with ClientWatch(exchange, limit):` cancels its body when the client leaves or the time is up.

    It raises `ClientLeft`, or the limit's error, then. The request's body must have been read before.
    """

    __slots__ = ("_end", "_exchange", "_limit", "_task")

    def __init__(self, exchange: Served, limit: TimeLimit) -> None:
        self._exchange = exchange
        self._limit = limit
        self._end: Exception | None = None
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> None:
        self._exchange.on_leave(self._leave)
        if self._end is not None:
            raise self._end
        self._limit.begin(self)
        self._task = asyncio.current_task(self._limit.loop)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exchange.on_leave(None)
        self._limit.due.pop(self, None)
        if self._end is not None and self._task is not None:
            self._task.uncancel()
            if kind is asyncio.CancelledError:
                raise self._end from None

    def cut(self) -> None:
        """Note that the time is up."""
        self._stop(self._limit.error())

    def _leave(self) -> None:
        self._stop(ClientLeft())

    def _stop(self, end: Exception) -> None:
        if self._end is None:
            self._end = end
            if self._task is not None:
                self._task.cancel()
