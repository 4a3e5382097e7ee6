"""How far one tier is: from its Deployment and pods."""

from dataclasses import dataclass, field, replace
from typing import Any, Final

from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.naming import Reference, Tier, child_name
from tandem_operator.api.settings import secrets
from tandem_operator.api.source import ImageVolume
from tandem_operator.api.status import TierStatus
from tandem_operator.status.finding import Finding
from tandem_operator.status.masking import quoted
from tandem_operator.status.observed import Observed, Problem
from tandem_operator.status.pods import PodView, diagnose, given_up
from tandem_operator.status.secrets import missing

_LONGEST_REFUSAL: Final = 4096


@dataclass(frozen=True)
class TierState:
    """One tier; `finding` is None when it serves."""

    finding: Finding | None
    counts: TierStatus
    pods: list[PodView] = field(default_factory=list)


def examine(service: LLMService, observed: Observed, tier: Tier) -> TierState:
    """Look at a tier."""
    deployment = observed.children.get(Reference("Deployment", child_name(service, tier)))
    status = deployment.get("status", {}) if deployment else {}
    counts = TierStatus(replicas=status.get("replicas", 0), ready_replicas=status.get("readyReplicas", 0))
    pods = [_view(service, observed, tier, pod) for pod in observed.tier_pods(tier)]
    return TierState(_cause(service, observed, tier, deployment, pods), counts, pods)


def _view(service: LLMService, observed: Observed, tier: Tier, pod: Any) -> PodView:
    engine = service.spec.engine
    if tier == Tier.ORCHESTRATOR:
        return PodView(pod, observed.now)
    source = service.spec.model.parsed_source
    return PodView(
        pod,
        observed.now,
        accelerator=engine.accelerator if engine.gpu_count else None,
        accelerators=engine.gpu_count,
        startup_seconds=engine.startup_seconds,
        model_image=source.reference if isinstance(source, ImageVolume) else None,
    )


def _cause(service: LLMService, observed: Observed, tier: Tier, deployment: Any, pods: list[PodView]) -> Finding | None:
    for problem in observed.problems:
        if _concerns(service, problem, tier):
            return Finding(problem.reason, problem.message, problem.terminal)
    if deployment is None:
        return Finding("Creating", f"Deployment {child_name(service, tier)} is being created")
    if service.spec.suspend:
        return _suspended(deployment)
    found = [finding for view in pods if not view.is_over and (finding := diagnose(view))]
    worst = sorted(found, key=lambda finding: not finding.terminal)
    unfinished = (worst[0] if worst else None) or _given_up(pods, _unfinished(service, tier, deployment))
    return _refused(deployment) or (unfinished and _without_secret(service, observed, tier)) or unfinished


def _given_up(pods: list[PodView], unfinished: Finding | None) -> Finding | None:
    """Kubernetes keeps pods that are over: the last tells why something is missing, until a node has taken a later."""
    over = [view for view in pods if view.is_over]
    taken = [view for view in pods if view.containers and not view.is_over]
    if unfinished and over and all(view.created < over[-1].created for view in taken):
        return replace(given_up(over[-1]), terminal=unfinished.terminal)
    return unfinished


def _concerns(service: LLMService, problem: Problem, tier: Tier) -> bool:
    """Every child's name begins with that of its tier, but for the orchestrator's Service."""
    engine = problem.name.startswith(child_name(service, Tier.ENGINE))
    return engine == (tier == Tier.ENGINE) and problem.kind != "ServiceMonitor" and not problem.degrades


def _suspended(deployment: Any) -> Finding:
    if deployment.get("status", {}).get("replicas", 0):
        return Finding("ScalingDown", "pods are finishing their requests; spec.suspend is true")
    return Finding("Suspended", "scaled to zero; set spec.suspend to false to go on")


def _without_secret(service: LLMService, observed: Observed, tier: Tier) -> Finding | None:
    """A pod that waits for a Secret only says that it is being created."""
    if tier == Tier.ENGINE or observed.secrets is None:
        return None
    return missing(secrets(service.spec.orchestrator.config), observed.secrets)


def _refused(deployment: Any) -> Finding | None:
    """Pods that cannot even be created: quota, admission, Pod Security."""
    condition = _condition(deployment, "ReplicaFailure")
    if condition.get("status") != "True":
        return None
    message = quoted(condition.get("message", ""), _LONGEST_REFUSAL)
    return Finding(condition.get("reason") or "PodsRefused", message, terminal=True)


def _unfinished(service: LLMService, tier: Tier, deployment: Any) -> Finding | None:
    name, status = deployment["metadata"]["name"], deployment.get("status", {})
    # The autoscaler may ask for more than there are: only the fewest must serve.
    wanted = service.spec.engine.replicas if tier == Tier.ENGINE else service.spec.orchestrator.replicas.min
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return Finding("RolloutPending", f"Deployment {name} has not taken up its newest spec")
    replicas, updated = status.get("replicas", 0), status.get("updatedReplicas", 0)
    stuck = _condition(deployment, "Progressing").get("reason") == "ProgressDeadlineExceeded"
    if stuck:
        message = f"Deployment {name} made no progress in time; kubectl describe deployment {name}"
        return Finding("ProgressDeadlineExceeded", message, terminal=True)
    if updated < replicas or updated < wanted:
        return Finding("RollingOut", f"{updated} of {max(replicas, wanted)} pods of {name} are up to date")
    available = status.get("availableReplicas", 0)
    if available < wanted:
        return Finding("Starting", f"{available} of {wanted} pods of {name} are ready")
    return None


def _condition(deployment: Any, kind: str) -> dict[str, Any]:
    conditions = deployment.get("status", {}).get("conditions", [])
    return next((condition for condition in conditions if condition["type"] == kind), {})
