"""One attempt at a response that waits for no client: goes on where the one before was between two engine passes."""

import asyncio
from dataclasses import dataclass
from typing import Final

import orjson

from tandem_orchestrator.auth.keys import Keys
from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.errors import (
    Cut,
    DatabaseDown,
    GatewayError,
    Gone,
    GuardrailAway,
    LimitExceeded,
    NoEngine,
    Saturated,
    TimedOut,
    ToolsAbsent,
    Unauthorized,
    Unreachable,
)
from tandem_orchestrator.limits.limiter import Limiter
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.observability.recorded import report
from tandem_orchestrator.responses.asker import Asker
from tandem_orchestrator.responses.events import Events
from tandem_orchestrator.responses.kept import Kept
from tandem_orchestrator.responses.making import Making, tell_error
from tandem_orchestrator.responses.preparation import Preparation
from tandem_orchestrator.responses.queue import Queue, Run
from tandem_orchestrator.responses.queued import Queued
from tandem_orchestrator.responses.resource import Resource, failure, usage_of
from tandem_orchestrator.responses.runs import Events as Told
from tandem_orchestrator.responses.runs import Runs
from tandem_orchestrator.responses.store import Stored

AWAY: Final = (NoEngine, Saturated, Unreachable, ToolsAbsent, GuardrailAway, LimitExceeded)
"""Waiting for these is no failure."""
BROKEN: Final = (Cut, TimedOut)
"""After these another attempt may go well."""
MOST_ATTEMPTS: Final = 3
PATIENCE: Final = (0.5, 1.0, 2.0, 4.0)  # seconds, as a response that was made should not be lost
ROUTE: Final = "/v1/responses"


class Later(Exception):
    """The response goes back into the queue; `model` is the one whose engine is away."""

    def __init__(self, model: str, why: GatewayError, *, counts: bool) -> None:
        super().__init__()
        self.model = model
        self.why = why
        self.counts = counts


@dataclass(frozen=True, slots=True)
class Means:
    """What it takes."""

    runs: Runs
    queue: Queue
    preparation: Preparation
    keys: Keys
    limiter: Limiter


class Attempt:
    """Makes the response of `run`, of which `stored` is there."""

    def __init__(self, run: Run, stored: Stored, means: Means) -> None:
        self._run = run
        self._stored = stored
        self._runs = means.runs
        self._queue = means.queue
        self._preparation = means.preparation
        self._keys = means.keys
        self._limiter = means.limiter
        self._events: Events | None = None
        self._making: Making | None = None
        self._kept: Kept | None = None
        self._in_tools = False
        self._at = run.events
        """Events that had been told at the last point from which another attempt can go on."""

    @property
    def model(self) -> str:
        """Whose engine is asked; "" before that is known."""
        return self._making.run.call.model.name if self._making is not None else ""

    @property
    def honest(self) -> bool:
        """Whether another attempt can go on as if this one had not been."""
        return not self._in_tools and (self._events is None or self._events.number == self._at)

    def put_off(self) -> Stored | None:
        """Return it as it is while it waits for another attempt; None where nothing was begun."""
        if self._making is None:
            return None
        self._making.resource.status = "queued"
        return self._making.stored()

    async def make(self) -> None:
        """Make it, and keep how it ended. Raises `Later`, or `GatewayError` of the database."""
        queued = Queued.read(self._run.request)
        record = Record(self._run.id)
        record.route = ROUTE
        try:
            principal = self._principal(queued.key_id)
            record.tenant, record.key_id = principal.tenant, principal.key_id
            ticket = self._limiter.admit(principal)
            try:
                await self._prepare(queued, Asker(principal, record, queued.headers))
                await self._to_the_end(record)
            finally:
                ticket.settle(record.prompt_tokens + record.completion_tokens)
        except Gone:  # cancelled or deleted meanwhile, which has been told
            pass
        except GatewayError as error:
            self._sort_out(error)
            record.tell(error)
            await self._fail(error, record)
        except asyncio.CancelledError:
            await self._leave(record)
            raise
        finally:
            record.status = record.status or 200
            report(record, "POST", ROUTE, ROUTE)

    def _principal(self, key_id: str) -> Principal:
        principal = self._keys.principal(key_id)
        if principal.tenant != self._run.tenant:
            raise Unauthorized("the API key of this request is another tenant's now")
        return principal

    async def _prepare(self, queued: Queued, asker: Asker) -> None:
        """Get together what it is made of, as a request would."""
        create = self._preparation.create(queued.payload)
        done = orjson.loads(self._stored.output)
        if create.stream:
            self._events = Events(self._at)
            if await self._runs.last_event(self._run.tenant, self._run.id) >= self._at:
                self._at = -1
                raise GatewayError("the server was lost while it streamed this response, which cannot be told anew")
        before = orjson.loads(self._stored.resource)
        resource = Resource(create, self._run.id, before["model"], before["created_at"])
        self._making = await self._preparation.prepare(create, asker, self._events, resource=resource, done=done)
        self._kept = Kept(self._runs, self._making)
        run = self._making.run
        run.step = self._step
        run.begun = self._begin
        if self._events is not None:
            run.flush = self._flush

    async def _to_the_end(self, record: Record) -> None:
        making, kept = self._making, self._kept
        if making is not None and kept is not None:
            await kept.step(in_tools=False)
            making.end(await making.run.make())
            await self._flush()
            await kept.end(record, PATIENCE)

    def _begin(self) -> None:
        if self._making is not None:
            self._making.tell_beginning("response.in_progress")

    async def _flush(self) -> None:
        if self._events is not None and self._kept is not None and (data := self._events.take()):
            self._kept.tell(data)

    async def _step(self, *, in_tools: bool) -> None:
        self._in_tools = in_tools
        await self._flush()
        if self._kept is not None:
            await self._kept.step(in_tools=in_tools)
        if self._events is not None:
            self._at = self._events.number

    def _sort_out(self, error: GatewayError) -> None:
        """Raise `Later` where it is too early to give up, and what only the database is to blame for."""
        if isinstance(error, DatabaseDown):
            raise error
        if not self.honest:
            return
        if isinstance(error, AWAY):
            raise Later(self.model, error, counts=False)
        if isinstance(error, BROKEN) and self._run.attempts < MOST_ATTEMPTS:
            raise Later("", error, counts=True)

    async def _fail(self, error: GatewayError, record: Record) -> None:
        if self._making is None or self._kept is None:
            await end_unmade(self._runs, self._stored, error)
        else:
            self._making.fail(error)
            await self._flush()
            await self._kept.end(record)

    async def _leave(self, record: Record) -> None:
        """Give it back where another attempt can go on, else end it here."""
        if self.honest or self._making is None or self._kept is None:
            await self._queue.release(self._run, 0, self.put_off(), counts=False)
        else:
            self._making.cut_off()
            await self._flush()
            await self._kept.end(record)


async def end_unmade(runs: Runs, stored: Stored, error: GatewayError) -> None:
    """End a response that failed before anything was made of it here."""
    last = await runs.last_event(stored.tenant, stored.id)
    resource = orjson.loads(stored.resource) | {"status": "failed", "error": failure(error), "usage": usage_of({})}
    stored.status, stored.resource = "failed", orjson.dumps(resource).decode()
    told = None
    if last >= 0:
        events = Events(last + 1)
        tell_error(events, error)
        events.add("response.failed", {"response": orjson.Fragment(stored.whole())})
        told = Told(last + 1, events.number - 1, events.take())
    await runs.finish(stored, told)
