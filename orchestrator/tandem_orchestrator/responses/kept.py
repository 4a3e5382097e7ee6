"""A response that is kept from its beginning on: it can be read while it is made, and after its stream broke off."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from tandem_orchestrator.errors import DatabaseDown, GatewayError
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.responses.events import END, Events
from tandem_orchestrator.responses.items import Item
from tandem_orchestrator.responses.journal import Journal
from tandem_orchestrator.responses.making import Making
from tandem_orchestrator.responses.runs import Events as Told
from tandem_orchestrator.responses.runs import Runs


class Kept:
    """Keeps what `making` tells, if it tells anything; its rows are this process's until `end`."""

    def __init__(self, runs: Runs, making: Making) -> None:
        self._runs = runs
        self._making = making
        self._events = making.output.events or Events()
        self._journal = Journal(runs, making.tenant, making.resource.id, self._events.number)
        self._begun: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Keep that it has begun; goes on beside the stream, whose first event does not wait for it."""
        self._begun = asyncio.get_running_loop().create_task(self._runs.begin(self._making.stored()))
        self._journal.after = self._begun

    def tell(self, data: bytes) -> None:
        """Keep events that are about to be sent."""
        self._journal.add(data, self._events.number)

    async def step(self, *, in_tools: bool) -> None:
        """Keep how far it is. Raises `GatewayError`."""
        untold = await self._journal.rest()
        await self._runs.step(self._making.stored(), untold, self._events.number, in_tools=in_tools)

    async def end(self, record: Record, patience: Sequence[float] = ()) -> bytes:
        """Keep how it ended; return the last events, which say that it failed where it could not be kept.

        While the database is away it is tried again after each of the seconds in `patience`.
        """
        events, making = self._events, self._making
        untold = await self._journal.rest()
        number = events.number
        making.tell_end()
        last = events.take()
        try:
            await self._runs.endings.end(self._finish_patiently(untold, last, patience))
        except GatewayError as error:
            events.number = number
            making.fail(error)
            record.tell(error)
            making.tell_end()
            last = events.take()
            with suppress(GatewayError):  # what cannot be kept either is ended when the database is there again
                await self._finish(untold, last, None)
        return last

    def end_later(self, record: Record) -> None:
        """Do the same without its client, which has left."""
        self._runs.endings.end_later(self.end(record))

    async def _finish_patiently(self, untold: Told | None, last: bytes, patience: Sequence[float]) -> None:
        if self._begun is not None:
            await self._begun
        for seconds in patience:
            try:
                await self._finish(untold, last, self._making.items)
            except DatabaseDown:
                await asyncio.sleep(seconds)
            else:
                return
        await self._finish(untold, last, self._making.items)

    async def _finish(self, untold: Told | None, last: bytes, items: Sequence[Item] | None) -> None:
        """Raise `GatewayError` if it cannot be kept, or is not this process's any more."""
        number = self._events.number
        told = Told(number - last.count(END), number - 1, last) if last else None
        if untold is not None:
            told = Told(untold.first, number - 1, untold.data + last)
        await self._runs.finish(self._making.stored(), told, items)
