"""Has rails look at texts."""

import asyncio
from collections.abc import Iterable, Sequence
from time import perf_counter
from typing import Final, NamedTuple

from tandem_contract.config import GuardrailAction

from tandem_orchestrator.errors import GatewayError
from tandem_orchestrator.guardrails.found import Span
from tandem_orchestrator.guardrails.rail import Rail
from tandem_orchestrator.observability.metrics import GUARDRAIL_SECONDS
from tandem_orchestrator.observability.prometheus import Labelled

UNAVAILABLE: Final = "unavailable"
"""Kind of what nobody judges at the moment."""
UNSEEN: Final = "unseen"
"""Kind of what is no text, which no rail can judge."""

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


def found(rails: Iterable[Rail], text: str) -> list[Finding]:
    """Return what those find that look by rules. Takes time in proportion to the text."""
    findings = []
    for rail in rails:
        if rail.finder is not None:
            started = perf_counter()
            spans = rail.finder.find(text)
            _seconds[rail.name].observe(perf_counter() - started)
            if spans:
                findings.append(Finding(rail, tuple(dict.fromkeys(span.kind for span in spans)), spans))
    return findings


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
