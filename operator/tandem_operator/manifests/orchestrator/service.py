"""The Service that clients call, and the one by which Prometheus finds pods that serve no client."""

from collections.abc import Iterable
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


def of_workers(service: LLMService) -> Iterable[Manifest]:
    """Return the headless Service of the pods that read documents, where there are any."""
    if (workers := service.ingestion) is None:
        return
    port = {"name": names.METRICS_PORT_NAME, "port": service.metrics_port, "targetPort": names.METRICS_PORT_NAME}
    spec = {
        "type": "ClusterIP",
        "clusterIP": "None",
        "selector": dict(workers.selector),
        "ports": [{**port, "protocol": "TCP"}],
    }
    yield {**child(service, workers, "v1", "Service"), "spec": spec}
