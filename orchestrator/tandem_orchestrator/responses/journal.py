"""Keeps the events of a stream as they are told, so that whoever lost the stream can read on."""

import asyncio
from typing import Final

from tandem_orchestrator.errors import GatewayError
from tandem_orchestrator.responses.runs import Events, Runs

SECONDS: Final = 0.4  # between two writes, which is how far a reader may lag behind


class Journal:
    """Events of one response that this process makes; what comes within a moment is written together."""

    def __init__(self, runs: Runs, tenant: str, response_id: str, first: int = 0) -> None:
        self._runs = runs
        self._tenant = tenant
        self._id = response_id
        self._untold: list[bytes] = []
        self._first = first
        self._next = first
        self._writing: asyncio.Task[None] | None = None
        self.after: asyncio.Task[None] | None = None
        """What has to be written before any event is, or it would be nobody's."""

    def add(self, data: bytes, number: int) -> None:
        """Add events, the last of them being the one before `number`."""
        self._untold.append(data)
        self._next = number
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def rest(self) -> Events | None:
        """Return what is not written yet; nothing is written before more is added."""
        if (writing := self._writing) is not None:
            writing.cancel()
            await asyncio.wait([writing])
            self._writing = None  # it may not even have begun
        return self._take()

    async def _write(self) -> None:
        try:
            await asyncio.sleep(SECONDS)
            if self.after is not None:
                await asyncio.wait([self.after])
            while (events := self._take()) is not None:
                try:
                    await self._runs.tell(self._tenant, self._id, events)
                except (GatewayError, asyncio.CancelledError) as error:
                    self._untold.insert(0, events.data)  # written again with what follows
                    self._first = events.first
                    if isinstance(error, asyncio.CancelledError):
                        raise
                await asyncio.sleep(SECONDS)
        finally:
            self._writing = None

    def _take(self) -> Events | None:
        if not self._untold:
            return None
        events = Events(self._first, self._next - 1, b"".join(self._untold))
        self._untold.clear()
        self._first = self._next
        return events
