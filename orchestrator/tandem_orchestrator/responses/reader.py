"""Reads the events of a response again, while it is made and after."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from typing import Final

import orjson

from tandem_orchestrator.errors import BadRequest, GatewayError
from tandem_orchestrator.responses.events import DONE, END, Events
from tandem_orchestrator.responses.making import tell_error
from tandem_orchestrator.responses.runs import Runs
from tandem_orchestrator.responses.store import ResponseStore, Stored

LOOK_SECONDS: Final = 0.3  # between two looks for what another process may have told
BEAT_SECONDS: Final = 15.0
HEARTBEAT: Final = b": waiting\n\n"
UNFINISHED: Final = ("queued", "in_progress")


class Reader:
    """Follows what any process tells of a response."""

    def __init__(self, store: ResponseStore, runs: Runs) -> None:
        self._store = store
        self._runs = runs

    async def check(self, tenant: str, response_id: str) -> None:
        """Raise `NotFound`, or `BadRequest` for a response without events."""
        response = await self._store.get(tenant, response_id)
        if response.status not in UNFINISHED and await self._runs.last_event(tenant, response_id) < 0:
            raise BadRequest(
                "this response has no events: it was made without `stream`, or more than an hour ago; get it without "
                "`stream`",
                param="stream",
            )

    async def events(self, tenant: str, response_id: str, after: int = -1) -> AsyncIterator[bytes]:
        """Yield whole events after a number, as they come, up to the response's last one.

        Who was told more than was kept before a server was lost gets a last one all the same.
        """
        beat, asked = monotonic(), after
        ended = False
        while True:
            told = await self._runs.events_after(tenant, response_id, after)
            for events in told:
                yield _after(events.data, after + 1 - events.first)
                after, beat = events.last, monotonic()
            if told:
                continue
            if ended:
                break
            try:
                response = await self._store.get(tenant, response_id)
            except GatewayError as error:  # deleted meanwhile, or the database is away
                yield _error(after + 1, error)
                return
            ended = response.status not in UNFINISHED
            if ended:
                continue  # its last events were written along with its status
            if monotonic() - beat > BEAT_SECONDS:
                beat = monotonic()
                yield HEARTBEAT
            await asyncio.sleep(LOOK_SECONDS)
        if response.status == "cancelled":
            yield _last(after + 1, "response.incomplete", response)
        elif response.status == "failed" and after == asked:
            yield _last(after + 1, "response.failed", response)


async def with_done(events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield events, and after the last one what ends a stream."""
    async for data in events:
        yield data
    yield DONE


def _after(data: bytes, number: int) -> bytes:
    """Return events without the first `number` of them."""
    return data if number <= 0 else END.join(data.split(END)[number:])


def _error(number: int, error: GatewayError) -> bytes:
    events = Events(number)
    tell_error(events, error)
    return events.take()


def _last(number: int, kind: str, response: Stored) -> bytes:
    """Return an event that tells how a response ended, where nobody has."""
    events = Events(number)
    events.add(kind, {"response": orjson.Fragment(response.whole())})
    return events.take()
