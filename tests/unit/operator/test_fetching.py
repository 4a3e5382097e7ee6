"""Why an engine waits for its model, as it is told."""

from typing import Any

import pytest
from tandem_operator import status
from tandem_operator.api.component import Reference
from tandem_operator.api.fetch_progress import FetchProgress
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.status import Condition, LLMServiceStatus
from tandem_operator.sizing.decision import Decision
from tandem_operator.status import Observed

from tests.unit.operator.test_status import NOW, READY_POD, SERVING, at, conditions, message, service, unscheduled

GIB = 2**30
JOB = Reference("Job", "demo-engine-fetch-0a1b2c3d")
CACHED: dict[str, Any] = {
    "model": {
        "source": "hf://org/model",
        "credentials": {"secretName": "hub"},
        "cache": {"claimName": "models"},
    },
    "engine": {"gpus": 1},
}


def job(how: str = "") -> dict[str, Any]:
    told = [{"type": how, "status": "True", "lastTransitionTime": at(minutes=1)}] if how else []
    return {"metadata": {"name": JOB.name, "uid": "job"}, "status": {"conditions": told}}


def pod(name: str = "a", phase: str = "Running", end: Any = None, **pod_status: Any) -> dict[str, Any]:
    labels = {"tandem.dev/tier": "fetch", "batch.kubernetes.io/job-name": JOB.name}
    state = {"terminated": end} if end else {"running": {"startedAt": at(minutes=2)}}
    container = {"name": "fetch", "restartCount": 0, "ready": False, "state": state}
    return {
        "metadata": {"name": f"{JOB.name}-{name}", "uid": name, "labels": labels, "creationTimestamp": at(minutes=9)},
        "status": {"phase": phase, "conditions": [], "containerStatuses": [container], **pod_status},
    }


def over(said: str, code: int = 1, name: str = "a") -> dict[str, Any]:
    return pod(name, "Failed", {"exitCode": code, "message": said, "finishedAt": at(minutes=1)})


def told(*pods: Any, live: Any = None, subject: LLMService | None = None, **observed: Any) -> LLMServiceStatus:
    children = {JOB: live} if live else {}
    seen = Observed(NOW, observed.pop("children", children), pods, fetches={"engine": JOB}, **observed)
    return status.compute(subject or service(**CACHED), seen)


def ready(found: LLMServiceStatus) -> tuple[str, str]:
    return conditions(found)["Ready"][1], message(found)


def test_the_job_is_at_work() -> None:
    found = told(pod(), live=job())
    assert ready(found) == ("Fetching", f"Job {JOB.name} fetches hf://org/model")
    reasons = conditions(found)
    assert reasons["ModelReady"] == reasons["EngineReady"] == ("False", "Fetching")
    assert (reasons["Reconciling"][0], reasons["Stalled"][0]) == ("True", "False")


def test_how_far_it_is_is_told_in_percent_and_bytes() -> None:
    progress = FetchProgress("Fetching", 15 * GIB, 60 * GIB, 200 * 2**20, "commit 0a1b")
    found = told(pod(), live=job(), progress={"a": progress, "other": FetchProgress("Done", 1, 1, 1)})
    expected = "hf://org/model: Fetching, 25 %, 15.00 of 60.00 GiB, 200.0 MiB/s; commit 0a1b"
    assert ready(found) == ("Fetching", expected)


def test_that_the_hub_wants_it_to_wait_is_told() -> None:
    waits = FetchProgress("Waiting", 0, 0, 0, "the hub answers 429, and is asked again in 60 s")
    found = told(pod(), live=job(), progress={"a": waits})
    expected = "hf://org/model: Waiting; the hub answers 429, and is asked again in 60 s"
    assert ready(found) == ("Fetching", expected)


def test_the_last_attempt_is_told_while_the_next_works() -> None:
    said = '{"state": "Failed", "reason": "Unreachable", "message": "the hub cannot be reached"}'
    found = told(over(said), pod("b", "Pending", containerStatuses=[]), live=job())
    assert ready(found)[1].endswith("fetches hf://org/model; its last attempt: the hub cannot be reached")


@pytest.mark.parametrize(("code", "stalled"), [(1, "False"), (3, "True")])
def test_a_job_that_gave_up_says_why_and_whether_that_may_pass(code: int, stalled: str) -> None:
    said = '{"message": "org/model is gated: accept its terms"}'
    found = told(over(said, code), live=job("Failed"))
    reason, text = ready(found)
    assert reason == "FetchFailed"
    assert f"Job {JOB.name} could not fetch hf://org/model: org/model is gated: accept its terms; what is there" in text
    assert conditions(found)["Stalled"][0] == stalled


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("", "it ended without a word"),
        ("Traceback: no JSON", "Traceback: no JSON"),
        ("[1]", "it ended without a word"),
        ('{"message": null}', "it ended without a word"),
        ('{"message": ["no", "text"]}', "['no', 'text']"),
        ("[" * 4000, None),
    ],
)
def test_whatever_a_pod_says_something_is_told(said: str, shown: str | None) -> None:
    reason, text = ready(told(over(said), live=job("Failed")))
    assert reason == "FetchFailed"
    assert shown is None or f"hf://org/model: {shown}; what" in text
    assert len(text) < 2000


