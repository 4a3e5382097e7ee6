"""Responses that this process makes: how far they are, and what they have told so far. Every row is of one tenant."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from tandem_orchestrator.errors import Gone
from tandem_orchestrator.responses.endings import Endings
from tandem_orchestrator.responses.items import Item
from tandem_orchestrator.responses.store import (
    Stored,
    adding,
    conversation_not_found,
    conversation_steps,
    row_of,
)
from tandem_orchestrator.store.leases import Leases
from tandem_orchestrator.store.rows import NamedRows, Rows, now

CHANGING: Final = ("status", "resource", "output", "compacted", "bytes")


class Events(NamedTuple):
    """Events of a stream in a row, as they are sent."""

    first: int
    last: int
    data: bytes


class Runs:
    """What this process makes. Every call raises `DatabaseDown`, writing `StorageFull` too."""

    def __init__(self, rows: Rows, leases: Leases) -> None:
        self._rows = rows
        self._leases = leases
        self._owner = leases.owner
        self.endings = Endings()
        self.active: set[tuple[str, str]] = set()
        """Tenant and id of what is made here while its client reads it."""

    async def begin(self, response: Stored) -> None:
        """Keep a response whose client reads it as it is made. Raises `NotFound` if what it continues has gone."""
        await self._leases.live_on()
        self.active.add((response.tenant, response.id))
        run = run_row(response, self._owner) | {"turn": 0}
        try:
            await adding(response, self._rows.write(("ADD", [row_of(response)]), ("ADD_RUN", [run])))
        except BaseException:
            self.active.discard((response.tenant, response.id))  # nobody knows whether it was written
            raise

    async def tell(self, tenant: str, response_id: str, events: Events) -> None:
        """Add events to those that were told."""
        await self._rows.write(("ADD_EVENTS", [events_row(tenant, response_id, events, self._owner)]))

    async def step(self, response: Stored, told: Events | None, events: int, *, in_tools: bool) -> None:
        """Keep how far a response is, with events that were not kept yet; all that it has told are `events`."""
        steps: list[NamedRows] = [("FINISH", [changed(response, self._owner)])]
        if told is not None:
            steps.append(("ADD_EVENTS", [events_row(response.tenant, response.id, told, self._owner)]))
        steps.append(("STEP", [where(response, self._owner) | {"new_events": events, "new_in_tools": in_tools}]))
        await self._rows.write(*steps)

    async def finish(self, response: Stored, events: Events | None, items: Sequence[Item] | None = None) -> None:
        """Keep a response that has ended, and the last of its events; `items` go to the end of its conversation.

        Raises `NotFound` if that conversation is gone, `Gone` if the response is not made by this process any more.
        """
        conversation_id = response.conversation_id if items is not None else None
        steps: dict[str, Sequence[dict[str, Any]]] = {"FINISH": [changed(response, self._owner, conversation_id)]}
        if conversation_id is not None:
            hold, (_, rows) = conversation_steps(response.tenant, conversation_id, items or ())
            mine = {"response_id": response.id, "owner": self._owner}
            steps = dict([hold]) | steps | {"ADD_ITEM_OF_MINE": [row | mine for row in rows]}
        if events is not None:
            steps["ADD_EVENTS"] = [events_row(response.tenant, response.id, events, self._owner)]
        steps["END_RUN"] = [where(response, self._owner)]
        try:
            done = dict(zip(steps, await self._rows.write(*steps.items()), strict=True))
        finally:
            self.active.discard((response.tenant, response.id))
        if conversation_id is not None and not done["HOLD_CONVERSATION"]:
            raise conversation_not_found(conversation_id)
        if not done["FINISH"]:
            raise Gone("the response was ended by somebody else, or deleted, while it was made")

    async def mine(self) -> set[tuple[str, str]]:
        """Return tenant and id of all that this process makes."""
        rows = await self._rows.read("ANY_OF_OWNER", owner=self._owner)
        return {(row[0], row[1]) for row in rows}

    async def abandon(self, tenant: str, response_id: str) -> None:
        """Give up what this process seems to make and does not."""
        await self._rows.write(("ABANDON", [{"tenant": tenant, "id": response_id, "owner": self._owner}]))

    async def events_after(self, tenant: str, response_id: str, number: int) -> list[Events]:
        """Return some of the events after one, in order."""
        rows = await self._rows.read("EVENTS_AFTER", tenant=tenant, id=response_id, after=number)
        return [Events(first, last, text.encode()) for first, last, text in rows]

    async def last_event(self, tenant: str, response_id: str) -> int:
        """Return the number of the last event that was told, -1 where there is none."""
        ((number,),) = await self._rows.read("LAST_EVENT", tenant=tenant, id=response_id)
        return int(number)


def events_row(tenant: str, response_id: str, events: Events, owner: str) -> dict[str, Any]:
    """Return events as their table has them; they are only added while `owner` makes the response."""
    return {
        "tenant": tenant,
        "response_id": response_id,
        "first": events.first,
        "last": events.last,
        "made": now(),
        "events": events.data.decode(),
        "owner": owner,
    }


def run_row(response: Stored, owner: str, *, model: str = "", request: str = "") -> dict[str, Any]:
    """Return the run of a new response as its table has it, but for its turn; `owner` is empty in the queue."""
    moment = now()
    return {
        "tenant": response.tenant,
        "id": response.id,
        "owner": owner,
        "due": moment,
        "queued": moment,
        "attempts": 0,
        "model": model,
        "request": request,
        "events": 0,
        "in_tools": False,
    }


def where(response: Stored, owner: str) -> dict[str, Any]:
    """Return what names the run of a response while `owner` makes it."""
    return {"tenant": response.tenant, "id": response.id, "owner": owner}


def changed(response: Stored, owner: str, conversation_id: str | None = None) -> dict[str, Any]:
    """Return what changes in the row of a response while `owner` makes it."""
    row = row_of(response)
    columns = {f"new_{name}": row[name] for name in CHANGING}
    return where(response, owner) | columns | {"conversation_id": conversation_id}
