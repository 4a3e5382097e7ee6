"""The LLMService resource as a whole."""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from tandem_contract import names
from tandem_contract.config import OrchestratorConfig, Upstream

from tandem_operator.api import additional_engine
from tandem_operator.api.additional_engine import AdditionalEngines, AdditionalEngineSpec, Task
from tandem_operator.api.component import ENGINE_KEY_SUFFIX, Component, EngineComponent, Tier
from tandem_operator.api.configuration import OwnEngines, configuration
from tandem_operator.api.embedding_engine import EmbeddingEngineSpec
from tandem_operator.api.engine import EngineSpec, source_rule
from tandem_operator.api.model import MainModelSpec, ModelSpec
from tandem_operator.api.monitoring import MonitoringSpec
from tandem_operator.api.networking import NetworkingSpec
from tandem_operator.api.orchestrator import OrchestratorSpec
from tandem_operator.api.pairing import draft_pairing, pairing
from tandem_operator.api.replicas import ReplicaRange
from tandem_operator.api.rollout import RolloutSpec
from tandem_operator.api.settings import Named, config_maps, secrets
from tandem_operator.engines import ENGINES
from tandem_operator.engines.base import Capability, EngineType
from tandem_operator.rules import NOT_STORED, Rule, Ruled

ROTATE_KEY: Final = "tandem.dev/rotate-engine-key"
"""Annotation of an LLMService: with another value, the engines get another key."""
API_VERSION: Final = f"{names.GROUP}/{names.VERSION}"
_NAME: Final = r"^[a-z]([-a-z0-9]{0,48}[a-z0-9])?$"
_LONGEST_WITH_EMBEDDING: Final = 48
"""NAME-embedding-pods is a DNS label, too."""
_KEYLESS: Final = [str(kind) for kind, engine in ENGINES.items() if Capability.KEY not in engine.capabilities]
_OPEN: Final = [str(kind) for kind, engine in ENGINES.items() if engine.loads_for_anyone]
_TRYING: Final = ["BlueGreen", "Canary"]
_LONGEST_TRIED: Final = 46
"""NAME-engine-next-pods is one, too."""
_LONGEST_TOGETHER: Final = 57
"""NAME-KEY-pods is one as well."""


