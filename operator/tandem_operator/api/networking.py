"""`spec.networking`: who reaches the two tiers."""

from enum import StrEnum

from pydantic import Field

from tandem_operator.api.labels import AnnotationValue, LabelKey
from tandem_operator.rules import Ruled


class ServiceType(StrEnum):
    """How the Service is reached."""

    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"


class ServiceSettings(Ruled):
    """The Service that clients call."""

    type: ServiceType = ServiceType.CLUSTER_IP
    """How the Service is reached."""
    annotations: dict[LabelKey, AnnotationValue] = Field(default={}, max_length=32)
    """Annotations, for load balancers and external DNS."""


class NetworkPolicySettings(Ruled):
    """The NetworkPolicy in front of each engine."""

    enabled: bool = True
    """Whether only the orchestrator and the monitoring namespace may reach the engines."""


class NetworkingSpec(Ruled):
    """Service and NetworkPolicy."""

    service: ServiceSettings = ServiceSettings()
    """The Service that clients call."""
    network_policy: NetworkPolicySettings = NetworkPolicySettings()
    """The NetworkPolicy in front of each engine."""