def test_a_job_whose_pods_are_gone_has_failed_all_the_same() -> None:
    assert ready(told(live=job("Failed")))[0] == "FetchFailed"


def test_a_secret_that_is_not_there_is_asked_for_before_there_is_a_job() -> None:
    reason, text = ready(told(credentials=frozenset()))
    assert reason == "SecretMissing"
    assert text == "the Secret hub, which spec.model.credentials names, does not exist; create it"
    assert ready(told(credentials=frozenset({"hub"})))[0] == "Fetching"
    assert ready(told(credentials=None))[0] == "Fetching", "it is not known"
    assert ready(told(live=job(), credentials=frozenset()))[0] == "Fetching", "the Job has it already"


def test_a_pod_that_finds_no_node_and_a_claim_that_is_not_bound_are_told() -> None:
    unbound = "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    found = told(pod(phase="Pending", containerStatuses=[], conditions=[unscheduled(unbound)]), live=job())
    assert ready(found) == ("Unschedulable", f"{JOB.name}-a: {unbound}")


def test_a_claim_that_is_not_there_is_told_with_the_field_that_names_it() -> None:
    missing = '0/3 nodes are available: persistentvolumeclaim "models" not found.'
    found = told(pod(phase="Pending", containerStatuses=[], conditions=[unscheduled(missing)]), live=job())
    reason, text = ready(found)
    assert reason == "VolumeMissing"
    assert text.endswith("create the claim or correct spec.model.cache")


def test_pods_of_others_say_nothing() -> None:
    other = over('{"message": "nonsense"}')
    other["metadata"]["labels"]["batch.kubernetes.io/job-name"] = "demo-engine-inspect-0"
    assert "nonsense" not in ready(told(other, live=job("Failed")))[1]


def test_an_engine_that_runs_goes_on_meanwhile_and_the_service_is_on_its_way() -> None:
    found = told(READY_POD, pod(), children=SERVING | {JOB: job()})
    assert conditions(found)["Ready"] == ("False", "Fetching")
    assert found.engine
    assert found.engine.ready_replicas == 1


DECISIONS: dict[str, tuple[Decision, tuple[str, str], str]] = {
    "Inspecting": (Decision("Inspecting", "is looked at", None), ("True", "False"), "Unknown"),
    "DoesNotFit": (Decision("DoesNotFit", "too large", fits=False, terminal=True), ("False", "True"), "False"),
    "MetadataMissing": (Decision("MetadataMissing", "no files", None, terminal=True), ("False", "True"), "Unknown"),
}


@pytest.mark.parametrize(("decision", "phase", "sized"), DECISIONS.values(), ids=DECISIONS.keys())
def test_a_service_that_is_not_sized_says_why_and_keeps_its_figures(
    decision: Decision, phase: tuple[str, str], sized: str
) -> None:
    live = {
        "metadata": {"name": "demo", "generation": 4},
        "status": {"url": "http://demo.ns.svc", "gpus": 2, "engine": {"replicas": 1, "readyReplicas": 1}},
    }
    found = status.not_sized(live, {"engine": decision}, NOW)
    reasons = conditions(found)
    assert reasons["Ready"] == ("False", decision.reason)
    assert (reasons["Reconciling"][0], reasons["Stalled"][0]) == phase
    assert reasons["Sized"] == (sized, decision.reason)
    assert decision.message in message(found)
    assert (found.url, found.gpus, found.observed_generation) == ("http://demo.ns.svc", 2, 4)


def sized(**decisions: Decision) -> Condition:
    seen = Observed(NOW, SERVING, [READY_POD], decisions=decisions)
    (found,) = [c for c in status.compute(service(), seen).conditions if c.type == "Sized"]
    return found


def test_the_worst_of_several_engines_is_told_first_and_all_are_named() -> None:
    good, bad = Decision("Sized", "fits 1 × H100", fits=True), Decision("DoesNotFit", "too large", fits=False)
    unknown = Decision("NotEstimated", "not known", None)
    assert (sized(engine=good).status, sized(engine=good).message) == ("True", "fits 1 × H100")
    both = sized(engine=good, small=bad, other=unknown)
    assert (both.status, both.reason) == ("False", "DoesNotFit")
    assert both.message == "fits 1 × H100; small: too large; other: not known"
    assert sized(engine=good, other=unknown).status == "Unknown"


def test_nothing_is_told_of_sizes_where_no_engine_has_accelerators() -> None:
    assert "Sized" not in conditions(status.compute(service(), Observed(NOW, SERVING, [READY_POD])))
