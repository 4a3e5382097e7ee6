"""`spec.monitoring`: metrics for Prometheus."""

from typing import Annotated

from pydantic import Field, StringConstraints

from tandem_operator.api.labels import LabelKey, LabelValue
from tandem_operator.rules import Ruled


class MonitoringSpec(Ruled):
    """ServiceMonitors for all tiers, where the Prometheus operator is installed."""

    enabled: bool = True
    """Whether ServiceMonitors are made where their API exists."""
    interval: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,4}(s|m)$", max_length=8)] = "30s"
    """Time between two scrapes."""
    labels: dict[LabelKey, LabelValue] = Field(default={}, max_length=32)
    """Labels that your Prometheus selects ServiceMonitors by, such as release: kube-prometheus-stack."""
    namespace: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)] = (
        "monitoring"
    )
    """Namespace of Prometheus, which the engine's NetworkPolicy admits."""
