"""The Service that clients call."""

from typing import Final

from tandem_contract import names

from tandem_operator.api.llmservice import LLMService
from tandem_operator.manifests.component import Manifest, child
from tandem_operator.manifests.pod import service_port

_HTTPS_PORT: Final = 443


def build(service: LLMService) -> Manifest:
    """Return the Service."""
    settings, tls = service.spec.networking.service, service.serves_tls
    clients = child(service, service.orchestrator, "v1", "Service", service.name)
    if settings.annotations:
        clients["metadata"]["annotations"] = dict(settings.annotations)
    ports = [service_port("http", names.SERVICE_PORT, tls=tls)]
    if tls:  # the port that https:// means; the other one stays, and speaks TLS too
        ports.append(service_port("https", _HTTPS_PORT, tls=True))
    spec = {"type": str(settings.type), "selector": dict(service.orchestrator.selector), "ports": ports}
    return {**clients, "spec": spec}
