"""Responses that wait for a process to make them. Every row is of one tenant."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from tandem_orchestrator.errors import BadRequest, LimitExceeded
from tandem_orchestrator.observability.metrics import RESPONSES
from tandem_orchestrator.responses.runs import Events, changed, events_row, run_row
from tandem_orchestrator.responses.store import ResponseStore, Stored, adding, row_of
from tandem_orchestrator.store.leases import Leases
from tandem_orchestrator.store.rows import NamedRows, Rows, now

FULL_RETRY_AFTER: Final = 30.0  # seconds


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


class Queue:
    """What waits for any process. Every call raises `DatabaseDown`, writing `StorageFull` too."""

    def __init__(self, rows: Rows, leases: Leases) -> None:
        self._rows = rows
        self._leases = leases
        self._owner = leases.owner
        self.on_cancelled: Callable[[str, str], None] = lambda *_: None
        """Called with tenant and id of what was cancelled here."""
        self.woken = asyncio.Event()
        """Set when something was queued here."""

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
        run = run_row(response, "", model=model, request=request)
        steps: list[NamedRows] = [("ADD", [row_of(response)]), ("ENQUEUE", [run])]
        if told is not None:
            run["events"] = told.last + 1
            steps.append(("ADD_EVENTS", [events_row(response.tenant, response.id, told, "")]))
        await adding(response, self._rows.write(*steps))
        self.woken.set()

    async def any_queued(self) -> bool:
        """Return whether something may be queued."""
        return bool(await self._rows.read("ANY_IN_QUEUE"))

    async def queued(self) -> tuple[int, int]:
        """Return how many are queued, and since when the oldest one, in milliseconds."""
        ((number, since),) = await self._rows.read("ANY_QUEUED")
        return number, since or now()

    async def claim(self, most: int, absent: Sequence[str]) -> list[Run]:
        """Take up to `most` of the queue, but for those of models that are `absent`."""
        await self._leases.live_on()
        names = "".join(f"|{name}|" for name in absent)
        return await self._take("ANY_CLAIM", most=most, absent=names, now=now())

    async def claim_left(self, most: int, queued_before: int) -> list[Run]:
        """Take what others have left unfinished, and what was queued before a time."""
        if not await self._rows.read("ANY_IS_LEFT", expired=queued_before, now=now()):
            return []
        await self._leases.live_on()
        if not self._leases.settled:
            return []
        return await self._take("ANY_LEFT", most=most, expired=queued_before, now=now())

    async def release(self, run: Run, pause_ms: int, response: Stored | None, *, counts: bool) -> None:
        """Put a run back where it was in the queue, for `pause_ms` at least; the attempt may count or not.

        `response` is how far it is, if anything was begun.
        """
        attempts = run.attempts if counts else run.attempts - 1
        where = {"tenant": run.tenant, "id": run.id, "owner": self._owner}
        steps: list[NamedRows] = [("RELEASE", [where | {"new_due": now() + pause_ms, "new_attempts": attempts}])]
        if response is not None:
            steps.insert(0, ("FINISH", [changed(response, self._owner)]))
        await self._rows.write(*steps)

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
        ending = {"new_status": "cancelled", "new_resource": orjson.dumps(resource).decode()}
        stopped, _ = await self._rows.write(("STOP", [where | ending]), ("DROP_RUN", [where]))
        if stopped:
            self.on_cancelled(tenant, response_id)
            RESPONSES.labels("cancelled").inc()
        return await store.get(tenant, response_id)

    async def _queued_of(self, tenant: str, most: int) -> int:
        ((number,),) = await self._rows.read("QUEUED_OF", tenant=tenant)
        if number >= most:
            ((number,),) = await self._rows.read("COUNT_QUEUED_OF", tenant=tenant, most=most)
        return int(number)

    async def _take(self, name: str, **parameters: Any) -> list[Run]:
        (rows,) = await self._rows.write((name, [{"new_owner": self._owner, **parameters}]))
        return [Run(row[1], row[2], row[3], row[4], row[5], row[6], bool(row[7])) for row in rows]
