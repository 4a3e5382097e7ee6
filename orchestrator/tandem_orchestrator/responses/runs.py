"""Responses in the making: who makes which, what is queued, what they have told so far. Every row is of one tenant."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final, NamedTuple

import orjson
import structlog

from tandem_orchestrator.errors import BadRequest, GatewayError, Gone, LimitExceeded
from tandem_orchestrator.observability.metrics import RESPONSES
from tandem_orchestrator.responses.items import Item
from tandem_orchestrator.responses.rows import NamedRows, Rows, now
from tandem_orchestrator.responses.store import (
    ResponseStore,
    Stored,
    adding,
    conversation_not_found,
    conversation_steps,
    row_of,
)

LEASE_MS: Final = 20_000  # without a sign of life for so long, a process counts as gone
FULL_RETRY_AFTER: Final = 30.0  # seconds


log = structlog.get_logger()


class Events(NamedTuple):
    """Events of a stream in a row, as they are sent."""

    first: int
    last: int
    data: bytes


@dataclass(slots=True)
class Run:
    """A response that this process has taken to make."""

    tenant: str
    id: str
    attempts: int
    """With this one."""
    queued: int
    """When, in milliseconds."""
    request: str
    """What it is made of; empty where only its client could wait for it."""
    events: int = 0
    """How many it had told when it was last between two passes of the engine."""
    in_tools: bool = False
    """Whether tools ran when it was last heard of."""


class Runs:
    """What this process makes, and what waits for any process. Every call raises `DatabaseDown`, writing `StorageFull`
    too.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.owner = token_hex(8)
        """This process."""
        self.active: set[tuple[str, str]] = set()
        """Tenant and id of what is being made here."""
        self.on_cancelled: Callable[[str, str], None] = lambda *_: None
        """Called with tenant and id of what was cancelled here."""
        self.woken = asyncio.Event()
        """Set when something was queued here."""
        self._lived = 0
        self._since = 0
        self._ending: set[asyncio.Task[Any]] = set()

    async def begin(self, response: Stored) -> None:
        """Keep a response whose client reads it as it is made. Raises `NotFound` if what it continues has gone."""
        await self._live_on()
        self.active.add((response.tenant, response.id))
        run = self._row(response, model="", request="") | {"owner": self.owner, "turn": 0}
        try:
            await adding(response, self._rows.write(("ADD", [row_of(response)]), ("ADD_RUN", [run])))
        except BaseException:
            self.active.discard((response.tenant, response.id))  # nobody knows whether it was written
            raise

    async def enqueue(self, response: Stored, model: str, request: str, most: int, told: Events | None) -> None:
        """Queue a response, of which a tenant may have `most`, with what its stream begins with.

        Raises `LimitExceeded`, `NotFound` as `begin`.
        """
        if await self._queued_of(response.tenant, most) >= most:
            raise LimitExceeded(
                f"{most} responses of this tenant are queued already; come again when some have been made",
                retry_after=FULL_RETRY_AFTER,
                code="background_queue_full",
            )
        run = self._row(response, model, request)
        steps: list[NamedRows] = [("ADD", [row_of(response)]), ("ENQUEUE", [run])]
        if told is not None:
            run["events"] = told.last + 1
            steps.append(("ADD_EVENTS", [self._events_row(response.tenant, response.id, told) | {"owner": ""}]))
        await adding(response, self._rows.write(*steps))
        self.woken.set()

    async def tell(self, tenant: str, response_id: str, events: Events) -> None:
        """Add events to those that were told."""
        await self._rows.write(("ADD_EVENTS", [self._events_row(tenant, response_id, events)]))

    async def step(self, response: Stored, told: Events | None, events: int, *, in_tools: bool) -> None:
        """Keep how far a response is, with events that were not kept yet; all that it has told are `events`."""
        steps: list[NamedRows] = [("FINISH", [self._changed(response)])]
        if told is not None:
            steps.append(("ADD_EVENTS", [self._events_row(response.tenant, response.id, told)]))
        steps.append(("STEP", [self._where(response) | {"new_events": events, "new_in_tools": in_tools}]))
        await self._rows.write(*steps)

    async def finish(self, response: Stored, events: Events | None, items: Sequence[Item] | None = None) -> None:
        """Keep a response that has ended, and the last of its events; `items` go to the end of its conversation.

        Raises `NotFound` if that conversation is gone, `Gone` if the response is not made by this process any more.
        """
        conversation_id = response.conversation_id if items is not None else None
        steps: dict[str, Sequence[dict[str, Any]]] = {"FINISH": [self._changed(response, conversation_id)]}
        if conversation_id is not None:
            hold, (_, rows) = conversation_steps(response.tenant, conversation_id, items or ())
            mine = {"response_id": response.id, "owner": self.owner}
            steps = dict([hold]) | steps | {"ADD_ITEM_OF_MINE": [row | mine for row in rows]}
        if events is not None:
            steps["ADD_EVENTS"] = [self._events_row(response.tenant, response.id, events)]
        steps["END_RUN"] = [self._where(response)]
        try:
            done = dict(zip(steps, await self._rows.write(*steps.items()), strict=True))
        finally:
            self.active.discard((response.tenant, response.id))
        if conversation_id is not None and not done["HOLD_CONVERSATION"]:
            raise conversation_not_found(conversation_id)
        if not done["FINISH"]:
            raise Gone("the response was ended by somebody else, or deleted, while it was made")

    async def end(self, ending: Coroutine[Any, Any, None]) -> None:
        """Have a response ended, also when nobody waits for that any more. Raises what `ending` raises."""
        task = asyncio.get_running_loop().create_task(ending)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            self.end_later(_without_error(task))
            raise

    def end_later(self, ending: Coroutine[Any, Any, Any]) -> None:
        """Have a response ended beside all else; `ended` waits for it."""
        task = asyncio.get_running_loop().create_task(ending)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def ended(self) -> None:
        """Wait for what `end_later` began."""
        if self._ending:
            await asyncio.wait(self._ending)

    async def cancel(self, tenant: str, response_id: str, store: ResponseStore) -> Stored:
        """End a response of the background, whoever makes it; return it as it is then. Raises `BadRequest`,
        `NotFound`.
        """
        response = await store.get(tenant, response_id)
        resource = orjson.loads(response.resource)
        if not resource["background"]:
            raise BadRequest("only a response with `background` can be cancelled", code="response_not_cancellable")
        resource["status"] = "cancelled"
        where = {"tenant": tenant, "id": response_id}
        changed = {"new_status": "cancelled", "new_resource": orjson.dumps(resource).decode()}
        stopped, _ = await self._rows.write(("STOP", [where | changed]), ("DROP_RUN", [where]))
        if stopped:
            self.on_cancelled(tenant, response_id)
            RESPONSES.labels("cancelled").inc()
        return await store.get(tenant, response_id)

    async def release(self, run: Run, pause_ms: int, response: Stored | None, *, counts: bool) -> None:
        """Put a run back where it was in the queue, for `pause_ms` at least; the attempt may count or not.

        `response` is how far it is, if anything was begun.
        """
        attempts = run.attempts if counts else run.attempts - 1
        where = {"tenant": run.tenant, "id": run.id, "owner": self.owner}
        steps: list[NamedRows] = [("RELEASE", [where | {"new_due": now() + pause_ms, "new_attempts": attempts}])]
        if response is not None:
            steps.insert(0, ("FINISH", [self._changed(response)]))
        await self._rows.write(*steps)

    async def abandon(self, tenant: str, response_id: str) -> None:
        """Give up what this process seems to make and does not."""
        await self._rows.write(("ABANDON", [{"tenant": tenant, "id": response_id, "owner": self.owner}]))

    async def claim(self, most: int, absent: Sequence[str]) -> list[Run]:
        """Take up to `most` of the queue, but for those of models that are `absent`."""
        await self._live_on()
        names = "".join(f"|{name}|" for name in absent)
        return await self._take("ANY_CLAIM", most=most, absent=names, now=now())

    async def claim_left(self, most: int, queued_before: int) -> list[Run]:
        """Take what others have left unfinished, and what was queued before a time."""
        if not await self._rows.read("ANY_IS_LEFT", expired=queued_before, now=now()):
            return []
        await self._live_on()
        if not self.settled:
            return []
        return await self._take("ANY_LEFT", most=most, expired=queued_before, now=now())

    async def events_after(self, tenant: str, response_id: str, number: int) -> list[Events]:
        """Return some of the events after one, in order."""
        rows = await self._rows.read("EVENTS_AFTER", tenant=tenant, id=response_id, after=number)
        return [Events(first, last, text.encode()) for first, last, text in rows]

    async def mine(self) -> set[tuple[str, str]]:
        """Return tenant and id of all that this process makes."""
        rows = await self._rows.read("ANY_OF_OWNER", owner=self.owner)
        return {(row[0], row[1]) for row in rows}

    async def last_event(self, tenant: str, response_id: str) -> int:
        """Return the number of the last event that was told, -1 where there is none."""
        ((number,),) = await self._rows.read("LAST_EVENT", tenant=tenant, id=response_id)
        return int(number)

    async def any_queued(self) -> bool:
        """Return whether something may be queued."""
        return bool(await self._rows.read("ANY_IN_QUEUE"))

    async def queued(self) -> tuple[int, int]:
        """Return how many are queued, and since when the oldest one, in milliseconds."""
        ((number, since),) = await self._rows.read("ANY_QUEUED")
        return number, since or now()

    async def live(self) -> None:
        """Give a sign of life."""
        await self.hold(f"process:{self.owner}", LEASE_MS)
        before, self._lived = self._lived, now()
        if self._lived - before > LEASE_MS:
            self._since = self._lived
        await self._rows.write(("ANY_LAPSED", [{"before": now() - 10 * LEASE_MS}]))

    async def _live_on(self) -> None:
        """Give a sign of life before something is taken, or nobody may know yet that this process is there."""
        if now() - self._lived > LEASE_MS // 2:
            await self.live()

    @property
    def settled(self) -> bool:
        """Whether it has lived for so long that others who live have given signs of it too, be it after an outage."""
        return now() - self._since >= LEASE_MS // 2

    async def leave(self) -> None:
        """Say that this process makes nothing any more."""
        if self._lived:
            await self.let_go(f"process:{self.owner}")

    async def hold(self, name: str, milliseconds: int) -> bool:
        """Take what one process at a time may have, or keep it; false while another one has it."""
        moment = now()
        row = {"name": name, "owner": self.owner, "until": moment + milliseconds, "now": moment}
        (held,) = await self._rows.write(("ANY_HOLD", [row]))
        return bool(held)

    async def let_go(self, name: str) -> None:
        """Give back what `hold` took."""
        await self._rows.write(("ANY_LET_GO", [{"name": name, "owner": self.owner}]))

    async def _queued_of(self, tenant: str, most: int) -> int:
        ((number,),) = await self._rows.read("QUEUED_OF", tenant=tenant)
        if number >= most:
            ((number,),) = await self._rows.read("COUNT_QUEUED_OF", tenant=tenant, most=most)
        return int(number)

    async def _take(self, name: str, **parameters: Any) -> list[Run]:
        (rows,) = await self._rows.write((name, [{"new_owner": self.owner, **parameters}]))
        return [Run(row[1], row[2], row[3], row[4], row[5], row[6], bool(row[7])) for row in rows]

    def _row(self, response: Stored, model: str, request: str) -> dict[str, Any]:
        moment = now()
        return {
            "tenant": response.tenant,
            "id": response.id,
            "owner": "",
            "due": moment,
            "queued": moment,
            "attempts": 0,
            "model": model,
            "request": request,
            "events": 0,
            "in_tools": False,
        }

    def _where(self, response: Stored) -> dict[str, Any]:
        return {"tenant": response.tenant, "id": response.id, "owner": self.owner}

    def _changed(self, response: Stored, conversation_id: str | None = None) -> dict[str, Any]:
        row = row_of(response)
        changed = {f"new_{name}": row[name] for name in CHANGING}
        return self._where(response) | changed | {"conversation_id": conversation_id}

    def _events_row(self, tenant: str, response_id: str, events: Events) -> dict[str, Any]:
        return {
            "tenant": tenant,
            "response_id": response_id,
            "first": events.first,
            "last": events.last,
            "made": now(),
            "events": events.data.decode(),
            "owner": self.owner,
        }


async def _without_error(ending: Awaitable[None]) -> None:
    try:
        await ending
    except GatewayError as error:
        log.warning("the end of a response could not be kept", problem=error.message)


CHANGING: Final = ("status", "resource", "output", "compacted", "bytes")
