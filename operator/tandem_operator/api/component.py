"""What a service is made of: its components, and how their objects are named in the cluster."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from tandem_contract import metrics

from tandem_operator.api.engine import EngineSpec
from tandem_operator.api.model import ModelSpec
from tandem_operator.api.pod import PodSettings

SERVICE_MONITOR_API: Final = "monitoring.coreos.com/v1/ServiceMonitor"
"""Optional API, written as in Helm's --api-versions."""
INGESTION_QUEUED_API: Final = f"external.metrics.k8s.io/v1beta1/{metrics.INGESTION_QUEUED}"
"""The metric by whose value pods for ingestion are scaled, where an adapter serves it."""
ENGINE_KEY_SUFFIX: Final = "-engine-key"
MIGRATION: Final = "migration"
"""In the place of a tier, the label of the pods that migrate the database, and the name of their container: with the
orchestrator's label, its Service would send them requests."""
INSPECTION: Final = "inspection"
"""The same of the pods that look at a model's files."""
FETCH: Final = "fetch"
"""The same of the pods that fetch a model."""
CANDIDATE: Final = "engine-next"
"""In the place of a tier, the label of the pods of an engine that is to take the place of the main one, and its name
among the upstreams."""
ATTEMPT: Final = "tandem.dev/attempt"
"""Annotation of a Job: how many like it have failed before."""
FETCHED: Final = "tandem.dev/fetched"
"""Annotation of an engine's Deployment: what was fetched for it, by its source, and into which claim."""
MODELS: Final = "tandem.dev/models"
"""Annotation of what is known of a roll-out: the sources of the fetched models that its engines run, one or two."""
SECURITY_CONTEXT_CONSTRAINTS_API: Final = "security.openshift.io/v1/SecurityContextConstraints"
"""OpenShift's, by which it assigns UIDs and groups to pods and refuses others."""


class Tier(StrEnum):
    """What a component does in its service."""

    ENGINE = "engine"
    EMBEDDING = "embedding"
    """A second engine, which makes vectors of texts."""
    ORCHESTRATOR = "orchestrator"
    INGESTION = "ingestion"
    """The orchestrator's program in pods that read documents and serve nobody."""


@dataclass(frozen=True)
class Component[Spec: PodSettings]:
    """One Deployment and what belongs to it."""

    tier: str
    """A `Tier`, or the key of an additional engine; also the name of its container."""
    name: str
    """Name that its objects share."""
    selector: Mapping[str, str]
    """Labels that pick its pods; they never change."""
    spec: Spec


@dataclass(frozen=True)
class EngineComponent(Component[EngineSpec]):
    """An engine, with what it serves and where the service's spec says so."""

    model: ModelSpec
    spec_path: str
    """Path of its settings in the service, such as spec.engine."""
    model_path: str
    embeds: bool = False
    """Whether it makes vectors of texts."""

    @property
    def cache_claim(self) -> str | None:
        """The claim that its model is fetched into; None where it is not."""
        if (cache := self.model.cache) is None:
            return None
        return cache.claim_name or f"{self.name}-models"


class Reference(NamedTuple):
    """One object of a service."""

    kind: str
    name: str
