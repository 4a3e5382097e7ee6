"""Notices that a client has left, or has been waiting for too long."""

import asyncio
from types import TracebackType
from typing import Any

from starlette.types import Scope

from tandem_orchestrator.errors import ClientLeft
from tandem_orchestrator.gateway.time_limit import TimeLimit
from tandem_orchestrator.transport.exchange import EXCHANGE, Exchange


class ClientWatch:
    """`with ClientWatch(scope, limit):` cancels its body when the client leaves or the time is up.

    It raises `ClientLeft`, or the limit's error, then. The request's body must have been read before.
    """

    __slots__ = ("_end", "_exchange", "_limit", "_task")

    def __init__(self, scope: Scope, limit: TimeLimit) -> None:
        self._exchange: Exchange = scope["state"][EXCHANGE]
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
        self._limit.end(self)
        if self._end is not None and self._task is not None:
            self._task.uncancel()
            if kind is asyncio.CancelledError:
                raise self._end from None

    def cut(self) -> None:
        """The time is up."""
        self._stop(self._limit.error())

    def _leave(self) -> None:
        self._stop(ClientLeft())

    def _stop(self, end: Exception) -> None:
        if self._end is None:
            self._end = end
            if self._task is not None:
                self._task.cancel()
