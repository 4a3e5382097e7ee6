"""The LLMService resource as a whole."""

import re
from typing import Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from tandem_contract import names

from tandem_operator.api.configuration import configuration
from tandem_operator.api.engine import EngineSpec
from tandem_operator.api.model import ModelSpec
from tandem_operator.api.monitoring import MonitoringSpec
from tandem_operator.api.networking import NetworkingSpec
from tandem_operator.api.orchestrator import OrchestratorSpec
from tandem_operator.rules import Rule, Ruled

API_VERSION: Final = f"{names.GROUP}/{names.VERSION}"
_NAME: Final = r"^[a-z]([-a-z0-9]{0,48}[a-z0-9])?$"


class Metadata(BaseModel):
    """The part of an object's metadata that builders use."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: int = 0


class LLMServiceSpec(Ruled):
    """A model, the engine that runs it and the orchestrator in front of it."""

    model: ModelSpec
    """What is served; model.source alone is a complete spec."""
    engine: EngineSpec = EngineSpec()
    """The inference engine that holds the accelerator."""
    orchestrator: OrchestratorSpec = OrchestratorSpec()
    """The tier that speaks to clients, runs tools and scales on CPU."""
    monitoring: MonitoringSpec = MonitoringSpec()
    """Metrics for Prometheus."""
    networking: NetworkingSpec = NetworkingSpec()
    """Service and NetworkPolicy."""
    suspend: bool = False
    """Whether both tiers are scaled to zero; configuration and address stay."""

    @model_validator(mode="after")
    def _the_configuration_holds(self) -> Self:
        configuration(self.model, self.orchestrator, "http://engine")
        return self


class LLMService(Ruled):
    """A private LLM engine and an autoscaled orchestrator in front of it, from one resource."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"self.metadata.name.matches('{_NAME}')",
            holds=lambda service: bool(re.match(_NAME, service.metadata.name)),
            message="metadata.name must begin with a letter, have lower-case letters, digits and dashes only, "
            "and at most 50 characters: Services are named after it",
        ),
    )

    api_version: Literal["tandem.dev/v1alpha1"] = "tandem.dev/v1alpha1"
    kind: Literal["LLMService"] = "LLMService"
    metadata: Metadata
    spec: LLMServiceSpec
    status: dict[str, Any] = Field(default={}, exclude=True)

    @property
    def name(self) -> str:
        """The resource's name."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """The resource's namespace."""
        return self.metadata.namespace
