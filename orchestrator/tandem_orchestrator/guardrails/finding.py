"""Has rails look at texts."""

import asyncio
from collections.abc import Iterable, Sequence
from time import perf_counter
from typing import Final, NamedTuple

from tandem_contract.config import GuardrailAction

from tandem_orchestrator.errors import GatewayError
from tandem_orchestrator.guardrails.found import Finder, Following, Span
from tandem_orchestrator.guardrails.rail import Rail
from tandem_orchestrator.guardrails.reader import Reader
from tandem_orchestrator.observability.metrics import GUARDRAIL_SECONDS
from tandem_orchestrator.observability.prometheus import Labelled

UNAVAILABLE: Final = "unavailable"
"""Kind of what nobody judges at the moment."""
UNSEEN: Final = "unseen"
"""Kind of what is no text, which no rail can judge."""
STEP: Final = 8_192
"""Characters that a rail looks at before others go on."""

_seconds = Labelled(GUARDRAIL_SECONDS)


class Finding(NamedTuple):
    """What a rail says of a text in which something is."""

    rail: Rail
    kinds: tuple[str, ...]
    spans: Sequence[Span] = ()
    """Where it is, for rails that find by rules."""
    failed: bool = False
    """Whether nobody could judge it."""

    @property
    def blocks(self) -> bool:
        """Whether the text goes no further; a rail that only flags blocks nothing."""
        if self.failed:
            return not self.rail.open and self.rail.action is not GuardrailAction.FLAG
        return self.rail.action is GuardrailAction.BLOCK


async def found(rails: Iterable[Rail], text: str) -> list[Finding]:
    """Return what those find that look by rules. Takes time in proportion to the text, and others go on meanwhile."""
    findings = []
    for rail in rails:
        if rail.finder is not None:
            spans = await _spans(rail, rail.finder, text)
            if spans:
                findings.append(Finding(rail, tuple(dict.fromkeys(span.kind for span in spans)), spans))
    return findings


async def _spans(rail: Rail, finder: Finder, text: str) -> Sequence[Span]:
    if len(text) <= STEP:
        started = perf_counter()
        spans = finder.find(text)
        _seconds[rail.name].observe(perf_counter() - started)
        return spans
    reader = Reader(rail, finder, len(text))
    if isinstance(finder, Following):  # the end of a text may tell what there is at its beginning
        await _read(reader, text)
        reader.restart()
    return await _read(reader, text)


async def _read(reader: Reader, text: str) -> list[Span]:
    spans, seconds, end = list[Span](), 0.0, 0
    while end < len(text):
        started = perf_counter()
        start = reader.start
        end += max(STEP, end - start)  # more, where more is looked at again
        for mask, kind in reader.read(text[start:end], start, last=end >= len(text)):
            if mask.label:
                spans.append(Span(mask.start, mask.end, kind))
            else:
                spans[-1] = spans[-1]._replace(end=mask.end)
        seconds += perf_counter() - started
        await asyncio.sleep(0)
    _seconds[reader.rail.name].observe(seconds)
    return spans


async def judged(rails: Iterable[Rail], text: str) -> list[Finding]:
    """Return what those say that ask somebody, side by side; who gives no judgement has failed."""
    asked = [rail for rail in rails if rail.judge is not None]
    if not asked or not text.strip():
        return []
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_judged(rail, text)) for rail in asked]
    return [finding for task in tasks if (finding := task.result()) is not None]


async def _judged(rail: Rail, text: str) -> Finding | None:
    assert rail.judge is not None  # noqa: S101 # as `judged` has seen
    started = perf_counter()
    try:
        kinds = await rail.judge.judge(text)
    except GatewayError:
        return Finding(rail, (UNAVAILABLE,), failed=True)
    finally:
        _seconds[rail.name].observe(perf_counter() - started)
    return Finding(rail, tuple(dict.fromkeys(kinds))) if kinds else None
