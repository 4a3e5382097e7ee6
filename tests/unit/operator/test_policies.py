"""In which order causes are looked for: of two that hold at once, the first of their chain is told."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tandem_operator.api.component import SERVICE_MONITOR_API, Reference, Tier
from tandem_operator.api.hang import Hang
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.rollout import Phase, RolloutStatus, Strategy
from tandem_operator.api.status import ConditionType
from tandem_operator.sizing.decision import Decision
from tandem_operator.status import FIELDS_CONTESTED, Observed, Problem
from tandem_operator.status import compute as status
from tandem_operator.status.compute import (
    DEGRADED,
    MONITORING,
    ServiceView,
    documents_unread,
    embedding_away,
    fields_contested,
    monitor_not_written,
    monitoring_disabled,
    monitoring_not_served,
    parts_unusable,
    queue_not_told,
)
from tandem_operator.status.finding import Policy, first_finding
from tandem_operator.status.pods import (
    POD,
    PodView,
    crashing,
    image_unavailable,
    misconfigured,
    out_of_memory,
    slow_to_prepare,
    too_slow_to_start,
    unschedulable,
)
from tandem_operator.status.tier import (
    MODEL,
    TIER,
    TierView,
    at_rest,
    child_not_written,
    engine_not_running,
    gather,
    loading,
    model_finding,
    mount_missing,
    not_created,
    out_of_time,
    pod_given_up,
    pod_hangs,
    pod_in_trouble,
    pods_refused,
    rolling_out,
    rollout_pending,
    scaling_down,
    source_unusable,
    starting,
    suspended,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LONG_AGO = (NOW - timedelta(hours=1)).isoformat()
JUST_NOW = (NOW - timedelta(seconds=30)).isoformat()
KEYS = {"config": {"keys": {"files": [{"secretName": "team-keys", "secretKey": "keys.yaml"}]}}}
NO_QUOTA = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}
LATE = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
NO_NODE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastTransitionTime": JUST_NOW}
SCHEDULED = {"type": "PodScheduled", "status": "True", "lastTransitionTime": LONG_AGO}


def service(**spec: Any) -> LLMService:
    metadata = {"name": "demo", "namespace": "ns", "uid": "u", "generation": 3}
    return LLMService.model_validate({"metadata": metadata, "spec": {"model": {"source": "oci://host/m:1"}, **spec}})


def container(name: str = "engine", waits: str = "", message: str = "", **more: Any) -> dict[str, Any]:
    state = {"waiting": {"reason": waits, "message": message}} if waits else {"running": {"startedAt": LONG_AGO}}
    return {"name": name, "restartCount": 0, "ready": False, "state": state, **more}


def ended(reason: str = "Error", code: int = 1, message: str = "") -> dict[str, Any]:
    end = {"reason": reason, "exitCode": code, "message": message, "startedAt": LONG_AGO, "finishedAt": JUST_NOW}
    return {"lastState": {"terminated": end}, "restartCount": 1}


def pod(*containers: dict[str, Any], name: str = "0", of: str = "engine", **pod_status: Any) -> dict[str, Any]:
    metadata = {"name": f"demo-{of}-{name}", "labels": {"tandem.dev/tier": of}}
    return {"metadata": metadata, "status": {"containerStatuses": list(containers), **pod_status}}


def pod_view(*containers: dict[str, Any], **pod_status: Any) -> PodView:
    return PodView(pod(*containers, **pod_status), NOW, service(engine={"startupTimeout": "1m"}).engine)


def tier_view(  # whatever there is to see
    which: Tier = Tier.ENGINE,
    *found: dict[str, Any],
    deployment: dict[str, Any] | None = None,
    of: LLMService | None = None,
    problems: tuple[Problem, ...] = (),
    secrets: Any = None,
) -> TierView:
    name = f"demo-{which}"
    built = {"metadata": {"name": name, "generation": 2}, "status": {"observedGeneration": 2, **(deployment or {})}}
    children = {} if deployment is None else {Reference("Deployment", name): built}
    of = of or service()
    component = of.engine if which is Tier.ENGINE else of.orchestrator
    return gather(of, Observed(NOW, children, found, problems, secrets=secrets), component)


def service_view(of: LLMService, **observed: Any) -> ServiceView:
    seen = Observed(NOW, **observed)
    engine, orchestrator = gather(of, seen, of.engine), gather(of, seen, of.orchestrator)
    embedding = gather(of, seen, of.embedding) if of.embedding else None
    ingestion = gather(of, seen, of.ingestion) if of.ingestion else None
    return ServiceView(of, seen, engine, embedding, orchestrator, ingestion, model_finding(engine))


def serving(*tiers: str) -> dict[str, Any]:
    """What is seen of a service of which these tiers serve."""
    counts = dict.fromkeys(
        ("observedGeneration", "replicas", "readyReplicas", "updatedReplicas", "availableReplicas"), 2
    )
    names = [f"demo-{tier}" for tier in tiers]
    children = {
        Reference("Deployment", name): {"metadata": {"name": name, "generation": 2}, "status": counts} for name in names
    }
    return {"children": children, "pods": [pod(container(ready=True))]}


def hung(view: TierView) -> TierView:
    """The same with a pod that hangs and is on its way out."""
    leaving = pod(name="hung")
    leaving["metadata"] |= {"uid": "hung", "deletionTimestamp": JUST_NOW}
    hang = Hang("hung", "demo-engine-hung", "engine", NOW, NOW)
    return replace(view, observed=replace(view.observed, pods=[*view.observed.pods, leaving], hangs=[hang]))


REFUSED = Problem("Deployment", "demo-engine", "Refused", "no")
ADDITIONAL = {"additionalEngines": {"small": {"model": {"source": "hf://org/small"}}}}
EMBEDDING = {"embeddingEngine": {"model": {"source": "hf://org/embedding"}}}
READERS = service(
    **EMBEDDING,
    orchestrator={
        "state": {"postgres": {"urlFrom": {"secretName": "app"}}},
        "files": {"claimName": "shared"},
        "retrieval": {"workers": {"replicas": {"min": 1, "max": 2}}},
    },
)
MONITOR_REFUSED = Problem("ServiceMonitor", "demo-engine", "Refused", "no")
CONTESTED = Problem("Deployment", "demo-engine", FIELDS_CONTESTED, "paused comes back", degrades=True)
NONE, ONE, OLD = {"replicas": 0}, {"replicas": 1, "updatedReplicas": 1}, {"replicas": 1, "updatedReplicas": 0}
ASLEEP = service(suspend=True)
CREATING = pod(container("orchestrator", "ContainerCreating"), of="orchestrator", conditions=[SCHEDULED])
EVICTED = pod(name="1", phase="Failed", reason="Evicted")
NO_MODEL = pod(container(waits="ErrImagePull", message='failed to pull "host/m:1": timeout'))

Case = tuple[tuple[Policy[Any], ...], Any, Callable[[Any], Any], Callable[[Any], Any]]
CASES: list[Case] = [
    (POD, pod_view(container("proxy", "ErrImagePull"), conditions=[NO_NODE]), unschedulable, image_unavailable),
    (
        POD,
        pod_view(container("proxy", "CreateContainerError"), container(waits="ErrImagePull")),
        image_unavailable,
        misconfigured,
    ),
    (POD, pod_view(container(waits="StartError", **ended("OOMKilled", 137))), misconfigured, out_of_memory),
    (POD, pod_view(container(**ended("OOMKilled", 137))), out_of_memory, too_slow_to_start),
    (POD, pod_view(container(**ended(code=137))), too_slow_to_start, crashing),
    (
        POD,
        pod_view(container(**ended()), container("proxy", "ContainerCreating"), conditions=[SCHEDULED]),
        crashing,
        slow_to_prepare,
    ),
    (TIER, tier_view(problems=(REFUSED,)), child_not_written, not_created),
    (TIER, tier_view(of=ASLEEP, problems=(REFUSED,), deployment=ONE), child_not_written, scaling_down),
    (TIER, tier_view(of=ASLEEP), not_created, suspended),
    (TIER, tier_view(of=ASLEEP, deployment=ONE), scaling_down, suspended),
    (TIER, tier_view(of=ASLEEP, deployment={**NONE, "conditions": [NO_QUOTA]}), suspended, pods_refused),
    (
        TIER,
        tier_view(Tier.ORCHESTRATOR, of=service(orchestrator=KEYS), deployment={"conditions": [NO_QUOTA]}, secrets={}),
        pods_refused,
        mount_missing,
    ),
    (
        TIER,
        tier_view(Tier.ORCHESTRATOR, CREATING, of=service(orchestrator=KEYS), deployment=ONE, secrets={}),
        mount_missing,
        pod_in_trouble,
    ),
    (TIER, hung(tier_view(Tier.ENGINE, pod(conditions=[NO_NODE]), deployment=ONE)), pod_hangs, pod_in_trouble),
    (TIER, tier_view(Tier.ENGINE, pod(conditions=[NO_NODE]), EVICTED, deployment=ONE), pod_in_trouble, pod_given_up),
    (TIER, tier_view(Tier.ENGINE, EVICTED, deployment={**ONE, "observedGeneration": 1}), pod_given_up, rollout_pending),
    (TIER, tier_view(deployment={**ONE, "observedGeneration": 1, "conditions": [LATE]}), rollout_pending, out_of_time),
    (TIER, tier_view(deployment={**OLD, "conditions": [LATE]}), out_of_time, rolling_out),
    (TIER, tier_view(deployment=OLD), rolling_out, starting),
    (
        MODEL,
        tier_view(Tier.ENGINE, NO_MODEL, pod(container(), name="1"), deployment=ONE),
        source_unusable,
        loading,
    ),
    (MODEL, tier_view(Tier.ENGINE, pod(container()), of=ASLEEP, deployment=ONE), at_rest, loading),
    (MODEL, tier_view(Tier.ENGINE, pod(container()), deployment=ONE), loading, engine_not_running),
    (MONITORING, service_view(service(monitoring={"enabled": False})), monitoring_disabled, monitoring_not_served),
    (MONITORING, service_view(service(), problems=[MONITOR_REFUSED]), monitoring_not_served, monitor_not_written),
    (
        MONITORING,
        service_view(READERS, problems=[MONITOR_REFUSED], capabilities=frozenset({SERVICE_MONITOR_API})),
        monitor_not_written,
        queue_not_told,
    ),
    (
        DEGRADED,
        service_view(service(), problems=[CONTESTED], degraded=["database: no"]),
        fields_contested,
        parts_unusable,
    ),
    (
        DEGRADED,
        service_view(READERS, problems=[CONTESTED], **serving("engine", "orchestrator")),
        fields_contested,
        embedding_away,
    ),
    (DEGRADED, service_view(READERS, **serving("engine", "orchestrator")), embedding_away, documents_unread),
    (DEGRADED, service_view(READERS, degraded=["database: no"]), documents_unread, parts_unusable),
]


@pytest.mark.parametrize(
    ("chain", "view", "first", "second"), CASES, ids=[f"{case[2].__name__}-{case[3].__name__}" for case in CASES]
)
def test_of_two_causes_the_first_of_the_chain_is_told(chain: Any, view: Any, first: Any, second: Any) -> None:
    assert first(view)
    assert second(view)
    assert first(view) != second(view)
    assert first_finding(chain, view) == first(view)


def test_every_condition_is_told_in_the_order_of_the_api() -> None:
    redis = {"config": {"redis": {"url": "redis://redis:6379/0"}}}
    rollout = RolloutStatus(strategy=Strategy.CANARY, phase=Phase.COMPLETE, message="", revision="1")
    told = status(
        service(**EMBEDDING, **ADDITIONAL, orchestrator=redis),
        Observed(
            NOW,
            degraded=[],
            capabilities=frozenset({SERVICE_MONITOR_API}),
            decisions={"engine": Decision("Sized", "fits", fits=True)},
            rollout=rollout,
        ),
    )
    assert [condition.type for condition in told.conditions] == list(ConditionType)