class Metadata(BaseModel):
    """The part of an object's metadata that builders use."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: int = 0
    annotations: dict[str, str] = {}


def _fallback_generates(spec: "LLMServiceSpec") -> bool:
    found = (spec.additional_engines or {}).get(spec.model.fallback or "")
    return spec.model.fallback is None or (found is not None and found.task is Task.GENERATE)


def _types(spec: "LLMServiceSpec") -> set[EngineType]:
    return {
        each.type for each in (spec.engine, spec.embedding_engine, *(spec.additional_engines or {}).values()) if each
    }


def _loads_for_anyone(spec: "LLMServiceSpec") -> bool:
    others = [
        (each.type, each.model) for each in (spec.embedding_engine, *(spec.additional_engines or {}).values()) if each
    ]
    return any(
        model.adapters is not None and kind in _OPEN for kind, model in ((spec.engine.type, spec.model), *others)
    )


class LLMServiceSpec(Ruled):
    """Models, the engines that run them and the orchestrator in front of them."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"!has(self.additionalEngines) || self.additionalEngines.all(k, k.matches('{additional_engine.NAME}'))",
            holds=lambda spec: all(re.fullmatch(additional_engine.NAME, key) for key in spec.additional_engines or ()),
            message="a name in additionalEngines has lower-case letters, digits and dashes only, begins and ends with "
            f"a letter or digit, and has at most {additional_engine.LONGEST_NAME} characters",
            field="additionalEngines",
        ),
        Rule(
            cel="!has(self.additionalEngines)"
            f" || !self.additionalEngines.exists(k, k.matches('{additional_engine.RESERVED}'))",
            holds=lambda spec: (
                not any(re.fullmatch(additional_engine.RESERVED, key) for key in spec.additional_engines or ())
            ),
            message="a name in additionalEngines must not be engine, embedding, orchestrator, ingestion, migration, "
            "migrate, files or pods, nor begin with one of the former and a dash, nor end with -pods: other objects of "
            "the service are called so",
            field="additionalEngines",
        ),
        Rule(
            cel="!has(self.model.fallback) || (has(self.additionalEngines)"
            " && self.model.fallback in self.additionalEngines"
            " && self.additionalEngines[self.model.fallback].task == 'generate')",
            holds=_fallback_generates,
            message="model.fallback must be a name in additionalEngines, of an engine with task generate; "
            "for a model of orchestrator.config.upstreams set orchestrator.config.models[].fallback",
            field="model",
        ),
        source_rule("self.engine.type", lambda spec: spec.engine, "model"),
        *pairing("self.engine", lambda spec: (spec.engine, spec.model)),
        *draft_pairing("self.engine", lambda spec: (spec.engine, spec.model)),
        Rule(
            cel=f"self.networking.networkPolicy.enabled || !(self.engine.type in {_KEYLESS}"
            f" || has(self.embeddingEngine) && self.embeddingEngine.type in {_KEYLESS}"
            " || has(self.additionalEngines)"
            f" && self.additionalEngines.exists(k, self.additionalEngines[k].type in {_KEYLESS}))",
            holds=lambda spec: spec.networking.network_policy.enabled or not _types(spec) & {*_KEYLESS},
            message=f"networking.networkPolicy must be enabled with engine.type {', '.join(_KEYLESS)}, which asks for "
            "no key: nothing else keeps others out",
            field="networking",
        ),
        Rule(
            cel=f"self.networking.networkPolicy.enabled || !(has(self.model.adapters) && self.engine.type in {_OPEN}"
            " || has(self.embeddingEngine) && has(self.embeddingEngine.model.adapters)"
            f" && self.embeddingEngine.type in {_OPEN}"
            " || has(self.additionalEngines) && self.additionalEngines.exists(k,"
            f" has(self.additionalEngines[k].model.adapters) && self.additionalEngines[k].type in {_OPEN}))",
            holds=lambda spec: spec.networking.network_policy.enabled or not _loads_for_anyone(spec),
            message=f"networking.networkPolicy must be enabled with model.adapters of engine.type {', '.join(_OPEN)}, "
            "which loads others for whoever reaches it",
            field="networking",
        ),
    )

    model: MainModelSpec
    """What is served; model.source alone is a complete spec."""
    engine: EngineSpec = EngineSpec()
    """The inference engine that holds the accelerator."""
    embedding_engine: EmbeddingEngineSpec | None = None
    """A second, small engine that makes vectors of texts: Deployment and Service NAME-embedding. Default: none."""
    additional_engines: AdditionalEngines | None = None
    """Further engines by a name of your choice: Deployment and Service NAME-<that name>. Default: none."""
    orchestrator: OrchestratorSpec = OrchestratorSpec()
    """The tier that speaks to clients, runs tools and scales on CPU."""
    monitoring: MonitoringSpec = MonitoringSpec()
    """Metrics for Prometheus."""
    rollout: Annotated[RolloutSpec, Field(json_schema_extra=NOT_STORED)] = RolloutSpec()
    """How a changed main engine takes the place of the one that serves."""
    networking: NetworkingSpec = NetworkingSpec()
    """Service and NetworkPolicy."""
    suspend: bool = False
    """Whether all tiers are scaled to zero; configuration and address stay."""
    _configuration: OrchestratorConfig

    @model_validator(mode="after")
    def _the_configuration_holds(self) -> Self:
        additional = self.additional_engines or {}
        engines = OwnEngines(self.model, self.engine, self.embedding_engine, additional)
        self._configuration = configuration(engines, self.orchestrator)
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
        Rule(
            cel=f"!has(self.spec.embeddingEngine) || self.metadata.name.size() <= {_LONGEST_WITH_EMBEDDING}",
            holds=lambda service: (
                service.spec.embedding_engine is None or len(service.metadata.name) <= _LONGEST_WITH_EMBEDDING
            ),
            message=f"metadata.name must have at most {_LONGEST_WITH_EMBEDDING} characters where there is "
            "spec.embeddingEngine: its Services are named after it",
        ),
        Rule(
            cel="!has(self.spec.additionalEngines) || self.spec.additionalEngines.all(k,"
            f" self.metadata.name.size() + k.size() <= {_LONGEST_TOGETHER})",
            holds=lambda service: all(
                len(service.metadata.name) + len(key) <= _LONGEST_TOGETHER
                for key in service.spec.additional_engines or ()
            ),
            message=f"metadata.name and each name in spec.additionalEngines must have at most {_LONGEST_TOGETHER} "
            "characters together: Services are named after both",
        ),
        Rule(
            cel="!has(self.spec.rollout) || !has(self.spec.rollout.strategy)"
            f" || !(self.spec.rollout.strategy in {_TRYING}) || self.metadata.name.size() <= {_LONGEST_TRIED}",
            holds=lambda service: not service.spec.rollout.tries or len(service.metadata.name) <= _LONGEST_TRIED,
            message=f"metadata.name must have at most {_LONGEST_TRIED} characters with spec.rollout.strategy BlueGreen "
            "and Canary: Services of the candidate are named after it",
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

    def with_engines(self, specs: Mapping[str, EngineSpec]) -> "LLMService":
        """Return the same service with other specs of generating engines, by their tier."""
        spec, additional = self.spec, self.spec.additional_engines
        changed: dict[str, Any] = {"engine": specs.get(Tier.ENGINE, spec.engine)}
        if additional:
            changed["additional_engines"] = {key: specs.get(key, engine) for key, engine in additional.items()}
        return self._with(changed)

    def with_models(self, models: Mapping[str, ModelSpec]) -> "LLMService":
        """Return the same service with other models, by the tiers of their engines."""
        spec, additional = self.spec, self.spec.additional_engines
        changed: dict[str, Any] = {"model": models.get(Tier.ENGINE, spec.model)}
        if spec.embedding_engine and (model := models.get(Tier.EMBEDDING)):
            changed["embedding_engine"] = spec.embedding_engine.model_copy(update={"model": model})
        if additional:
            changed["additional_engines"] = {
                key: engine.model_copy(update={"model": models.get(key, engine.model)})
                for key, engine in additional.items()
            }
        return self._with(changed)

    def with_upstreams(self, engine: Upstream, *more: Upstream) -> "LLMService":
        """Return the same service whose orchestrator is told this of the main engine, and of `more` behind it."""
        spec = self.spec.model_copy()
        made = spec._configuration  # noqa: SLF001 # which was checked with the rest of the spec
        others = [each for each in made.upstreams if each.name != engine.name]
        spec._configuration = made.model_copy(update={"upstreams": [engine, *more, *others]})  # noqa: SLF001
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return LLMService.model_construct(**fields | {"spec": spec})

    def _with(self, changed: Mapping[str, Any]) -> "LLMService":
        """Return the same service with other fields of its spec, and nothing that was derived from the former ones."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return LLMService.model_construct(**fields | {"spec": self.spec.model_copy(update=changed)})

    @cached_property
    def engine(self) -> EngineComponent:
        """The component that holds the accelerator."""
        head = self._head(Tier.ENGINE)
        return EngineComponent(*head, self.spec.engine, self.spec.model, "spec.engine", "spec.model")

    @cached_property
    def embedding(self) -> EngineComponent | None:
        """The component that makes vectors of texts; None where the service runs no engine for that."""
        if (settings := self.spec.embedding_engine) is None:
            return None
        path = "spec.embeddingEngine"
        head = self._head(Tier.EMBEDDING)
        return EngineComponent(*head, settings.engine, settings.model, path, f"{path}.model", embeds=True)

    @cached_property
    def additional(self) -> tuple[EngineComponent, ...]:
        """The additional engines, each called by its key."""
        named = (self.spec.additional_engines or {}).items()
        return tuple(self._additional(key, settings) for key, settings in named)

    @property
    def all_engines(self) -> tuple[EngineComponent, ...]:
        """The engines that the spec names, here or elsewhere, in the order in which the orchestrator has them."""
        return (self.engine, *([self.embedding] if self.embedding else []), *self.additional)

    @property
    def engines(self) -> tuple[EngineComponent, ...]:
        """The components that run an inference engine here, each with pods of its own."""
        return tuple(engine for engine in self.all_engines if engine.spec.external is None)

    @property
    def tool_callers(self) -> tuple[EngineComponent, ...]:
        """The engines here that are to turn their models' tool calls into OpenAI's form."""
        return tuple(engine for engine in self.engines if engine.spec.tool_calling.enabled)

    @cached_property
    def orchestrator(self) -> Component[OrchestratorSpec]:
        """The component that speaks to clients."""
        return Component(*self._head(Tier.ORCHESTRATOR), self.spec.orchestrator)

    @cached_property
    def ingestion(self) -> Component[OrchestratorSpec] | None:
        """The component that reads documents; None where the orchestrator does."""
        settings = self.spec.orchestrator
        return Component(*self._head(Tier.INGESTION), settings) if settings.workers else None

    @property
    def orchestrators(self) -> tuple[Component[OrchestratorSpec], ...]:
        """The components that run the orchestrator's program."""
        return (self.orchestrator, self.ingestion) if self.ingestion else (self.orchestrator,)

    def replicas(self, component: Component[OrchestratorSpec]) -> ReplicaRange:
        """Return how many pods a component that runs the orchestrator's program has."""
        spec = component.spec
        return spec.workers if component.tier is Tier.INGESTION and spec.workers else spec.replicas

    @property
    def components(self) -> tuple[Component[Any], ...]:
        """All of them, in the order in which they are started."""
        return *self.engines, *self.orchestrators

    @cached_property
    def configuration(self) -> OrchestratorConfig:
        """The orchestrator's whole configuration, with where its engines are."""
        made = self.spec._configuration  # noqa: SLF001 # which was checked with the rest of the spec
        urls = {each.tier: f"http://{self.pods_service_name(each)}:{names.ENGINE_PORT}" for each in self.engines}
        upstreams = [each.model_copy(update={"url": urls.get(each.name, each.url)}) for each in made.upstreams]
        return made.model_copy(update={"upstreams": upstreams})

    @cached_property
    def secrets(self) -> Named:
        """Secrets that the orchestrator mounts."""
        settings, external = self.spec.orchestrator, [engine.spec.external for engine in self.all_engines]
        return secrets(settings.config, settings.state, settings.files, *external)

    @cached_property
    def config_maps(self) -> Named:
        """ConfigMaps beside its own that the orchestrator mounts."""
        return config_maps(self.spec.orchestrator.config)

    @cached_property
    def state_secrets(self) -> Named:
        """Secrets among these that say where the database is, as `spec.orchestrator.state` names them."""
        return secrets(self.spec.orchestrator.state)

    def pods_service_name(self, engine: EngineComponent) -> str:
        """Return the headless Service, whose DNS name has an address for each of the engine's pods that serves."""
        return f"{engine.name}-pods"

    def endpoint(self, engine: EngineComponent) -> str:
        """Return where an engine is reached from inside the cluster."""
        if external := engine.spec.external:
            return external.url
        return f"http://{engine.name}.{self.namespace}.svc:{names.ENGINE_PORT}"

    @property
    def files_claim_name(self) -> str:
        """The claim that the operator makes for files."""
        return f"{self.name}-files"

    @property
    def engine_key_name(self) -> str:
        """The Secret with the engines' API key."""
        return f"{self.name}{ENGINE_KEY_SUFFIX}"

    @property
    def key_rotation(self) -> str:
        """For what the engines' key was asked to be another one last; empty if never."""
        return self.metadata.annotations.get(ROTATE_KEY, "")

    @property
    def engine_key(self) -> dict[str, Any]:
        """Where a container's environment has this key from."""
        return {"secretKeyRef": {"name": self.engine_key_name, "key": names.ENGINE_KEY}}

    @property
    def metrics_port(self) -> int:
        """The port at which the orchestrator's pods tell metrics and how they are; no Service leads there."""
        return self.spec.orchestrator.config.server.metrics_port or names.METRICS_PORT

    @property
    def serves_tls(self) -> bool:
        """Whether the orchestrator speaks HTTPS."""
        return self.spec.orchestrator.config.server.tls is not None

    @property
    def url(self) -> str:
        """Where clients inside the cluster reach the service."""
        return f"{'https' if self.serves_tls else 'http'}://{self.name}.{self.namespace}.svc"

    def _head(self, tier: str) -> tuple[str, str, dict[str, str]]:
        """Return what a component is told apart by: its tier, its name and its selector."""
        return tier, f"{self.name}-{tier}", {names.LABEL_SERVICE: self.name, names.LABEL_TIER: str(tier)}

    def _additional(self, key: str, settings: AdditionalEngineSpec) -> EngineComponent:
        path, embeds = f"spec.additionalEngines.{key}", settings.task is Task.EMBED
        return EngineComponent(*self._head(key), settings.engine, settings.model, path, f"{path}.model", embeds)
