"""`status`: what the operator saw last."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, Field
from tandem_contract.config import Section

from tandem_operator.api.rollout import RolloutStatus
from tandem_operator.api.text import LONGEST_MESSAGE, LONGEST_REASON, fitting_message, fitting_reason


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class ConditionType(StrEnum):
    """Conditions of an LLMService; Reconciling, Stalled and Degraded are true when something is amiss (kstatus)."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    SIZED = "Sized"
    MODEL_READY = "ModelReady"
    ENGINE_READY = "EngineReady"
    EMBEDDING_READY = "EmbeddingReady"
    ADDITIONAL_ENGINES_READY = "AdditionalEnginesReady"
    ORCHESTRATOR_READY = "OrchestratorReady"
    STORES_READY = "StoresReady"
    UPDATE_SAFE = "UpdateSafe"
    ROLLED_OUT = "RolledOut"
    MONITORING_READY = "MonitoringReady"
    TOOL_CALLING_VERIFIED = "ToolCallingVerified"
    DEGRADED = "Degraded"


def _made_to_fit(fit: Callable[[str], str]) -> BeforeValidator:
    """Return what fits a text, foreign in part, to its field: else a status could not be written."""
    return BeforeValidator(lambda value: fit(value) if isinstance(value, str) else value)


class Condition(Section):
    """One aspect of the service's state."""

    type: ConditionType
    """Aspect."""
    status: ConditionStatus
    """Whether it holds."""
    reason: Annotated[
        str,
        Field(pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$", max_length=LONGEST_REASON),
        _made_to_fit(fitting_reason),
    ]
    """Cause, for machines."""
    message: Annotated[str, Field(max_length=LONGEST_MESSAGE), _made_to_fit(fitting_message)]
    """Cause and remedy, for people."""
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """When the status last changed."""
    observed_generation: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]
    """Generation of the spec that this was computed from."""


class Change(NamedTuple):
    """A turn of a condition, worth an Event."""

    reason: str
    message: str
    warning: bool


class TierStatus(Section):
    """Pods of one tier."""

    replicas: int
    """Pods that exist."""
    ready_replicas: int
    """Pods that serve."""


class Load(Section):
    """How long an engine took to load its model."""

    started_at: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """When its container started."""
    seconds: int
    """Until it served."""


class MainEngineStatus(TierStatus):
    """Pods of the main engine."""

    last_load: Load | None = None
    """The last load that was seen."""


class EngineStatus(TierStatus):
    """One of the additional engines."""

    name: str
    """Name in spec.additionalEngines."""
    model: str
    """Name that clients write as `model`."""
    endpoint: str
    """Where orchestrators reach it."""
    conditions: list[Condition] = Field(
        default=[],
        max_length=4,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    """Ready: whether it serves; ModelReady: whether it has loaded its model."""


class LLMServiceStatus(Section):
    """State of the service as last observed."""

    observed_generation: Annotated[int, Field(json_schema_extra={"format": "int64"})] = -1
    """Generation of the spec that this was computed from."""
    url: str | None = None
    """Where clients inside the cluster reach the service; OpenAI's API is below /v1."""
    model: str | None = None
    """Name that clients write as `model`."""
    gpus: int | None = None
    """Accelerators that all replicas of its engines ask for."""
    engine: MainEngineStatus | None = None
    """Engine pods."""
    embedding: TierStatus | None = None
    """Pods of the engine for embeddings."""
    additional_engines: list[EngineStatus] | None = Field(
        default=None,
        max_length=8,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    """The additional engines, by their names."""
    orchestrator: TierStatus | None = None
    """Orchestrator pods."""
    rollout: RolloutStatus | None = None
    """The main engine's roll-out."""
    selector: str | None = None
    """Label selector of the engine's pods, for the scale subresource."""
    conditions: list[Condition] = Field(
        default=[],
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    """Aspects of the state; Ready sums them up."""
