"""Asks each replica after its start for a tool call, a streamed one and a JSON schema, and remembers what came back.

It does so when the result is asked for, by the operator of one pod: not each of many pods makes these requests. Since
whoever reaches the port for metrics may ask, too, a process asks one replica at a time, and once for each of its starts.
"""

import asyncio
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, NamedTuple

import orjson
import structlog
from tandem_contract.config import UpstreamType

from tandem_orchestrator.engines.answers import failure_in, is_done, json_in
from tandem_orchestrator.engines.endpoints import CHAT
from tandem_orchestrator.engines.event_reader import EventReader
from tandem_orchestrator.engines.replica import Replica
from tandem_orchestrator.engines.tool_calling.questions import (
    Fault,
    Said,
    fault_of_call,
    fault_of_schema,
    fault_of_stream,
    said_in_pieces,
    said_whole,
    schema_question,
    tool_question,
)
from tandem_orchestrator.engines.upstream import Upstream
from tandem_orchestrator.engines.upstreams import Upstreams
from tandem_orchestrator.errors import EngineError, Malformed, Refused
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.part import Part
from tandem_orchestrator.store.ids import new

WAIT_SECONDS: Final = 2.0  # for which whoever asks is kept: most engines need less, and the operator waits for 3
MOST_SECONDS: Final = 120.0  # for all that a replica is asked
PAUSE_SECONDS: Final = 45.0  # before a replica is asked again; doubled with each time that it said nothing of use
MOST_PAUSE: Final = 600.0
PASSING: Final = frozenset({429, 503})  # an engine that has no room says nothing of its parser
LAST_IN_QUEUE: Final = 1  # as of requests of the class batch
LONGEST_ERROR: Final = 512  # characters
MAX_STREAM: Final = 1_048_576  # bytes
NOT_VERIFIED: Final = "NotVerified"
VERIFIED: Final = "Verified"

log = structlog.get_logger()


class Verdict(NamedTuple):
    """What is known of one replica."""

    verified: bool | None
    """None while nothing is known."""
    reason: str
    message: str
    settled: bool = False
    """Whether it stays so until the replica starts anew."""


UNASKED: Final = Verdict(None, NOT_VERIFIED, "it was not asked since it started")
WELL: Final = Verdict(
    verified=True,
    reason=VERIFIED,
    message="a tool call, a streamed one and a JSON schema came back right",
    settled=True,
)


@dataclass(frozen=True, slots=True)
class Known:
    """A verdict, and when another one may be looked for; times are of the monotonic clock."""

    verdict: Verdict
    since: float
    """When the replica became ready that it is about."""
    again_at: float
    failures: int = 0
    """How often in a row there was no settled verdict."""


class ToolCalling(Part):
    """Verifies replicas, one after the other."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._upstreams = upstreams
        self._wanted: set[str] = set()
        self._known: dict[Replica, Known] = {}
        self._asked = asyncio.Event()
        self._done = asyncio.Event()

    async def ask(self, names: Collection[str]) -> list[dict[str, Any]]:
        """Begin what is to be found out about the replicas of these upstreams, and return what is known of each.

        Waits `WAIT_SECONDS` at most. External servers are never asked: somebody pays for each request.
        """
        own = [each for each in self._upstreams.all if each.settings.type is not UpstreamType.OPENAI]
        asked = [upstream for upstream in own if upstream.name in names]
        self._wanted = {each.name for each in own} & (self._wanted | {*names})
        if any(self._due(asked)):
            self._done.clear()
            self._asked.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(WAIT_SECONDS):
                    await self._done.wait()
        return [_told(upstream, replica, self._of(replica)) for upstream in asked for replica in upstream.replicas]

    async def watch(self) -> None:
        """Verify what was asked for; run until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            wanted = [upstream for upstream in self._upstreams.all if upstream.name in self._wanted]
            there = {replica for upstream in wanted for replica in upstream.replicas}
            self._known = {replica: known for replica, known in self._known.items() if replica in there}
            for upstream, replica in [*self._due(wanted)]:
                await self._verify(upstream, replica)
            self._done.set()

    def _due(self, upstreams: Collection[Upstream]) -> Iterator[tuple[Upstream, Replica]]:
        now = monotonic()
        for upstream in upstreams:
            for replica in upstream.replicas:
                known = self._known.get(replica)
                if replica.ready and (known is None or (_is_open(known, replica) and now >= known.again_at)):
                    yield upstream, replica

    def _of(self, replica: Replica) -> Verdict:
        if not replica.ready:
            return Verdict(None, NOT_VERIFIED, f"it is not ready: {replica.problem}")
        known = self._known.get(replica)
        return UNASKED if known is None or known.since != replica.ready_since else known.verdict

    async def _verify(self, upstream: Upstream, replica: Replica) -> None:
        since, before = replica.ready_since, self._known.get(replica)
        try:
            verdict = await _verdict(upstream, replica)
        except Exception:  # the others are asked, whatever an engine answers
            log.exception("tool calling cannot be verified", upstream=upstream.name, replica=replica.pool.address)
            verdict = Verdict(None, NOT_VERIFIED, "the orchestrator failed at it, as its log tells")
        failures = 0 if verdict.settled else (before.failures if before else 0) + 1
        pause = min(PAUSE_SECONDS * 2 ** max(0, min(failures, 8) - 1), MOST_PAUSE)
        self._known[replica] = Known(verdict, since, monotonic() + pause, failures)
        level = log.info if verdict.verified else log.warning
        level(
            "tool calling",
            upstream=upstream.name,
            replica=replica.pool.address,
            verified=verdict.verified,
            reason=verdict.reason,
            message=verdict.message,
        )


