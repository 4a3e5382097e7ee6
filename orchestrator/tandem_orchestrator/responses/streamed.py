"""A response that its client reads while it is made."""

import asyncio
from collections.abc import Awaitable
from typing import Protocol

from tandem_orchestrator.errors import GatewayError, InternalError
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.responses.events import DONE, Events
from tandem_orchestrator.responses.kept import Kept
from tandem_orchestrator.responses.making import Making
from tandem_orchestrator.responses.runs import Runs


class Stream(Protocol):
    """Where events go."""

    def write(self, data: bytes) -> Awaitable[None]:
        """Send whole events."""

    async def heartbeat(self) -> None:
        """Tell that the request still waits for an engine."""

    async def end(self, data: bytes = b"") -> None:
        """Send the last events."""


class StreamedResponse:
    """Sends what `making` tells as it comes, and keeps it in `runs`, if it is to be kept."""

    def __init__(self, making: Making, events: Events, stream: Stream, runs: Runs | None) -> None:
        self._making = making
        self._events = events
        self._stream = stream
        self._kept = Kept(runs, making) if runs is not None else None
        self._writing = asyncio.Lock()

    async def make(self, record: Record) -> None:
        """Make it. Raises `GatewayError` before the first event."""
        making, run = self._making, self._making.run
        run.flush, run.begun, run.call.heartbeat = self._flush, self._begin, self._stream.heartbeat
        try:
            making.end(await run.make())
        except GatewayError as error:
            if not self._events.number:
                raise
            making.fail(error)
            record.tell(error)
        except asyncio.CancelledError:
            if self._events.number and self._kept is not None:
                making.cut_off()
                self._kept.end_later(record)
            raise
        except Exception:
            if self._events.number and self._kept is not None:
                making.fail(InternalError())
                self._kept.end_later(record)
            raise
        await self._stream.end(await self._last(record) + DONE)

    def _begin(self) -> None:
        self._making.tell_beginning("response.created", "response.in_progress")
        if self._kept is not None:
            self._kept.begin()

    async def _flush(self) -> None:
        async with self._writing:  # tools that run side by side end when they like
            if data := self._events.take():
                if self._kept is not None:
                    self._kept.tell(data)
                await self._stream.write(data)

    async def _last(self, record: Record) -> bytes:
        if self._kept is not None:
            return await self._kept.end(record)
        self._making.tell_end()
        return self._events.take()
