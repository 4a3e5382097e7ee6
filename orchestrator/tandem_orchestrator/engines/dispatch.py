"""Brings a request to an engine that can answer it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from random import random, uniform
from sys import maxsize
from time import monotonic
from typing import Any, Final, TypeVar

import orjson
import structlog
from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.engines import estimate
from tandem_orchestrator.engines.attempts import Attempts
from tandem_orchestrator.engines.balance import pick
from tandem_orchestrator.engines.catalogue import ALL, Catalogue, Model
from tandem_orchestrator.engines.correction import Corrector, beside
from tandem_orchestrator.engines.form_body import FormBody, FormFile
from tandem_orchestrator.engines.hold import Heartbeat, Hold
from tandem_orchestrator.engines.queue_slot import QueueSlot
from tandem_orchestrator.engines.replica import NOT_CHECKED, EngineStream, Replica
from tandem_orchestrator.engines.share import Shares
from tandem_orchestrator.engines.structured import Structured, events, structured
from tandem_orchestrator.engines.upstreams import Upstreams
from tandem_orchestrator.engines.whole_stream import WholeStream
from tandem_orchestrator.errors import (
    DiedTwice,
    EngineError,
    Full,
    GatewayError,
    KeyUnusable,
    NoEngine,
    Refused,
    Saturated,
    UnknownModel,
)
from tandem_orchestrator.observability.metrics import FALLBACKS, RETRIES
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.part import Part

OTHER: Final = "other"  # metric label of a model that nobody has confirmed
BACKOFF_SECONDS: Final = 0.05
MAX_BACKOFF_SECONDS: Final = 1.0
SATURATED_RETRY_AFTER: Final = 2.0

log = structlog.get_logger()

Answer = TypeVar("Answer")
Ask = Callable[[Replica, str, bytes, Record], Awaitable[Answer]]
Correct = Callable[[Model, "Call", Structured], Awaitable[Answer]]


@dataclass(slots=True)
class Call:
    """What is the same in all passes and attempts of one request."""

    path: str
    """Path of the API, e.g. /v1/chat/completions."""
    model: Model
    record: Record
    affinity: int = 0
    """Equal for requests that begin alike, so that they may meet the same prefix cache; 0 for none. Must be the same in
    all processes: a checksum, not `hash()`."""
    heartbeat: Heartbeat | None = None
    """Tells the client of a stream that its request still waits."""
    aside: bool | None = None
    """Whether it goes to a candidate as part of its share; None until that is known. Further passes stay there."""
    attempts: Attempts | None = None
    """None until one has failed."""
    salt: str | None = None
    """What a fallback that takes `cache_salt` gets as that; None for what the request says."""
    priority: int | None = None
    """The same of `priority`."""
    file: FormFile | None = None
    """The file of a form, whose other fields are the JSON of the body."""
    screen: Callable[[EngineStream, bytes], EngineStream] | None = None
    """Returns what is read in a streamed answer's place; it gets the request's body, too."""


class Dispatcher(Part):
    """Sends requests to engines: picks replicas, tries again, holds requests while nobody can take them."""

    def __init__(self, config: OrchestratorConfig, catalogue: Catalogue, upstreams: Upstreams) -> None:
        self._routing = config.routing
        self._catalogue = catalogue
        self._shares = Shares(config.tenants, apart=config.routing.fair_share)
        self._hold = Hold(config.hold, config.server.workers, self._room, upstreams.on_free)
        self._heartbeat_seconds = config.hold.heartbeat_seconds
        self._corrector = Corrector()
        upstreams.on_change = self._hold.advance
        self.draw: Callable[[], float] = random
        """Decides from 0 to 1 which requests are a candidate's share."""

    def update(self, config: OrchestratorConfig) -> None:
        """Take a changed configuration; who waits keeps deadline and share."""
        self._routing = config.routing
        self._shares = Shares(config.tenants, apart=config.routing.fair_share)
        self._hold.update(config.hold)
        self._heartbeat_seconds = config.hold.heartbeat_seconds
        self._catalogue.update(config.models)

    def held(self, line: str) -> bool:
        """Return whether requests wait in the line of a model."""
        return line in self._hold.lines

    def drain(self, seconds: float) -> None:
        """Let nobody wait for an engine longer than `seconds` from now; then they get `ShuttingDown`."""
        self._hold.drain(seconds)

    async def close(self) -> None:
        """End the processes that check answers."""
        await self._corrector.close()

    def complete(self, call: Call, body: bytes) -> Awaitable[tuple[bytes, dict[str, Any]]]:
        """Get an answer that is not streamed: its bytes, and the same read as JSON. Raises `GatewayError`.

        Its usage is counted already.
        """
        if call.file is not None:
            return self._answer(call, body, partial(_complete_form, call.file))
        return self._answer(call, body, Replica.complete, self._corrected)

    def stream(self, call: Call, body: bytes) -> Awaitable[EngineStream]:
        """Get a streamed answer whose first bytes are there, for the caller to read and close. Raises `GatewayError`.

        Errors that reading it raises are counted already.
        """
        if call.file is not None:
            return self._answer(call, body, partial(_stream_form, call.file))
        answer = self._answer(call, body, Replica.stream, self._corrected_stream)
        return answer if call.screen is None else _screened(answer, body, call.screen)

    def count_tokens(self, call: Call, body: bytes) -> Awaitable[tuple[int, int] | None]:
        """Ask how many tokens a chat is, and how many one may be; None where no engine tells. Raises `GatewayError`."""
        return self._answer(call, body, Replica.count_tokens)

    def tokenize(self, call: Call, body: bytes) -> Awaitable[dict[str, Any] | None]:
        """Ask for the tokens of a prompt or a chat; None where no engine tells. Raises `GatewayError`."""
        return self._answer(call, body, Replica.tokenize)

    async def _answer(
        self, call: Call, body: bytes, ask: Ask[Answer], correct: Correct[Answer] | None = None
    ) -> Answer:
        """Return the model's answer, or where that fails its fallback's, that one's fallback's and so on."""
        model = call.model
        asked = {model.name}
        while True:
            try:
                if model.corrected and correct is not None and (asked_for := structured(call.path, body)) is not None:
                    return await correct(model, call, asked_for)
                return await self._attempts(model, call, body, ask)
            except (EngineError, NoEngine) as error:
                fallback = self._fallback(model, call.record.tenant, error)
                if fallback is None or fallback.name in asked:
                    raise
            asked.add(fallback.name)
            FALLBACKS.labels(model.name, fallback.name).inc()
            call.record.model = fallback.name
            if call.attempts is not None:
                call.attempts.forget()
            model, body = fallback, _rewritten(body, model, fallback, call)

    def _corrected(self, model: Model, call: Call, asked: Structured) -> Awaitable[tuple[bytes, dict[str, Any]]]:
        return self._corrector.whole(
            asked,
            lambda body: self._attempts(model, call, body, Replica.complete),
            model.name if model.known else OTHER,
            call.record.tenant,
        )

    async def _corrected_stream(self, model: Model, call: Call, asked: Structured) -> EngineStream:
        """Return the answer's stream once it is known to fit."""
        heartbeat, call.heartbeat = call.heartbeat, None  # which goes on here, while the request waits or not
        try:
            _, answer = await beside(self._corrected(model, call, asked), heartbeat, self._heartbeat_seconds)
        finally:
            call.heartbeat = heartbeat
        return WholeStream(events(answer, usage_wanted=asked.usage_wanted))

    async def _attempts(self, model: Model, call: Call, body: bytes, ask: Ask[Answer]) -> Answer:
        slot: QueueSlot | None = None  # given to a request that was not answered at its first attempt
        while True:
            side = self._side(model, call)
            replica = self._choose(side, call, slot)
            if replica is None:
                slot = await self._wait(model, call, slot, body)
            elif call.attempts is not None and call.attempts.suspects(replica):
                await call.attempts.settled()
            else:
                if slot is not None and replica not in model.takers:
                    self._hold.freed()  # the room that it was let go for is another's
                try:
                    answer = await ask(replica, call.path, _put_to(side, model, body, call), call.record)
                except EngineError as error:
                    if not isinstance(error, Full):  # where all are full, it is refused as if that had been known
                        slot = slot or self._slot_of_sent(model, call, body)
                    pause = self._note_failure(call, replica, error, slot, left=side is not model and model.ready)
                except asyncio.CancelledError:
                    call.record.count_usage(estimate.usage(body))  # nobody waits any more, but the engine has begun
                    self._hold.freed()
                    raise
                else:
                    if call.attempts is not None:
                        call.attempts.answered(replica)
                    return answer
                await asyncio.sleep(pause)
            model, body = self._afresh(model, body, call)

    def _side(self, model: Model, call: Call) -> Model:
        """Return the model as the engines serve it that the request goes to: its own, or a candidate's."""
        candidate = model.candidate
        if candidate is None:
            return model
        if call.aside is None:
            call.aside = self.draw() * ALL < candidate.weight
        if model.ready:
            wanted = call.aside or (candidate.weight == ALL and not _takes(model))
            side = candidate if wanted and _takes(candidate) else model
        else:
            side = model.now
        call.aside = side is candidate
        return side

    def _afresh(self, before: Model, body: bytes, call: Call) -> tuple[Model, bytes]:
        """Return the model as it is known by now, and the request as it is put to that. Raises `UnknownModel`."""
        try:
            model = self._catalogue.find(before.name)
        except UnknownModel:
            self._hold.freed()  # it may have been its turn
            raise
        return model, body if _asked_alike(before, model) else _rewritten(body, before, model, call)

    def _note_failure(
        self, call: Call, replica: Replica, error: EngineError, slot: QueueSlot | None, *, left: bool
    ) -> float:
        """Return seconds until the request is tried again; raises `error`, or `DiedTwice`, if that is all.

        `left` is true for what failed at a candidate, and goes to the upstream that it stands beside.
        """
        attempts = call.attempts = call.attempts or Attempts()
        if left:
            call.aside = False
            again = attempts.left(replica, error)
        else:
            again = attempts.failed(replica, error, self._routing.retries, waits=self._hold.on)
        if attempts.deadly:
            raise DiedTwice from error
        if not again or (slot is not None and slot.overdue):
            raise error
        RETRIES.labels(replica.upstream, error.reason).inc()
        return 0.0 if left else _backoff(attempts.number)

    def _choose(self, model: Model, call: Call, slot: QueueSlot | None) -> Replica | None:
        """Return a replica that can take the request, None if it has to wait for one. Raises `Saturated`."""
        ready = _ready(model.replicas)
        if not ready and not self._hold.on:
            ready = list(model.replicas)  # where requests may not wait for a check to go well, they try it themselves
        if not ready:
            return None
        roomy = [replica for replica in ready if not replica.full] or self._last_resort(model, ready, slot)
        if not roomy or (slot is None and model.line in self._hold.lines):
            return None
        if len(roomy) == 1:
            return roomy[0]
        tried = call.attempts.tried if call.attempts is not None else ()
        return pick(roomy, call.affinity if self._routing.prefix_affinity else 0, tried)

    def _last_resort(self, model: Model, ready: list[Replica], slot: QueueSlot | None) -> list[Replica]:
        """Return those of full replicas to which a request may go though others wait inside. Raises `Saturated`."""
        able = [replica for replica in ready if not replica.saturated]
        if not able and slot is None:
            raise Saturated(
                f"every engine of {model.name!r} has more than {self._routing.max_waiting} requests waiting",
                retry_after=SATURATED_RETRY_AFTER,
            )
        return [] if self._hold.on else able

    def _room(self, name: str) -> int:
        """Return how many requests the replicas of the model can take now; where that is none, have them asked anew."""
        try:
            ready = _ready(self._catalogue.find(name).takers)
        except UnknownModel:
            return maxsize  # which is what its requests are to be told
        room = sum(replica.room for replica in ready)
        if not room:
            for replica in ready:
                replica.ask_for_count()
        return room

    def _slot(self, model: Model, call: Call, body: bytes) -> QueueSlot:
        label = model.name if model.known else OTHER
        slot = self._hold.slot(model.line, label, self._shares.of(call.record), len(body), estimate.cost(body))
        if model.settings.fallback is not None and model.settings.fallback_seconds is not None:
            slot.wait_at_most(model.settings.fallback_seconds)
        return slot

    def _slot_of_sent(self, model: Model, call: Call, body: bytes) -> QueueSlot:
        slot = self._slot(model, call, body)
        slot.go_first()
        return slot

    async def _wait(self, model: Model, call: Call, slot: QueueSlot | None, body: bytes) -> QueueSlot:
        """Return the slot, a new one if need be, once it is its turn. Raises `GatewayError`."""
        if call.record.yields:
            raise NoEngine(_why(model), retry_after=SATURATED_RETRY_AFTER)
        slot = slot or self._slot(model, call, body)
        for replica in model.replicas:
            if isinstance(replica.trouble, KeyUnusable) and not replica.key_is_right:
                raise replica.trouble  # it was wrong from the start, and waiting will not mend it
        if slot.line != model.line:
            slot.change_line(model.line)
            self._hold.freed()  # it had a turn in the other line, and cannot use it
        began = monotonic()
        try:
            await self._hold.wait(slot, call.heartbeat, lambda: _why(self._catalogue.find(model.name)))
        finally:
            call.record.queued(monotonic() - began, slot.share.service_class)
        return slot

    def _fallback(self, model: Model, tenant: str | None, error: GatewayError) -> Model | None:
        """Return the model to ask after this failure, if there is one for the tenant."""
        name = model.settings.fallback
        if name is None or isinstance(error, DiedTwice) or (isinstance(error, Refused) and not error.retryable):
            return None
        try:
            fallback = self._catalogue.find(name)
        except UnknownModel:
            log.warning("the fallback does not exist", model=model.name, fallback=name)
            return None
        return fallback if fallback.settings.tenants is None or tenant in fallback.settings.tenants else None