def _is_open(known: Known, replica: Replica) -> bool:
    return not known.verdict.settled or known.since != replica.ready_since


def _told(upstream: Upstream, replica: Replica, verdict: Verdict) -> dict[str, Any]:
    return {
        "upstream": upstream.name,
        "address": replica.pool.address,
        "verified": verdict.verified,
        "reason": verdict.reason,
        "message": verdict.message,
    }


async def _verdict(upstream: Upstream, replica: Replica) -> Verdict:
    try:
        async with asyncio.timeout(MOST_SECONDS):
            fault = await _fault(upstream, replica)
    except TimeoutError:
        return Verdict(None, NOT_VERIFIED, f"no answers within {MOST_SECONDS:g} s; it is asked again")
    except EngineError as error:
        if isinstance(error, Malformed) or (isinstance(error, Refused) and error.status not in PASSING):
            return _failure(error)
        return Verdict(None, NOT_VERIFIED, f"no answer, it is asked again: {error.message}")
    if fault is None:
        return WELL
    return Verdict(verified=False, reason=fault.reason, message=fault.message, settled=True)


def _failure(error: EngineError) -> Verdict:
    """Return what an error means that an engine answers a question with; one that passes is asked about again."""
    came = f"asked for a tool call or a JSON schema, the engine failed: {error.message[:LONGEST_ERROR]}"
    message = f"{came}; correct toolCalling, its log tells more"
    return Verdict(verified=False, reason="EngineError", message=message, settled=not error.retryable)


async def _fault(upstream: Upstream, replica: Replica) -> Fault | None:
    """Return the first thing that is wrong. Raises `EngineError`."""
    kind, model = upstream.settings.type, upstream.settings.model or upstream.models[0]
    lengths = (entry.get("max_model_len") for entry in replica.listed)
    context = next((length for length in lengths if isinstance(length, int)), None)
    whole = await _whole(replica, tool_question(model, context, stream=False))
    if fault := fault_of_call(whole, kind):
        return fault
    streamed = await _streamed(replica, tool_question(model, context, stream=True))
    if fault := fault_of_stream(streamed, kind):
        return fault
    return fault_of_schema(await _whole(replica, schema_question(model, context)))


async def _whole(replica: Replica, chat: dict[str, Any]) -> Said:
    _, answer = await replica.complete(CHAT, _body(replica, chat), _record(chat))
    return said_whole(answer)


async def _streamed(replica: Replica, chat: dict[str, Any]) -> Said:
    stream = await replica.stream(CHAT, _body(replica, chat), _record(chat))
    reader, chunks, size = EventReader(), [], 0
    try:
        while piece := await stream.read():
            for event in reader.read(piece):
                if failure := failure_in(event):
                    raise failure
                if not is_done(event):
                    chunks.append(json_in(event))
            if (size := size + len(piece)) > MAX_STREAM:
                raise Malformed("the engine's stream does not end")
    finally:
        stream.close()
    return said_in_pieces(chunks)


def _body(replica: Replica, chat: dict[str, Any]) -> bytes:
    return orjson.dumps({**chat, "priority": LAST_IN_QUEUE} if replica.takes_priority else chat)


def _record(chat: dict[str, Any]) -> Record:
    """Return a record that nobody reports, so that it counts in no request's metrics and in nobody's usage."""
    record = Record(f"verification_{new()}")
    record.model, record.yields = chat["model"], True
    return record
