"""`UpdateSafe`, and how long an engine took to load."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tandem_operator import status
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.rollout import Phase, RolloutStatus, Strategy
from tandem_operator.api.status import Load
from tandem_operator.sizing.asked import told_shape, wanted
from tandem_operator.sizing.decision import Decision
from tandem_operator.sizing.gpu import named
from tandem_operator.sizing.plan import plan
from tandem_operator.status import Observed

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
STARTED = "2026-11-21T11:00:00Z"
HF = {"source": "hf://Qwen/Qwen3-32B"}


def at(seconds: int) -> str:
    return (datetime.fromisoformat(STARTED) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def service(stored: dict[str, Any] | None = None, model: Any = HF, hold: Any = None, **engine: Any) -> LLMService:
    spec = {"model": model, "engine": engine, "orchestrator": {"config": {"hold": hold or {}}}}
    return LLMService.model_validate(
        {"metadata": {"name": "demo", "namespace": "ns"}, "spec": spec, "status": stored or {}}
    )


def pod(ready: str = "True", since: int = 200, started: str = STARTED) -> dict[str, Any]:
    state = {"name": "engine", "ready": True, "state": {"running": {"startedAt": started}}}
    condition = {"type": "Ready", "status": ready, "lastTransitionTime": at(since)}
    return {
        "metadata": {"name": "demo-engine-0", "labels": {"tandem.dev/tier": "engine"}, "uid": "u"},
        "status": {"phase": "Running", "conditions": [condition], "containerStatuses": [state]},
    }


def told(subject: LLMService, *pods: Any, **observed: Any) -> tuple[str, str, str, Load | None]:
    computed = status.compute(subject, Observed(NOW, {}, pods, **observed))
    found = next(each for each in computed.conditions if each.type == "UpdateSafe")
    assert computed.engine
    return str(found.status), found.reason, found.message, computed.engine.last_load


def stored(seconds: int, started: str = STARTED) -> dict[str, Any]:
    return {"engine": {"replicas": 1, "readyReplicas": 1, "lastLoad": {"startedAt": started, "seconds": seconds}}}


def test_a_load_is_measured_from_the_containers_start() -> None:
    assert told(service(), pod())[3] == Load(started_at=STARTED, seconds=200)


def test_a_pod_that_was_away_for_a_while_has_not_loaded_anew() -> None:
    assert told(service(stored(200)), pod(since=3000))[3] == Load(started_at=STARTED, seconds=200)


def test_the_last_load_is_kept_while_nothing_serves() -> None:
    for pods in ([], [pod(ready="False")]):
        assert told(service(stored(200)), *pods)[3] == Load(started_at=STARTED, seconds=200)


def test_another_start_is_measured_anew() -> None:
    again = told(service(stored(200)), pod(since=700, started=at(600)))[3]
    assert again == Load(started_at=at(600), seconds=100)


@pytest.mark.parametrize(
    "broken", [{"engine": []}, {"engine": {"lastLoad": {"seconds": "x"}}}, {"engine": {"lastLoad": 1}}]
)
def test_a_status_that_says_something_else_is_not_read(broken: dict[str, Any]) -> None:
    assert told(service(broken), pod())[3] == Load(started_at=STARTED, seconds=200)


def test_a_hold_that_is_longer_suffices() -> None:
    state, reason, message, _ = told(service(hold={"seconds": 200}), pod())
    assert (state, reason) == ("True", "HoldSuffices")
    assert "200 s" in message


@pytest.mark.parametrize(
    ("hold", "says"), [({"seconds": 199}, "held for 199 s"), ({"maxRequests": 0}, "no requests are held")]
)
def test_a_hold_that_is_shorter_is_warned_of(hold: dict[str, Any], says: str) -> None:
    state, reason, message, _ = told(service(hold=hold), pod())
    assert (state, reason) == ("False", "HoldTooShort")
    assert says in message
    assert "hold.seconds" in message


def test_further_replicas_serve_meanwhile() -> None:
    assert told(service(hold={"seconds": 1}, replicas=2), pod())[:2] == ("True", "OthersServe")


def test_nothing_is_known_before_the_first_load() -> None:
    assert told(service())[:2] == ("Unknown", "NotMeasured")


def test_what_each_new_pod_downloads_is_told() -> None:
    subject = service()
    shape = told_shape(subject.engine)
    assert shape
    estimate = plan(shape, named("H200-141GB"), wanted(subject.engine, 8))
    decision = Decision("Sized", "fits", fits=True, estimate=estimate)
    assert "downloads 61.02 GiB again" in told(subject, pod(), decisions={"engine": decision})[2]
    assert "downloads the whole model again" in told(subject, pod())[2]
    cached = service(model={**HF, "cache": {"claimName": "models"}})
    assert "downloads" not in told(cached, pod())[2]
    assert "downloads" not in told(service(model={"source": "pvc://models/one"}), pod())[2]


@pytest.mark.parametrize("phase", [None, *Phase])
def test_the_engines_own_figure_is_told_beside_the_estimate_that_was_made_for_it(phase: Phase | None) -> None:
    subject = service()
    shape = told_shape(subject.engine)
    assert shape
    estimate = plan(shape, named("H200-141GB"), wanted(subject.engine, 8))
    decision = Decision("Sized", "fits", fits=True, estimate=estimate)
    tokens = round(estimate.kv_tokens * 1.1)
    rollout = RolloutStatus(strategy=Strategy.BLUE_GREEN, phase=phase, message="", revision="") if phase else None
    observed = Observed(NOW, decisions={"engine": decision}, kv_tokens={"engine": tokens, "other": 1}, rollout=rollout)
    sized = next(each for each in status.compute(subject, observed).conditions if each.type == "Sized")
    its = phase in (None, Phase.COMPLETE, Phase.UPDATE_PENDING)
    assert (f"has room for {tokens:,} tokens, +10 %" in sized.message) == its