async def _screened(
    answer: Awaitable[EngineStream], body: bytes, screen: Callable[[EngineStream, bytes], EngineStream]
) -> EngineStream:
    return screen(await answer, body)


def _complete_form(
    file: FormFile, replica: Replica, path: str, body: bytes, record: Record
) -> Awaitable[tuple[bytes, dict[str, Any]]]:
    return replica.complete(path, FormBody(body, file), record)


def _stream_form(file: FormFile, replica: Replica, path: str, body: bytes, record: Record) -> Awaitable[EngineStream]:
    return replica.stream(path, FormBody(body, file), record)


def _ready(replicas: tuple[Replica, ...]) -> list[Replica]:
    """Return those that answer their checks, without those that should rest where there are others."""
    available = [replica for replica in replicas if replica.available]
    return available or [replica for replica in replicas if replica.ready]


def _takes(model: Model) -> bool:
    """Return whether a replica can take a request now."""
    return any(replica.available and not replica.full for replica in model.replicas)


def _backoff(attempt: int) -> float:
    """Return seconds before the attempt after number `attempt`; uneven, so that what failed together does not return
    so.
    """
    seconds: float = min(BACKOFF_SECONDS * 2 ** (attempt - 1), MAX_BACKOFF_SECONDS)
    return seconds * uniform(0.5, 1.5)  # noqa: S311 # no secret


