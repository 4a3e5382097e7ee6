"""The condition ToolCallingVerified: from what orchestrators found to what is reported."""

import re
from pathlib import Path
from typing import Any

import pytest
from tandem_operator import status
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.status import Condition, ConditionType, LLMServiceStatus
from tandem_operator.api.tool_calling import Verification
from tandem_operator.status.tool_calling import FAULTS

from tests.unit.operator.test_status import SERVING, compute, deployment, service

QUESTIONS = Path(__file__).parents[3] / "orchestrator" / "tandem_orchestrator" / "engines" / "tool_calling"
SMALL = {"model": {"source": "hf://org/small", "name": "small"}}
VECTORS = {"model": {"source": "hf://org/minilm"}, "task": "embed"}
PARTNER = {"type": "external", "model": {"name": "large"}, "external": {"url": "https://llm.example.com/v1"}}
EVERYTHING = SERVING | dict([deployment("small"), deployment("vectors")])
NOT_YET = "it was not asked since it started"
DEGRADED: tuple[list[str] | None, ...] = (None, [])


def right(engine: str = "engine", address: str = "10.0.0.3:8000") -> Verification:
    return Verification(engine, address, verified=True, reason="Verified", message="all came back right")


def wrong(
    reason: str, engine: str = "engine", address: str = "10.0.0.3:8000", said: str = "<tool_call>"
) -> Verification:
    return Verification(engine, address, verified=False, reason=reason, message=said)


def waits(engine: str = "engine", address: str = "10.0.0.3:8000") -> Verification:
    return Verification(engine, address, verified=None, reason="NotVerified", message=NOT_YET)


def told(*found: Verification, subject: LLMService | None = None, **observed: Any) -> Condition | None:
    computed = compute(subject, **({"degraded": [], "children": EVERYTHING} | observed), tool_calling=found)
    return condition(computed)


def condition(computed: LLMServiceStatus) -> Condition | None:
    return next((each for each in computed.conditions if each.type is ConditionType.TOOL_CALLING_VERIFIED), None)


def said(found: Condition | None) -> tuple[str, str, str]:
    assert found
    return str(found.status), found.reason, found.message


RIGHT = "a tool call, a streamed one and a JSON schema came back right from"


def test_all_replicas_that_call_tools() -> None:
    two = EVERYTHING | dict([deployment("engine", 2)])
    found = told(right(), right(address="10.0.0.4:8000"), subject=service(engine={"replicas": 2}), children=two)
    assert said(found) == ("True", "Verified", f"{RIGHT} 2 of 2 replicas of engine")


@pytest.mark.parametrize("reason", FAULTS)
def test_a_fault_is_told_and_ready_does_not_depend_on_it(reason: str) -> None:
    computed = compute(degraded=[], tool_calling=[wrong(reason)])
    assert said(condition(computed)) == ("False", reason, "engine 10.0.0.3:8000: <tool_call>")
    assert computed.conditions[0].status == "True"
    (turn,) = [change for change in status.changes({"status": status.written(compute())}, computed) if change.warning]
    assert (turn.reason, turn.message) == (reason, "ToolCallingVerified: engine 10.0.0.3:8000: <tool_call>")


def test_the_reasons_are_those_of_orchestrators() -> None:
    text = "".join(each.read_text() for each in QUESTIONS.glob("*.py"))
    assert set(re.findall(r'(?:Fault\(|reason=)"(\w+)"', text)) == set(FAULTS)


def test_one_reason_is_the_worst_and_the_message_has_all() -> None:
    found = told(
        wrong("SchemaIgnored", address="a:1", said="no JSON"),
        right(address="a:2"),
        wrong("NewReason", address="a:3", said="new"),
        *(wrong("ParserMismatch", address=address) for address in ("a:4", "a:5")),
        subject=service(engine={"replicas": 5}),
    )
    message = "engine a:4, a:5: <tool_call>; engine a:1: no JSON; engine a:3: new"
    assert said(found) == ("False", "ParserMismatch", message)


