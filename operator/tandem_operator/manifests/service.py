"""Services: the one that clients call and the engine's private one."""

from collections.abc import Iterable
from typing import Any

from tandem_contract import names

from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.naming import Tier, selector
from tandem_operator.manifests.identity import Manifest, child


def build(service: LLMService) -> Iterable[Manifest]:
    """Return both Services."""
    settings = service.spec.networking.service
    clients = child(service, Tier.ORCHESTRATOR, "v1", "Service", service.name)
    if settings.annotations:
        clients["metadata"]["annotations"] = dict(settings.annotations)
    yield {**clients, "spec": _spec(service, Tier.ORCHESTRATOR, str(settings.type), names.SERVICE_PORT)}
    yield {
        **child(service, Tier.ENGINE, "v1", "Service"),
        "spec": _spec(service, Tier.ENGINE, "ClusterIP", names.ENGINE_PORT),
    }


def _spec(service: LLMService, tier: Tier, kind: str, port: int) -> dict[str, Any]:
    return {
        "type": kind,
        "selector": selector(service, tier),
        "ports": [{"name": "http", "port": port, "targetPort": "http", "protocol": "TCP", "appProtocol": "http"}],
    }
