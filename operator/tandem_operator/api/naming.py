"""Names and labels of a service's children, as people meet them in the cluster."""

from enum import StrEnum
from typing import Final, NamedTuple

from tandem_contract import names

from tandem_operator.api.llmservice import LLMService

SERVICE_MONITOR_API: Final = "monitoring.coreos.com/v1/ServiceMonitor"
"""Optional API, written as in Helm's --api-versions."""
ENGINE_KEY_SUFFIX: Final = "-engine-key"
SECURITY_CONTEXT_CONSTRAINTS_API: Final = "security.openshift.io/v1/SecurityContextConstraints"
"""OpenShift's, by which it assigns UIDs and groups to pods and refuses others."""


class Tier(StrEnum):
    """The two halves of a service."""

    ENGINE = "engine"
    ORCHESTRATOR = "orchestrator"


class Reference(NamedTuple):
    """One object of a service."""

    kind: str
    name: str


def child_name(service: LLMService, tier: Tier) -> str:
    """Return the name that a tier's children share."""
    return f"{service.name}-{tier}"


def pods_service_name(service: LLMService) -> str:
    """Return the name of the headless Service, whose DNS name has an address for each engine pod that serves."""
    return f"{child_name(service, Tier.ENGINE)}-pods"


def engine_key_name(service: LLMService) -> str:
    """Return the name of the Secret with the engine's API key."""
    return f"{service.name}{ENGINE_KEY_SUFFIX}"


def selector(service: LLMService, tier: Tier) -> dict[str, str]:
    """Return the labels that pick a tier's pods; they never change."""
    return {names.LABEL_SERVICE: service.name, names.LABEL_TIER: str(tier)}


def url(service: LLMService) -> str:
    """Return where clients inside the cluster reach the service."""
    return f"{'https' if serves_tls(service) else 'http'}://{service.name}.{service.namespace}.svc"


def metrics_port(service: LLMService) -> int:
    """Return the port at which the orchestrator's pods tell metrics and how they are; no Service leads there."""
    return service.spec.orchestrator.config.server.metrics_port or names.METRICS_PORT


def serves_tls(service: LLMService) -> bool:
    """Tell whether the orchestrator speaks HTTPS."""
    return service.spec.orchestrator.config.server.tls is not None
