"""The orchestrator's HorizontalPodAutoscaler."""

from collections.abc import Iterable
from typing import Any

from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.orchestrator import ScalingRules
from tandem_operator.manifests.component import Manifest, child


def autoscaled(service: LLMService) -> bool:
    """Return whether the autoscaler owns the orchestrator's replicas."""
    replicas = service.spec.orchestrator.replicas
    return replicas.min < replicas.max and not service.spec.suspend


def build(service: LLMService) -> Iterable[Manifest]:
    """Return the autoscaler, if there is a range to scale in."""
    if not autoscaled(service):
        return
    replicas, scaling = service.spec.orchestrator.replicas, service.spec.orchestrator.autoscaling
    targets = {"cpu": scaling.cpu_utilization, "memory": scaling.memory_utilization}
    yield {
        **child(service, service.orchestrator, "autoscaling/v2", "HorizontalPodAutoscaler"),
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": service.orchestrator.name,
            },
            "minReplicas": replicas.min,
            "maxReplicas": replicas.max,
            "metrics": [_metric(name, percent) for name, percent in targets.items() if percent],
            "behavior": {
                "scaleUp": _direction(scaling.behavior.scale_up),
                "scaleDown": _direction(scaling.behavior.scale_down),
            },
        },
    }


def _metric(name: str, percent: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": name, "target": target}}


def _direction(rules: ScalingRules) -> dict[str, Any]:
    written: dict[str, Any] = rules.model_dump(mode="json", by_alias=True, exclude_none=True)
    if not rules.policies:
        del written["policies"]  # an empty list would be refused; none means Kubernetes' own
    return written
