"""From what was observed to what is reported."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tandem_operator import status
from tandem_operator.api.component import SERVICE_MONITOR_API, Reference
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.rollout import Phase, RolloutStatus, Strategy
from tandem_operator.api.status import LLMServiceStatus
from tandem_operator.status import Observed, Problem

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def at(**ago: float) -> str:
    return (NOW - timedelta(**ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def service(**spec: Any) -> LLMService:
    before = spec.pop("status", {})
    return LLMService.model_validate(
        {
            "metadata": {"name": "demo", "namespace": "ns", "uid": "u", "generation": 3},
            "spec": {"model": {"source": "hf://org/model"}, **spec},
            "status": before,
        }
    )


def deployment(tier: str, ready: int = 1, **changes: Any) -> tuple[Reference, dict[str, Any]]:
    name = f"demo-{tier}"
    counts = {"replicas": ready, "updatedReplicas": ready, "readyReplicas": ready, "availableReplicas": ready}
    seen = {"observedGeneration": 2, **counts, **changes}
    return Reference("Deployment", name), {"metadata": {"name": name, "generation": 2}, "status": seen}


def pod(tier: str = "engine", container: Any = None, conditions: Any = (), **pod_status: Any) -> dict[str, Any]:
    statuses = [{"name": tier, "restartCount": 0, "ready": False, "state": {}, **container}] if container else []
    return {
        "metadata": {"name": f"demo-{tier}-0", "labels": {"tandem.dev/tier": tier}},
        "status": {"conditions": list(conditions), "containerStatuses": statuses, **pod_status},
    }


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason, "message": message}}}


def ended(reason: str = "Error", code: int = 1, ago: float = 1, lasted: float = 10, message: str = "") -> Any:
    times = {"startedAt": at(minutes=ago, seconds=lasted), "finishedAt": at(minutes=ago)}
    return {"terminated": {"reason": reason, "exitCode": code, "message": message, **times}}


def unscheduled(message: str, minutes: float = 1) -> dict[str, Any]:
    return {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
        "lastTransitionTime": at(minutes=minutes),
    }


READY_POD = pod(container={"ready": True, "state": {"running": {"startedAt": at(hours=1)}}})
SERVING = dict([deployment("engine"), deployment("orchestrator", 2)])


def compute(
    subject: LLMService | None = None, children: Any = None, pods: Any = (READY_POD,), **observed: Any
) -> LLMServiceStatus:
    children = SERVING if children is None else children
    return status.compute(subject or service(), Observed(NOW, children, pods, **observed))


def conditions(computed: LLMServiceStatus) -> dict[str, tuple[str, str]]:
    return {str(c.type): (str(c.status), c.reason) for c in computed.conditions}


def message(computed: LLMServiceStatus, kind: str = "Ready") -> str:
    return next(c.message for c in computed.conditions if c.type == kind)


def test_a_service_that_serves_is_ready() -> None:
    computed = compute(capabilities=frozenset({SERVICE_MONITOR_API}))
    assert {kind: held for kind, (held, _) in conditions(computed).items()} == {
        "Ready": "True",
        "Reconciling": "False",
        "Stalled": "False",
        "ModelReady": "True",
        "EngineReady": "True",
        "OrchestratorReady": "True",
        "UpdateSafe": "Unknown",
        "MonitoringReady": "True",
        "ToolCallingVerified": "Unknown",
    }
    assert computed.observed_generation == 3
    assert (computed.url, computed.model, computed.gpus) == ("http://demo.ns.svc", "org/model", 1)
    assert computed.orchestrator is not None
    assert computed.orchestrator.ready_replicas == 2


def test_figures_count_all_replicas() -> None:
    computed = compute(
        service(engine={"gpus": 4, "replicas": 3}), dict([deployment("engine", 3), deployment("orchestrator", 2)])
    )
    assert computed.gpus == 12
    assert computed.selector == "tandem.dev/llmservice=demo,tandem.dev/tier=engine"


UNFINISHED = {
    "no deployment": ({}, "Creating"),
    "new spec": (dict([deployment("engine", observedGeneration=1), deployment("orchestrator", 2)]), "RolloutPending"),
    "old pods": (dict([deployment("engine"), deployment("orchestrator", 3, updatedReplicas=2)]), "RollingOut"),
    "no pod yet": (dict([deployment("engine", 0), deployment("orchestrator", 2)]), "RollingOut"),
    "not available": (dict([deployment("engine", availableReplicas=0), deployment("orchestrator", 2)]), "Starting"),
    "too few": (dict([deployment("engine"), deployment("orchestrator", 1)]), "RollingOut"),
}


@pytest.mark.parametrize(("children", "reason"), UNFINISHED.values(), ids=UNFINISHED.keys())
def test_a_service_is_not_ready_in_the_middle_of_a_rollout(children: Any, reason: str) -> None:
    found = conditions(compute(children=children))
    assert found["Ready"] == ("False", reason)
    assert found["Reconciling"] == ("True", reason)
    assert found["Stalled"][0] == "False"


def test_too_little_cpu_for_a_cpu_engine_is_no_matter_of_gpus() -> None:
    pods = [pod(conditions=[unscheduled("0/1 nodes are available: 1 Insufficient cpu.")])]
    found = compute(service(engine={"accelerator": "cpu"}), pods=pods)
    engine = next(condition for condition in found.conditions if condition.type == "EngineReady")
    assert engine.reason == "Unschedulable"
    assert "gpus" not in engine.message


def test_the_autoscaler_may_want_more_than_there_are() -> None:
    children = dict([deployment("engine"), deployment("orchestrator", 5, availableReplicas=3, readyReplicas=3)])
    assert conditions(compute(children=children))["Ready"] == ("True", "Serving")


GPU = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
CAUSES: dict[str, tuple[dict[str, Any], str, bool, str]] = {
    "no gpu": (pod(conditions=[unscheduled(GPU)]), "Unschedulable", False, "needs 4 nvidia.com/gpu"),
    "no gpu for long": (
        pod(conditions=[unscheduled(GPU, 6)]),
        "Unschedulable",
        True,
        "lower spec.engine.gpus",
    ),
    "no cpu": (pod(conditions=[unscheduled("3 Insufficient cpu")]), "Unschedulable", False, "Insufficient cpu"),
    "no claim": (
        pod(conditions=[unscheduled('persistentvolumeclaim "models" not found')]),
        "VolumeMissing",
        True,
        "create the claim",
    ),
    "pulling failed": (pod(container=waiting("ErrImagePull", "timeout")), "ImagePullBackOff", False, "timeout"),
    "backing off": (
        pod(container=waiting("ImagePullBackOff", 'Back-off pulling image "a/b:1": ErrImagePull: timeout')),
        "ImagePullBackOff",
        False,
        "0: timeout; check its name",
    ),
    "no image": (pod(container=waiting("ImagePullBackOff", "not found")), "ImagePullBackOff", True, "not found"),
    "image name": (pod(container=waiting("InvalidImageName")), "InvalidImageName", True, "correct the image"),
    "no secret": (
        pod(container=waiting("CreateContainerConfigError", 'secret "hf" not found')),
        "CreateContainerConfigError",
        True,
        'secret "hf" not found',
    ),
    "memory": (
        pod(container={**waiting("CrashLoopBackOff"), "restartCount": 1, "lastState": ended("OOMKilled", 137)}),
        "OOMKilled",
        True,
        "raise its memory limit",
    ),
    "startup": (
        pod(container={"restartCount": 1, "lastState": ended(code=137, lasted=1900), "state": {"running": {}}}),
        "StartupTimeout",
        True,
        "raise spec.engine.startupTimeout",
    ),
    "crash loop": (
        pod(
            container={
                **waiting("CrashLoopBackOff"),
                "restartCount": 2,
                "lastState": ended(message="Traceback\nValueError: no such dtype\n"),
            }
        ),
        "CrashLoopBackOff",
        True,
        "ended 3x, exit code 1: ValueError: no such dtype",
    ),
    "first crash": (pod(container={"state": ended()}), "Crashed", False, "exit code 1"),
    "no such model": (
        pod(
            container={
                **waiting("CrashLoopBackOff"),
                "restartCount": 2,
                "lastState": ended(message="huggingface_hub.errors.RepositoryNotFoundError: 401 Client Error."),
            }
        ),
        "ModelUnavailable",
        True,
        "401 Client Error",
    ),
    "evicted": (pod(phase="Failed", reason="Evicted", message="low on disk"), "Evicted", False, "low on disk"),
    "volumes": (
        pod(
            container=waiting("ContainerCreating"),
            conditions=[{"type": "PodScheduled", "status": "True", "lastTransitionTime": at(minutes=3)}],
        ),
        "ContainerCreating",
        False,
        "kubectl describe pod",
    ),
}


@pytest.mark.parametrize(("sick", "reason", "terminal", "says"), CAUSES.values(), ids=CAUSES.keys())
def test_a_pod_s_trouble_becomes_the_reason(sick: Any, reason: str, terminal: bool, says: str) -> None:  # noqa: FBT001
    children = dict([deployment("engine", 1, availableReplicas=0), deployment("orchestrator", 2)])
    computed = compute(service(engine={"gpus": 4}), children, [sick])
    found = conditions(computed)
    assert found["Ready"] == ("False", reason)
    assert found["EngineReady"] == ("False", reason)
    assert found["Stalled"][0] == str(terminal)
    assert found["Reconciling"][0] == str(not terminal)
    assert says in message(computed)
    assert found["OrchestratorReady"][0] == "True"


def test_an_image_that_holds_the_model_is_the_model_s_trouble() -> None:
    children = dict([deployment("engine", availableReplicas=0), deployment("orchestrator", 2)])
    sick = pod(container=waiting("ErrImagePull", 'failed to pull image "host/model:1": not found'))
    computed = compute(service(model={"source": "oci://host/model:1"}), children, [sick])
    assert conditions(computed)["ModelReady"] == ("False", "ImagePullBackOff")
    assert "check spec.model.source" in message(computed)
    own = compute(service(model={"source": "oci://host/other:1"}), children, [sick])
    assert conditions(own)["ModelReady"] == ("False", "EngineNotRunning")


def test_a_pod_that_keeps_crashing_is_not_ready_even_while_it_runs() -> None:
    looping = {"ready": True, "restartCount": 4, "lastState": ended(ago=2), "state": {"running": {}}}
    assert conditions(compute(pods=[pod(container=looping)]))["Ready"] == ("False", "CrashLoopBackOff")
    settled = {**looping, "lastState": ended(ago=11)}
    assert conditions(compute(pods=[pod(container=settled)]))["Ready"] == ("True", "Serving")
    once = {**looping, "restartCount": 1}
    assert conditions(compute(pods=[pod(container=once)]))["Ready"] == ("True", "Serving")


def test_pods_on_their_way_out_are_not_held_against_the_service() -> None:
    leaving = pod(container=waiting("ImagePullBackOff"))
    leaving["metadata"]["deletionTimestamp"] = at(seconds=1)
    assert conditions(compute(pods=[READY_POD, leaving]))["Ready"] == ("True", "Serving")


def test_loading_says_since_when_and_for_how_long() -> None:
    children = dict([deployment("engine", availableReplicas=0), deployment("orchestrator", 2)])
    loading = pod(container={"state": {"running": {"startedAt": at(minutes=2)}}})
    computed = compute(children=children, pods=[loading])
    assert conditions(computed)["ModelReady"] == ("False", "Loading")
    assert "since 11:58:00 UTC (budget 30m)" in message(computed, "ModelReady")


def test_pods_that_may_not_be_created_are_explained() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: gpus"}
    children = dict([deployment("engine", 0, conditions=[failure]), deployment("orchestrator", 2)])
    computed = compute(children=children, pods=())
    assert conditions(computed)["Stalled"] == ("True", "FailedCreate")
    assert "exceeded quota" in message(computed)


def test_a_rollout_out_of_time_is_stalled() -> None:
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    children = dict([deployment("engine", 0, conditions=[late]), deployment("orchestrator", 2)])
    assert conditions(compute(children=children, pods=()))["Stalled"] == ("True", "ProgressDeadlineExceeded")


def test_a_suspended_service_is_at_rest() -> None:
    asleep = service(suspend=True)
    resting = dict([deployment("engine", 0), deployment("orchestrator", 0)])
    computed = compute(asleep, resting, pods=())
    found = conditions(computed)
    assert found["Ready"] == ("False", "Suspended")
    assert found["Reconciling"][0] == found["Stalled"][0] == "False"
    assert computed.gpus == 0
    leaving = dict([deployment("engine", 0), deployment("orchestrator", 1)])
    assert conditions(compute(asleep, leaving, pods=()))["Reconciling"] == ("True", "ScalingDown")


@pytest.mark.parametrize(
    ("kind", "name", "part"),
    [
        ("Deployment", "demo-engine", "EngineReady"),
        ("Secret", "demo-engine-key", "EngineReady"),
        ("Service", "demo", "OrchestratorReady"),
        ("ConfigMap", "demo-orchestrator", "OrchestratorReady"),
    ],
)
def test_a_refused_child_is_its_tier_s_trouble(kind: str, name: str, part: str) -> None:
    found = conditions(compute(problems=[Problem(kind, name, "Refused", "no")]))
    assert found["Ready"] == ("False", "Refused")
    assert found["Stalled"] == ("True", "Refused")
    tiers = {tier: found[tier][0] for tier in ("EngineReady", "OrchestratorReady")}
    assert tiers == {tier: str(tier != part) for tier in tiers}


WITH_KEYS = {"config": {"keys": {"files": [{"secretName": "team-keys", "secretKey": "keys.yaml"}]}}}


@pytest.mark.parametrize(
    ("there", "says"),
    [
        ({}, "Secret team-keys, which spec.orchestrator.config names, does not exist"),
        (
            {"team-keys": frozenset({"other", "third"})},
            "no key keys.yaml, which spec.orchestrator.config names; add it or correct that",
        ),
    ],
)
def test_a_missing_secret_is_why_the_orchestrator_waits(there: Any, says: str) -> None:
    waits = pod(
        "orchestrator", waiting("ContainerCreating"), [{"type": "PodScheduled", "lastTransitionTime": at(hours=1)}]
    )
    children = dict([deployment("engine"), deployment("orchestrator", 2, availableReplicas=0)])
    seen = Observed(NOW, children, [READY_POD, waits])
    assert status.waits_for_mounts(service(orchestrator=WITH_KEYS), seen)
    computed = compute(service(orchestrator=WITH_KEYS), children, [READY_POD, waits], secrets=there)
    assert conditions(computed)["OrchestratorReady"] == ("False", "SecretMissing")
    assert conditions(computed)["Stalled"] == ("True", "SecretMissing")
    assert conditions(computed)["EngineReady"][0] == "True"
    assert says in message(computed)
    assert "other" not in message(computed), "the names of other keys are no business of who may read a service"
    found = {"team-keys": frozenset({"keys.yaml"})}
    others = compute(service(orchestrator=WITH_KEYS), children, [READY_POD, waits], secrets=found)
    assert conditions(others)["OrchestratorReady"] == ("False", "ContainerCreating")


@pytest.mark.parametrize(
    ("there", "says"),
    [
        ({}, "ConfigMap tickets, which spec.orchestrator.config.tasksFrom names, does not exist; create it"),
        ({"tickets": frozenset({"other.yaml"})}, "has no key tickets.yaml, which spec.orchestrator.config.tasksFrom"),
    ],
)
def test_a_missing_config_map_is_why_the_orchestrator_waits(there: Any, says: str) -> None:
    named = {"config": {"tasksFrom": [{"configMapName": "tickets", "configMapKey": "tickets.yaml"}]}}
    children = dict([deployment("engine"), deployment("orchestrator", 2, availableReplicas=0)])
    assert status.waits_for_mounts(service(orchestrator=named), Observed(NOW, children, [READY_POD]))
    computed = compute(service(orchestrator=named), children, [READY_POD], config_maps=there)
    assert conditions(computed)["OrchestratorReady"] == ("False", "ConfigMapMissing")
    assert conditions(computed)["Stalled"] == ("True", "ConfigMapMissing")
    assert says in message(computed)
    assert "other.yaml" not in message(computed)


def test_secrets_are_looked_at_only_while_something_waits() -> None:
    assert not status.waits_for_mounts(service(orchestrator=WITH_KEYS), Observed(NOW, SERVING, [READY_POD]))
    assert not status.waits_for_mounts(service(), Observed(NOW, {}))
    gone = compute(service(orchestrator=WITH_KEYS), secrets={})
    assert conditions(gone)["OrchestratorReady"][0] == "True", "pods that run keep what they mounted"


def test_missing_monitoring_does_not_keep_a_service_from_being_ready() -> None:
    found = conditions(compute())
    assert found["MonitoringReady"] == ("False", "ServiceMonitorApiMissing")
    assert found["Ready"] == ("True", "Serving")
    refused = compute(
        problems=[Problem("ServiceMonitor", "demo-engine", "Refused", "no")],
        capabilities=frozenset({SERVICE_MONITOR_API}),
    )
    assert conditions(refused)["MonitoringReady"] == ("False", "Refused")
    assert conditions(refused)["Ready"][0] == "True"
    off = service(monitoring={"enabled": False})
    assert conditions(compute(off))["MonitoringReady"] == ("False", "Disabled")


def test_parts_that_orchestrators_cannot_use_degrade_a_service_that_is_ready() -> None:
    lines = [
        "tools of python dice: tools.python.0: the image does not have it",
        "upstream engine: loads",
        "database: no",
    ]
    computed = compute(degraded=[*lines, lines[0]])
    assert conditions(computed)["Degraded"] == ("True", "PartsUnusable")
    assert message(computed, "Degraded") == f"database: no; {lines[0]}", "the engine has a condition of its own"
    assert conditions(computed)["Ready"] == ("True", "Serving")
    assert conditions(computed)["Stalled"][0] == "False"
    assert conditions(compute(degraded=["upstream engine: loads"]))["Degraded"] == ("False", "PartsUsable")
    assert len(message(compute(degraded=[f"{n}: {'x' * 90}" for n in range(500)]), "Degraded")) < 5000


def test_what_was_said_stands_while_nobody_is_heard() -> None:
    assert "Degraded" not in conditions(compute())
    first = status.written(compute(degraded=["database: no"]))
    later = Observed(NOW + timedelta(hours=1), SERVING, [READY_POD])
    changed = service(status=first)
    changed.metadata.generation = 4
    kept = status.written(status.compute(changed, later))["conditions"][-1]
    assert kept == first["conditions"][-1]
    assert (kept["type"], kept["status"], kept["observedGeneration"]) == ("Degraded", "True", 3)
    asleep = service(suspend=True, status=first)
    stopped = dict([deployment("engine", 0), deployment("orchestrator", 0)])
    assert conditions(compute(asleep, stopped, pods=(), degraded=["database: no"]))["Degraded"] == (
        "False",
        "Suspended",
    )


def test_times_change_with_the_status_only() -> None:
    first = status.written(compute())
    later = Observed(NOW + timedelta(hours=1), SERVING, [READY_POD])
    assert status.written(status.compute(service(status=first), later)) == first
    sick = Observed(NOW + timedelta(hours=1), SERVING, [], [Problem("Service", "demo", "Refused", "no")])
    times = {str(c.type): c.last_transition_time for c in status.compute(service(status=first), sick).conditions}
    assert times["Ready"] == "2026-11-21T13:00:00Z"
    assert times["EngineReady"] == "2026-11-21T12:00:00Z"


def test_an_invalid_spec_is_stalled_and_keeps_what_was_known() -> None:
    live = {"metadata": {"generation": 4}, "status": status.written(compute())}
    computed = status.invalid(live, ["spec.engine.gpus: too many"], NOW)
    assert conditions(computed)["Stalled"] == ("True", "InvalidSpec")
    assert "spec.engine.gpus: too many" in message(computed)
    assert computed.observed_generation == 4
    assert computed.url == "http://demo.ns.svc"


def test_events_tell_about_turns_only() -> None:
    before = {"status": status.written(compute())}
    assert status.changes(before, compute()) == []
    sick = compute(pods=[pod(container=waiting("ImagePullBackOff", "not found"))])
    told = status.changes(before, sick)
    assert {(change.reason, change.warning) for change in told} >= {("ImagePullBackOff", True)}
    back = status.changes({"status": status.written(sick)}, compute())
    assert ("Ready", False) in {(change.reason, change.warning) for change in back}
    assert all(not change.warning for change in status.changes({}, compute(children={}, pods=())))


def test_contested_fields_do_not_hide_parts_that_cannot_be_used() -> None:
    contested = Problem("Deployment", "demo-engine", status.FIELDS_CONTESTED, "paused comes back", degrades=True)
    for lines in (["database: no"], [], None):
        degraded = message(compute(problems=[contested], degraded=lines), "Degraded")
        assert degraded == "; ".join(["paused comes back", *(lines or ())])


def test_events_tell_when_parts_become_unusable_and_usable() -> None:
    def told(before: list[str] | None, after: list[str]) -> list[tuple[Any, ...]]:
        return [
            tuple(change)
            for change in status.changes({"status": status.written(compute(degraded=before))}, compute(degraded=after))
        ]

    assert told(None, []) == []
    assert told(None, ["database: no"]) == [("PartsUnusable", "Degraded: database: no", True)]
    assert told(["database: no"], ["database: down"]) == []
    assert told(["database: no"], []) == [("PartsUsable", "Degraded: every part can be used", False)]


def test_a_service_that_cannot_be_looked_at_is_in_an_unknown_state_and_else_as_it_was() -> None:
    live = {"metadata": {"generation": 4}, "status": status.written(compute(degraded=["database: no"]))}
    later = NOW + timedelta(minutes=1)
    computed = status.failed(live, "ReconcileFailed", "no answer", later)
    found = conditions(computed)
    assert found["Ready"] == ("Unknown", "ReconcileFailed")
    assert (found["Reconciling"][0], found["Stalled"][0]) == ("True", "False")
    assert found["EngineReady"] == ("True", "Serving")
    assert found["Degraded"][0] == "True"
    assert (computed.observed_generation, computed.url) == (3, "http://demo.ns.svc")
    written = status.written(computed)
    assert [change.reason for change in status.changes(live, computed)] == ["ReconcileFailed"]
    again = status.failed({**live, "status": written}, "ReconcileFailed", "no answer after 7.31 s", later)
    assert status.written(again) == written, "what differs at each attempt is not written at each"
    assert "bug" in message(status.failed({**live, "status": written}, "InternalError", "bug", later))
    assert conditions(status.compute(service(status=written), Observed(later, SERVING, [READY_POD])))["Ready"] == (
        "True",
        "Serving",
    )


LONG_AGO = {"lastState": ended(ago=60 * 24 * 7), "restartCount": 1}
RUNNING = {"ready": True, "state": {"running": {"startedAt": at(hours=1)}}}


def with_containers(*containers: dict[str, Any], init: Any = (), **pod_status: Any) -> dict[str, Any]:
    found = pod(containerStatuses=[{"restartCount": 0, "ready": False, **each} for each in containers], **pod_status)
    found["status"]["initContainerStatuses"] = [{"restartCount": 0, "ready": False, **each} for each in init]
    return found


def test_the_container_that_crashes_is_blamed_and_no_other() -> None:
    looping = {"name": "proxy", **waiting("CrashLoopBackOff"), "restartCount": 6}
    engine = {"name": "engine", **RUNNING, **LONG_AGO}
    said = message(compute(pods=[with_containers(engine, looping)]))
    assert "container proxy ended 7x, exit code unknown; kubectl logs" in said
    gated = {**looping, "lastState": ended(message="GatedRepoError: 401 Client Error")}
    found = conditions(compute(pods=[with_containers(engine, gated)]))
    assert found["EngineReady"] == ("False", "CrashLoopBackOff"), "a sidecar loads no model"
    assert found["ModelReady"][0] == "True"
    slow = {"name": "proxy", "restartCount": 1, "lastState": ended(code=137, lasted=1900), "state": {"running": {}}}
    assert conditions(compute(pods=[with_containers(engine, slow)]))["Ready"] == ("False", "Crashed")


def test_an_init_container_that_has_done_its_work_is_forgotten() -> None:
    done = {"name": "init", "ready": True, "state": ended(code=0), "lastState": ended(), "restartCount": 5}
    engine = {"name": "engine", **RUNNING}
    assert conditions(compute(pods=[with_containers(engine, init=[done])]))["Ready"] == ("True", "Serving")
    sidecar = {"name": "istio-proxy", "ready": False, **waiting("ImagePullBackOff", "not found")}
    blamed = compute(pods=[with_containers(engine, init=[done, sidecar])])
    assert "init container istio-proxy: not found; check what has injected it" in message(blamed)


def test_volumes_of_a_pod_with_init_containers_may_take_long_as_well() -> None:
    waits = with_containers(
        {"name": "engine", **waiting("PodInitializing")},
        init=[{"name": "init", **waiting("PodInitializing")}],
        conditions=[{"type": "PodScheduled", "status": "True", "lastTransitionTime": at(minutes=3)}],
    )
    children = dict([deployment("engine", availableReplicas=0), deployment("orchestrator", 2)])
    assert conditions(compute(children=children, pods=[waits]))["Ready"] == ("False", "ContainerCreating")
    waits["status"]["initContainerStatuses"][0]["state"] = {"running": {"startedAt": at(minutes=1)}}
    assert conditions(compute(children=children, pods=[waits]))["Ready"] == ("False", "Starting")


def test_a_node_that_takes_no_pod_is_stalled_once_the_rollout_is_out_of_time() -> None:
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    refused = pod(phase="Failed", reason="OutOfnvidia.com/gpu", message="was 1, used 1")
    waits = pod()
    waits["metadata"]["name"] = "demo-engine-1"
    for times, stalled in (((), "False"), ((late,), "True")):
        children = dict([deployment("engine", 1, availableReplicas=0, conditions=times), deployment("orchestrator", 2)])
        found = conditions(compute(children=children, pods=[refused, waits]))
        assert found["Ready"] == ("False", "OutOfnvidia_com_gpu")
        assert found["Stalled"][0] == stalled


@pytest.mark.parametrize(
    "before",
    [
        {"conditions": [{"type": "Degraded", "status": "Unknown", "reason": "r", "lastTransitionTime": "x"}]},
        {"conditions": [{"type": "Throttled", "status": "True"}, {"status": "True"}, None, 7]},
        {"conditions": {"Ready": "True"}, "tokensPerSecond": 9, "engine": [], "url": {}},
        [],
        None,
    ],
)
def test_the_status_of_another_version_is_read_as_far_as_it_is_understood(before: Any) -> None:
    live = {"metadata": {"generation": 4}, "status": before}
    understood = before if isinstance(before, dict) else {}
    assert conditions(compute(service(status=understood)))["Ready"] == ("True", "Serving")
    assert conditions(status.invalid(live, ["x"], NOW))["Stalled"] == ("True", "InvalidSpec")
    assert conditions(status.failed(live, "ReconcileFailed", "x", NOW))["Ready"] == ("Unknown", "ReconcileFailed")
    assert status.changes(live, compute())


def test_a_known_condition_with_fields_of_another_version_is_kept() -> None:
    spec = {"engine": {"toolCalling": {"enabled": False}}}
    first = status.written(compute(service(**spec), degraded=["database: no"]))
    first["conditions"][-1]["severity"] = "low"
    later = status.compute(service(**spec, status=first), Observed(NOW + timedelta(hours=1), SERVING, [READY_POD]))
    assert conditions(later)["Degraded"] == ("True", "PartsUnusable")
    assert later == compute(service(**spec), degraded=["database: no"])


ROLLED_OUT = {
    Phase.COMPLETE: ("True", "False", "False"),
    Phase.UPDATE_PENDING: ("True", "False", "False"),
    Phase.PROGRESSING: ("False", "True", "False"),
    Phase.PROMOTING: ("False", "True", "False"),
    Phase.PAUSED: ("False", "False", "False"),
    Phase.UNDONE: ("False", "False", "False"),
    Phase.ROLLED_BACK: ("False", "False", "True"),
}


@pytest.mark.parametrize(("phase", "told"), ROLLED_OUT.items(), ids=ROLLED_OUT.keys())
def test_each_phase_of_a_roll_out_is_told_while_the_engine_serves(phase: Phase, told: tuple[str, str, str]) -> None:
    rollout = RolloutStatus(strategy=Strategy.CANARY, phase=phase, message="so", revision="1")
    computed = compute(rollout=rollout)
    found = conditions(computed)
    assert found["RolledOut"] == (told[0], phase)
    assert (found["Ready"][0], found["Reconciling"][0], found["Stalled"][0]) == ("True", *told[1:])
    assert message(computed, "RolledOut") == "so"
    assert computed.rollout == rollout


def test_a_roll_out_of_a_suspended_service_is_unknown_and_a_candidate_counts() -> None:
    rollout = RolloutStatus(strategy=Strategy.CANARY, phase=Phase.PROGRESSING, weight=0, message="", revision="1")
    found = conditions(compute(service(suspend=True), rollout=rollout))
    assert found["RolledOut"] == ("Unknown", "Suspended")
    assert compute(service(engine={"gpus": 2}), rollout=rollout).gpus == 4


def test_a_candidate_that_cannot_be_reached_is_told_by_its_roll_out() -> None:
    assert conditions(compute(degraded=["upstream engine-next: no answer"]))["Degraded"][0] == "False"
