"""A stream's response, kept from its first event on: it can be read again while it is made, and after it broke off."""

import asyncio

from tandem_orchestrator.errors import GatewayError, Gone
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.responses.events import Events
from tandem_orchestrator.responses.journal import Journal
from tandem_orchestrator.responses.making import Making
from tandem_orchestrator.responses.runs import Runs


class Kept:
    """Keeps what `making` tells; its rows are this process's until `end`."""

    def __init__(self, runs: Runs, making: Making, events: Events) -> None:
        self._runs = runs
        self._making = making
        self._events = events
        self._journal = Journal(runs, making.tenant, making.resource.id, events.number)
        self._begun: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Keep that it has begun; goes on beside the stream, whose first event does not wait for it."""
        self._begun = asyncio.get_running_loop().create_task(self._runs.begin(self._making.stored()))
        self._journal.after = self._begun

    def tell(self, data: bytes) -> None:
        """Keep events that are about to be sent."""
        self._journal.add(data, self._events.number)

    async def end(self, record: Record) -> bytes:
        """Keep how it ended; return the last events, which say that it failed where it could not be kept."""
        events, making = self._events, self._making
        number = events.number
        making.tell_end()
        last = events.take()
        try:
            await self._runs.end(self._finish(last))
        except GatewayError as error:
            events.number = number
            making.fail(error)
            record.tell(error)
            making.tell_end()
            last = events.take()
        return last

    def end_later(self) -> None:
        """Do the same without its client, which has left."""
        self._making.tell_end()
        self._runs.end_later(self._finish(self._events.take()))

    async def _finish(self, last: bytes) -> None:
        """Raise `GatewayError` if it cannot be kept, or is not this process's any more."""
        if self._begun is not None:
            await self._begun
        self._journal.add(last, self._events.number)
        rest = await self._journal.rest()
        if not await self._runs.finish(self._making.stored(), rest, self._making.items):
            raise Gone("the response was ended by somebody else, or deleted, while it was made")
