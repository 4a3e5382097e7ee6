"""PodDisruptionBudgets of both tiers."""

from collections.abc import Iterable

from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.naming import Tier, selector
from tandem_operator.manifests.component import Manifest, child


def build(service: LLMService) -> Iterable[Manifest]:
    """Return budgets that let node drains take one orchestrator pod at a time, and as many engines as the spec says."""
    away = {
        Tier.ENGINE: service.spec.engine.pod_disruption_budget.max_unavailable,
        Tier.ORCHESTRATOR: 1,
    }
    for tier, pods in away.items():
        yield {
            **child(service, tier, "policy/v1", "PodDisruptionBudget"),
            "spec": {
                "maxUnavailable": pods,
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
                "selector": {"matchLabels": selector(service, tier)},
            },
        }
