"""ServiceMonitors for the Prometheus operator."""

from collections.abc import Iterable

from tandem_contract import names

from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.naming import Tier, selector, serves_tls
from tandem_operator.manifests.component import Manifest, child
from tandem_operator.manifests.platform import Platform


def build(service: LLMService, platform: Platform) -> Iterable[Manifest]:
    """Return a ServiceMonitor for each tier where the API exists; vLLM serves /metrics without its key."""
    monitoring = service.spec.monitoring
    if not (monitoring.enabled and platform.has_service_monitors):
        return
    for tier in Tier:
        monitor = child(service, tier, "monitoring.coreos.com/v1", "ServiceMonitor")
        monitor["metadata"]["labels"] = {**monitoring.labels, **monitor["metadata"]["labels"]}
        yield {
            **monitor,
            "spec": {
                "selector": {"matchLabels": selector(service, tier)},
                "endpoints": [_endpoint(service, tier)],
            },
        }


def _endpoint(service: LLMService, tier: Tier) -> Manifest:
    endpoint = {"path": "/metrics", "interval": service.spec.monitoring.interval}
    if tier == Tier.ENGINE:
        return {"port": "http", **endpoint}
    # A port of the pods alone: the Service, and so its clients, has it not.
    endpoint = {"targetPort": names.METRICS_PORT_NAME, **endpoint}
    if not serves_tls(service):
        return endpoint
    # Pods are scraped by their addresses, which no certificate names.
    return {**endpoint, "scheme": "https", "tlsConfig": {"insecureSkipVerify": True}}
