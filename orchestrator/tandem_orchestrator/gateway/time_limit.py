"""A time limit that costs next to nothing as long as it is kept."""

import asyncio
from collections.abc import Callable
from types import TracebackType

from tandem_orchestrator.errors import GatewayError


class TimeLimit:
    """`with limit():` cancels its body after `seconds` and raises what `error()` makes then.

    One timer serves all bodies, since the one that began first is due first; a timer for each, as in
    asyncio.timeout, cost 4 us a request.
    """

    def __init__(self, seconds: float, error: Callable[[], GatewayError]) -> None:
        self.seconds = seconds
        self.error = error
        self._due: dict[_Body, float] = {}  # in the order in which they are due
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self) -> "_Body":
        """What `with` takes."""
        return _Body(self)

    def begin(self, body: "_Body") -> None:
        """The body's time runs from now on."""
        loop = asyncio.get_running_loop()
        self._due[body] = due = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_at(due, self._check)

    def end(self, body: "_Body") -> None:
        """The body is over."""
        self._due.pop(body, None)

    def _check(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        now = loop.time()
        while self._due:
            body, due = next(iter(self._due.items()))
            if due > now:
                self._timer = loop.call_at(due, self._check)
                return
            del self._due[body]
            body.cut()


class _Body:
    __slots__ = ("_late", "_limit", "_task")

    def __init__(self, limit: TimeLimit) -> None:
        self._limit = limit
        self._late = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 # a coroutine runs in a task
        self._task = task
        self._limit.begin(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limit.end(self)
        if self._late:
            self._task.uncancel()
            if kind is asyncio.CancelledError:
                raise self._limit.error() from None

    def cut(self) -> None:
        self._late = True
        self._task.cancel()