def _why(model: Model) -> str:
    """Return what a client is told: `Replica.problem` would name addresses."""
    replicas = model.now.replicas
    if not replicas:
        problem = "none is there"
    elif replicas[0].ready:
        problem = "too many requests wait inside"
    else:
        trouble = replicas[0].trouble
        problem = trouble.message if trouble else NOT_CHECKED
    return f"no engine of {model.name!r} can take a request now: {problem}"


def _asked_alike(one: Model, other: Model) -> bool:
    return (
        one.served_as == other.served_as
        and one.adapter_fields == other.adapter_fields
        and one.takes_cache_salt == other.takes_cache_salt
        and one.takes_priority == other.takes_priority
    )


def _put_to(side: Model, model: Model, body: bytes, call: Call) -> bytes:
    """Return the request to `model` as it is put to the engines of the `side` that it goes to."""
    return body if side is model or _asked_alike(model, side) else _rewritten(body, model, side, call)


def _rewritten(body: bytes, before: Model, model: Model, call: Call) -> bytes:
    """Return the request as it is put to another model than the one `before`."""
    payload = orjson.loads(body)
    payload["model"] = model.served_as or model.name
    for field, _ in before.adapter_fields:
        payload.pop(field, None)
    model.name_adapter(payload)
    for name, value, taken in (
        ("cache_salt", call.salt, model.takes_cache_salt),
        ("priority", call.priority, model.takes_priority),
    ):
        if not taken:
            payload.pop(name, None)
        elif value is not None:
            payload[name] = value
    return orjson.dumps(payload)
