"""What is seen of an engine's pods and its candidate's before a roll-out is decided."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tandem_operator.api.component import Reference
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.tool_calling import Verification
from tandem_operator.rollouts.decision import Progress
from tandem_operator.rollouts.record import VERSION, Record, Stage, Trial
from tandem_operator.rollouts.sight import see
from tandem_operator.rollouts.version import Version
from tandem_operator.status import Observed

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
OLD = Version(inputs="1", template={"metadata": {}, "spec": 1}, upstream={})
NEW = Version(inputs="2", template={"metadata": {}, "spec": 2}, upstream={})
COUNTS = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
LATE = {"type": "Progressing", "reason": "ProgressDeadlineExceeded"}
RIGHT = Verification("engine-next", "10.0.0.9:8000", verified=True, reason="Verified", message="")


def at(**ago: float) -> str:
    return (NOW - timedelta(**ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(waiting: str = "", created: str = at(minutes=1), **container: Any) -> dict[str, Any]:
    state = {"state": {"waiting": {"reason": waiting, "message": "not found"}}} if waiting else {}
    labels = {"tandem.dev/tier": "engine-next"}
    statuses = [{"name": "engine-next", "restartCount": 0, **state, **container}]
    return {
        "metadata": {"name": "demo-engine-next-0", "labels": labels, "creationTimestamp": created},
        "status": {"podIP": "10.0.0.9", "containerStatuses": statuses},
    }


def candidate(
    *pods: dict[str, Any], mark: str = NEW.mark, tools: tuple[Verification, ...] = (RIGHT,), **status: Any
) -> Progress:
    """How far the candidate is that was made ten minutes ago."""
    metadata = {"name": "demo", "namespace": "ns", "uid": "u"}
    service = LLMService.model_validate({"metadata": metadata, "spec": {"model": {"source": "hf://org/model"}}})
    made = NOW - timedelta(minutes=10)
    trial = Trial(version=NEW, made=made, since=made)
    beside = {
        "metadata": {"name": "demo-engine-next", "generation": 1, "annotations": {VERSION: mark}},
        "status": {"observedGeneration": 1, **COUNTS, **status},
    }
    children = {Reference("Deployment", "demo-engine-next"): beside}
    observed = Observed(NOW, children, pods, tool_calling=tools)
    return see(service, observed, Record(current=OLD, since=NOW, trial=trial), NEW, ()).candidate


def test_a_candidate_is_ready_once_it_serves_and_calls_tools() -> None:
    assert candidate(pod()).ready
    assert not candidate(pod(), availableReplicas=0).serves
    assert not candidate(pod(), tools=()).ready
    unknown = replace(RIGHT, verified=None)
    assert candidate(pod(), tools=(unknown,)).waits == "of 1 replicas 0 are known to call tools as they should"


def test_what_was_said_of_another_s_pods_counts_for_nothing() -> None:
    wrong = replace(RIGHT, verified=False, reason="NoToolCall", message="in words")
    assert candidate(pod(), tools=(wrong,)).failure == "it does not call tools as it should: NoToolCall: in words"
    assert candidate(pod(), tools=(replace(wrong, address="10.0.0.8:8000"),)).failure is None
    assert candidate(pod(created=at(minutes=30)), tools=(wrong,)).failure is None, "of the candidate before"
    assert candidate(pod(), tools=(replace(wrong, engine="engine"),)).failure is None


def test_a_deployment_of_another_version_says_nothing() -> None:
    seen = candidate(pod("InvalidImageName"), mark=OLD.mark)
    assert (seen.serves, seen.failure) == (False, None)


HOPELESS: dict[str, dict[str, Any]] = {
    "no image": pod("ErrImagePull"),
    "no such name": pod("InvalidImageName"),
    "no Secret": pod("CreateContainerConfigError"),
    "three ends": pod(
        restartCount=3, ready=False, state={"terminated": {"exitCode": 1, "finishedAt": at(seconds=5), "message": "x"}}
    ),
}


@pytest.mark.parametrize("found", HOPELESS.values(), ids=HOPELESS.keys())
def test_what_a_longer_wait_does_not_mend_is_a_failure(found: dict[str, Any]) -> None:
    assert candidate(found, availableReplicas=0).failure
    earlier = {**found, "metadata": {**found["metadata"], "creationTimestamp": at(minutes=30)}}
    assert candidate(earlier, availableReplicas=0).failure is None


def test_what_may_still_mend_is_waited_for_and_told() -> None:
    unscheduled = pod()
    unscheduled["status"] = {
        "phase": "Pending",
        "conditions": [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "lastTransitionTime": at(minutes=5),
                "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
            }
        ],
    }
    seen = candidate(unscheduled, availableReplicas=0, readyReplicas=0)
    assert seen.failure is None
    assert "3 Insufficient nvidia.com/gpu" in seen.waits


def test_pods_that_a_quota_refuses_are_told_of() -> None:
    refused = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: gpus"}
    seen = candidate(availableReplicas=0, conditions=[refused])
    assert (seen.failure, seen.waits) == (None, "exceeded quota: gpus")


def test_the_deployment_s_deadline_is_a_failure_unless_it_was_another_s() -> None:
    late = candidate(conditions=[{**LATE, "lastUpdateTime": at(minutes=1)}])
    assert late.failure == "demo-engine-next did not become ready in time"
    assert candidate(conditions=[{**LATE, "lastUpdateTime": at(minutes=30)}]).failure is None


def test_the_engine_itself_proves_its_tools_only_where_a_candidate_stood_in_for_it() -> None:
    metadata = {"name": "demo", "namespace": "ns", "uid": "u"}
    service = LLMService.model_validate({"metadata": metadata, "spec": {"model": {"source": "hf://org/model"}}})
    live = {
        "metadata": {"name": "demo-engine", "generation": 1, "annotations": {VERSION: NEW.mark}},
        "status": {"observedGeneration": 1, **COUNTS},
    }
    observed = Observed(NOW, {Reference("Deployment", "demo-engine"): live})
    record = Record(current=NEW, since=NOW)
    assert see(service, observed, record, NEW, ()).engine.ready
    trial = Trial(version=NEW, made=NOW, since=NOW, stage=Stage.STANDING_IN)
    proving = see(service, observed, record.model_copy(update={"trial": trial}), NEW, ()).engine
    assert (proving.serves, proving.ready) == (True, False)
