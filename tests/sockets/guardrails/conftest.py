import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
import structlog
from prometheus_client import REGISTRY
from tandem_orchestrator.guardrails import rails
from tandem_orchestrator.guardrails.found import Span

from tests.sockets.running import Orchestrator, config_for

BADGE = "B-1234"
KIND = "badge"
MASK = "[BADGE]"


class Badges:
    """Finds what looks like the number of a badge."""

    longest: int | None = None

    def find(self, text: str) -> Sequence[Span]:
        return [Span(*found.span(), KIND) for found in re.finditer(r"B-\d{4}", text)]


@pytest.fixture(autouse=True)
def _badges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has rules with patterns look for badges: what others find is others' to test."""
    monkeypatch.setattr(rails, "finder", lambda settings: Badges() if settings.patterns else None)


def rail(action: str = "block", *on: str, **fields: Any) -> dict[str, Any]:
    return {"name": "badges", "patterns": ["B-[0-9]{4}"], "action": action, **({"at": on} if on else {}), **fields}


def told(action: str, at: str = "output") -> dict[str, Any]:
    """What an answer's `tandem` says of that decision."""
    return {"guardrails": [{"name": "badges", "at": at, "action": action, "kinds": [KIND]}]}


Guarded = Callable[..., Awaitable[Orchestrator]]


@pytest.fixture
def guarded(serve, engine) -> Guarded:
    """Starts an orchestrator with these guardrails."""

    async def started(*guardrails: dict[str, Any], **settings: Any) -> Orchestrator:
        started: Orchestrator = await serve(config_for(engine, guardrails=guardrails, **settings))
        return started

    return started


@pytest.fixture
def decided():
    """Tells how often a decision was counted since the test began."""
    before: dict[tuple[str, ...], float] = {}

    def count(*labels: str) -> float:
        names = dict(zip(("guardrail", "at", "action", "kind"), labels, strict=True))
        return REGISTRY.get_sample_value("tandem_guardrail_decisions_total", names) or 0.0

    def since(*labels: str) -> float:
        return count(*labels) - before.get(labels, 0.0)

    for metric in REGISTRY.collect():
        for sample in metric.samples:
            if sample.name == "tandem_guardrail_decisions_total":
                before[tuple(sample.labels[name] for name in ("guardrail", "at", "action", "kind"))] = sample.value
    return since


@pytest.fixture
def logged():
    """What is logged, but of requests."""
    with structlog.testing.capture_logs() as entries:
        yield entries


async def post(orchestrator: Orchestrator, path: str, **body: Any) -> tuple[int, Any]:
    async with orchestrator.client.post(path, json=body) as response:
        return response.status, await response.json()