def test_what_looks_like_a_secret_is_masked() -> None:
    assert "hf_" not in said(told(wrong("NoToolCall", said="use hf_abcdefghijklmnop")))[2]


def test_nothing_is_known_at_first() -> None:
    assert said(told(degraded=None)) == (
        "Unknown",
        "NotVerified",
        "no orchestrator has said yet what came back; asked once a minute",
    )
    assert said(told()) == ("Unknown", "NotVerified", "engine: orchestrators know 0 of 1 replicas")
    assert said(told(waits())) == ("Unknown", "NotVerified", f"engine 10.0.0.3:8000: {NOT_YET}")
    assert not any(change.warning for change in status.changes({}, compute()))


def test_some_replicas_are_not_all() -> None:
    subject, two = service(engine={"replicas": 2}), EVERYTHING | dict([deployment("engine", 2)])
    assert said(told(right(), waits(address="b:1"), subject=subject, children=two))[:2] == ("Unknown", "NotVerified")
    assert said(told(right(), subject=subject, children=two))[2] == "engine: orchestrators know 1 of 2 replicas"


def test_an_engine_that_does_not_serve_is_verified_later() -> None:
    found = told(children=EVERYTHING | dict([deployment("engine", 0)]), pods=())
    assert said(found) == (
        "Unknown",
        "NotVerified",
        "verified once all serve; demo-engine: 0 of 1 pods of demo-engine are up to date",
    )


def before(*found: Verification, generation: int = 3) -> dict[str, Any]:
    made = status.written(compute(degraded=[], tool_calling=found))
    for each in made["conditions"]:
        each["observedGeneration"] = generation
    return made


@pytest.mark.parametrize("found", [right(), wrong("ParserMismatch")])
def test_what_was_found_counts_until_more_is_found_of_the_same_spec(found: Verification) -> None:
    known = told(found)
    for now in ((), (waits(),)):
        for degraded in DEGRADED:
            later = told(*now, subject=service(status=before(found)), degraded=degraded)
            assert said(later) == said(known)
            changed = told(*now, subject=service(status=before(found, generation=2)), degraded=degraded)
            assert said(changed)[:2] == ("Unknown", "NotVerified"), "another parser, perhaps"
    gone = told(subject=service(status=before(found)), children=EVERYTHING | dict([deployment("engine", 0)]), pods=())
    assert said(gone)[:2] == ("Unknown", "NotVerified"), "another process, perhaps"


def test_it_is_told_of_all_engines_that_are_to_call_tools_and_of_no_other() -> None:
    subject = service(additionalEngines={"small": SMALL, "vectors": VECTORS, "partner": PARTNER})
    assert [each.tier for each in subject.tool_callers] == ["engine", "small"]
    found = told(right(), right("small", "b:1"), wrong("NoToolCall", "vectors"), subject=subject)
    assert said(found) == ("True", "Verified", f"{RIGHT} 1 of 1 replicas of engine, 1 of 1 replicas of small")
    found = told(right(), wrong("NoToolCall", "small", "b:1"), subject=subject)
    assert said(found) == ("False", "NoToolCall", "small b:1: <tool_call>")


OFF = {"toolCalling": {"enabled": False}}


def test_nothing_is_told_where_no_engine_is_to_call_tools() -> None:
    assert told(subject=service(engine=OFF)) is None
    external = {"type": "external", "external": {"url": "https://llm.example.com/v1"}}
    assert told(subject=service(model={"name": "large"}, engine=external)) is None
    only_small = service(engine=OFF, additionalEngines={"small": SMALL})
    assert said(told(right("small"), subject=only_small))[0] == "True"


def test_a_suspended_service_calls_nothing() -> None:
    assert said(told(subject=service(suspend=True)))[:2] == ("False", "Suspended")
