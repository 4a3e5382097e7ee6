"""Asks each replica after its start for a tool call, a streamed one and a JSON schema, and remembers what came back.

It does so when the result is asked for, by the operator of one pod: not each of many pods makes these requests. Since
whoever reaches the port for metrics may ask, too, one replica is asked at a time, and once for each of its starts.
"""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, Final

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
from tandem_orchestrator.engines.tool_calling.verdicts import NOT_VERIFIED, Known, Verdict, Verdicts
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
APART_SECONDS: Final = 2.0  # workers notice that a replica is ready so far apart at most
PASSING: Final = frozenset({429, 503})  # an engine that has no room says nothing of its parser
LAST_IN_QUEUE: Final = 1  # as of requests of the class batch
LONGEST_ERROR: Final = 512  # characters
MAX_STREAM: Final = 1_048_576  # bytes
VERIFIED: Final = "Verified"

log = structlog.get_logger()


UNASKED: Final = Verdict(None, NOT_VERIFIED, "it was not asked since it started")
WELL: Final = Verdict(
    verified=True,
    reason=VERIFIED,
    message="a tool call, a streamed one and a JSON schema came back right",
    settled=True,
)


class ToolCalling(Part):
    """Verifies replicas, one after the other."""

    def __init__(self, upstreams: Upstreams, folder: Path | None) -> None:
        self._upstreams = upstreams
        self._verdicts = Verdicts(folder)
        self._wanted: set[str] = set()
        self._asked = asyncio.Event()
        self._done = asyncio.Event()

    async def ask(self, names: Collection[str]) -> list[dict[str, Any]]:
        """Begin what is to be found out about the replicas of these upstreams, and return what is known of each.

        Waits `WAIT_SECONDS` at most. External servers are never asked: somebody pays for each request.
        """
        own = [each for each in self._upstreams.all if each.settings.type is not UpstreamType.OPENAI]
        asked = [(upstream, replica) for upstream in own if upstream.name in names for replica in upstream.replicas]
        self._wanted = {each.name for each in own} & (self._wanted | {*names})
        known = self._verdicts.known
        if any(_is_due(replica, known.get(_name(upstream, replica))) for upstream, replica in asked):
            self._done.clear()
            self._asked.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(WAIT_SECONDS):
                    await self._done.wait()
        known = self._verdicts.known
        return [_told(upstream, replica, known.get(_name(upstream, replica))) for upstream, replica in asked]

    async def watch(self) -> None:
        """Verify what was asked for; run until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            with self._verdicts.turn() as ours:
                if ours:
                    await self._verify_all()
            self._done.set()

    async def _verify_all(self) -> None:
        wanted = [upstream for upstream in self._upstreams.all if upstream.name in self._wanted]
        there = {_name(upstream, replica): (upstream, replica) for upstream in wanted for replica in upstream.replicas}
        known = {name: each for name, each in self._verdicts.known.items() if name in there}
        for name, (upstream, replica) in there.items():
            if _is_due(replica, known.get(name)):
                known[name] = await _verified(upstream, replica, known.get(name))
                self._verdicts.keep(known)


def _name(upstream: Upstream, replica: Replica) -> str:
    return f"{upstream.name} {replica.pool.address}"


def _is_due(replica: Replica, known: Known | None) -> bool:
    """Return whether a replica is to be asked: once for each start, and not before it may be."""
    if not replica.ready or known is None:
        return replica.ready
    return not (known.verdict.settled and _is_of_this_start(replica, known)) and monotonic() >= known.again_at


def _is_of_this_start(replica: Replica, known: Known) -> bool:
    return known.began + APART_SECONDS >= replica.ready_since


async def _verified(upstream: Upstream, replica: Replica, before: Known | None) -> Known:
    began = monotonic()
    try:
        verdict = await _verdict(upstream, replica)
    except Exception:  # the others are asked, whatever an engine answers
        log.exception("tool calling cannot be verified", upstream=upstream.name, replica=replica.pool.address)
        verdict = Verdict(None, NOT_VERIFIED, "the orchestrator failed at it, as its log tells")
    failures = 0 if verdict.settled else (before.failures if before else 0) + 1
    pause = min(PAUSE_SECONDS * 2 ** max(0, min(failures, 8) - 1), MOST_PAUSE)
    level = log.info if verdict.verified else log.warning
    level(
        "tool calling",
        upstream=upstream.name,
        replica=replica.pool.address,
        verified=verdict.verified,
        reason=verdict.reason,
        message=verdict.message,
    )
    return Known(verdict, began, monotonic() + pause, failures)


def _told(upstream: Upstream, replica: Replica, known: Known | None) -> dict[str, Any]:
    verdict = UNASKED
    if not replica.ready:
        verdict = Verdict(None, NOT_VERIFIED, f"it is not ready: {replica.problem}")
    elif known is not None and _is_of_this_start(replica, known):
        verdict = known.verdict
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
