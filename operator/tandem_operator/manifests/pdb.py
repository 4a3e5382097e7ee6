"""The orchestrator's PodDisruptionBudget."""

from collections.abc import Iterable

from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.naming import Tier, selector
from tandem_operator.manifests.identity import Manifest, child


def build(service: LLMService) -> Iterable[Manifest]:
    """Return a budget that lets node drains take one orchestrator pod at a time."""
    yield {
        **child(service, Tier.ORCHESTRATOR, "policy/v1", "PodDisruptionBudget"),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": selector(service, Tier.ORCHESTRATOR)},
        },
    }
