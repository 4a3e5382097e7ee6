"""The NetworkPolicy that keeps the engine private."""

from collections.abc import Iterable

from tandem_contract import names

from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.naming import Tier, selector
from tandem_operator.manifests.component import Manifest, child


def build(service: LLMService) -> Iterable[Manifest]:
    """Return a policy that admits the orchestrator and the monitoring namespace to the engine, and nobody else."""
    if not service.spec.networking.network_policy.enabled:
        return
    monitoring = {"kubernetes.io/metadata.name": service.spec.monitoring.namespace}
    yield {
        **child(service, Tier.ENGINE, "networking.k8s.io/v1", "NetworkPolicy"),
        "spec": {
            "podSelector": {"matchLabels": selector(service, Tier.ENGINE)},
            "policyTypes": ["Ingress"],
            "ingress": [
                {
                    "from": [
                        {"podSelector": {"matchLabels": selector(service, Tier.ORCHESTRATOR)}},
                        {"namespaceSelector": {"matchLabels": monitoring}},
                    ],
                    "ports": [{"protocol": "TCP", "port": names.ENGINE_PORT}],
                }
            ],
        },
    }
