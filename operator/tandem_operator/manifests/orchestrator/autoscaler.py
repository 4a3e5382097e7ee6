"""HorizontalPodAutoscalers of the orchestrator and of the pods that read documents."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from tandem_contract import metrics

from tandem_operator.api.component import Component, Tier
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.orchestrator import OrchestratorSpec, ScalingRules
from tandem_operator.manifests.component import Manifest, child
from tandem_operator.manifests.platform import Platform

_WAITING: Final = 4
"""Files that may wait for each pod that reads them, before there is another."""


def replicas(service: LLMService, component: Component[OrchestratorSpec]) -> int | None:
    """Return how many pods there are; None where the autoscaler decides."""
    wanted = service.replicas(component)
    if service.spec.suspend:
        return 0
    return None if wanted.is_wide else wanted.min


def build(service: LLMService, platform: Platform) -> Iterable[Manifest]:
    """Return an autoscaler for each component that has a range to scale in."""
    for component in service.orchestrators:
        if replicas(service, component) is None:
            yield _autoscaler(service, component, platform)


def _autoscaler(service: LLMService, component: Component[OrchestratorSpec], platform: Platform) -> Manifest:
    scaling, wanted = component.spec.autoscaling, service.replicas(component)
    return {
        **child(service, component, "autoscaling/v2", "HorizontalPodAutoscaler"),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": component.name},
            "minReplicas": wanted.min,
            "maxReplicas": wanted.max,
            "metrics": [*_metrics(service, component, platform)],
            "behavior": {
                "scaleUp": _direction(scaling.behavior.scale_up),
                "scaleDown": _direction(scaling.behavior.scale_down),
            },
        },
    }


def _metrics(service: LLMService, component: Component[OrchestratorSpec], platform: Platform) -> Iterator[Manifest]:
    scaling = component.spec.autoscaling
    targets = {"cpu": scaling.cpu_utilization, "memory": scaling.memory_utilization}
    if component.tier == Tier.INGESTION and platform.tells_queued_files:
        # The Service of a scraped pod is a label that Prometheus gives.
        metric = {"name": metrics.INGESTION_QUEUED, "selector": {"matchLabels": {"service": service.name}}}
        target = {"type": "AverageValue", "averageValue": str(_WAITING)}
        yield {"type": "External", "external": {"metric": metric, "target": target}}
    yield from (_metric(name, percent) for name, percent in targets.items() if percent)


def _metric(name: str, percent: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": name, "target": target}}


def _direction(rules: ScalingRules) -> dict[str, Any]:
    written: dict[str, Any] = rules.model_dump(mode="json", by_alias=True, exclude_none=True)
    if not rules.policies:
        del written["policies"]  # an empty list would be refused; none means Kubernetes' own
    return written
