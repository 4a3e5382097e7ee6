"""Services: the one that clients call, and the engine's private ones.

The orchestrator finds the engine's pods by the headless one, to balance over them and to send what begins alike to
the same pod. A pod that is ending leaves its DNS name at once, long before it stops listening.
"""

from collections.abc import Iterable
from typing import Any, Final

from tandem_contract import names

from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.naming import Tier, pods_service_name, selector, serves_tls
from tandem_operator.manifests.component import Manifest, child

_HTTPS_PORT: Final = 443


def build(service: LLMService) -> Iterable[Manifest]:
    """Return the three Services."""
    settings, tls = service.spec.networking.service, serves_tls(service)
    clients = child(service, Tier.ORCHESTRATOR, "v1", "Service", service.name)
    if settings.annotations:
        clients["metadata"]["annotations"] = dict(settings.annotations)
    ports = [_port("http", names.SERVICE_PORT, tls=tls)]
    if tls:  # the port that https:// means; the other one stays, and speaks TLS too
        ports.append(_port("https", _HTTPS_PORT, tls=True))
    yield {**clients, "spec": _spec(service, Tier.ORCHESTRATOR, ports, type=str(settings.type))}
    yield {
        **child(service, Tier.ENGINE, "v1", "Service"),
        "spec": _spec(service, Tier.ENGINE, [_port("http", names.ENGINE_PORT)], type="ClusterIP"),
    }
    # Its port has a name of its own, so that a ServiceMonitor for `http` does not count every pod twice.
    pods = _spec(service, Tier.ENGINE, [_port("pods", names.ENGINE_PORT)], type="ClusterIP", clusterIP="None")
    yield {**child(service, Tier.ENGINE, "v1", "Service", pods_service_name(service)), "spec": pods}


def _spec(service: LLMService, tier: Tier, ports: list[Manifest], **fields: Any) -> Manifest:
    return {**fields, "selector": selector(service, tier), "ports": ports}


def _port(name: str, port: int, *, tls: bool = False) -> Manifest:
    protocol = "https" if tls else "http"
    return {"name": name, "port": port, "targetPort": "http", "protocol": "TCP", "appProtocol": protocol}
