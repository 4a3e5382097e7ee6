"""The orchestrator's whole configuration: what the spec sets, and what follows from where it runs."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from pydantic import SecretStr, ValidationError
from pydantic_core import PydanticCustomError
from tandem_contract import names
from tandem_contract.config import (
    Adapter,
    Database,
    Discovery,
    Files,
    FileSettings,
    ModelSettings,
    OrchestratorConfig,
    Retrieval,
    Upstream,
    UpstreamType,
)
from tandem_contract.config.checks import errors

from tandem_operator.api.additional_engine import AdditionalEngineSpec
from tandem_operator.api.embedding_engine import EmbeddingEngineSpec
from tandem_operator.api.engine import EngineSpec
from tandem_operator.api.files import FilesSpec
from tandem_operator.api.model import MainModelSpec, ModelSpec
from tandem_operator.api.orchestrator import OrchestratorSpec
from tandem_operator.api.reading import reading
from tandem_operator.api.retrieval import RetrievalSpec
from tandem_operator.api.workers import workers
from tandem_operator.engines import ENGINES

ENGINE: Final = "engine"
"""Name of the service's own engine among the upstreams."""
EMBEDDING: Final = "embedding"
"""Name of its engine for embeddings there."""
STATE_FOLDER: Final = "/var/lib/tandem"
"""Where a pod has its volume, if it has one."""
FILES_FOLDER: Final = "/var/lib/tandem-files"
"""Where it has that of files."""
_LASTING_DATABASE: Final = f"sqlite:///{STATE_FOLDER}/tandem.db"
_POD_DATABASE: Final = "sqlite:////tmp/tandem.db"
"""Where a pod counts tokens of budgets as long as it lives; elsewhere it could not write."""
_FALLBACK_SECONDS: Final = 2.0
"""For what is over at once, such as a lost connection: longer than an engine that is well needs to say so again."""


class OwnEngines(NamedTuple):
    """The engines that a service says of itself."""

    model: MainModelSpec
    engine: EngineSpec
    embedding: EmbeddingEngineSpec | None
    additional: Mapping[str, AdditionalEngineSpec]

    def upstreams(self) -> Iterator[tuple[str, str, ModelSpec, EngineSpec]]:
        """Yield what each is called among the upstreams, the path of its model in the spec, its model and settings."""
        yield ENGINE, "model", self.model, self.engine
        if self.embedding:
            yield EMBEDDING, "embeddingEngine.model", self.embedding.model, self.embedding.engine
        for name, each in self.additional.items():
            yield name, f"additionalEngines.{name}.model", each.model, each

    def served(self) -> Iterator[tuple[str, str]]:
        """Yield what clients may ask for, models and adapters, and where the spec says so."""
        for _, path, model, _ in self.upstreams():
            yield model.served_name, path
            yield from ((adapter.name, f"{path}.adapters[{n}]") for n, adapter in enumerate(model.adapters or ()))


def configuration(engines: OwnEngines, orchestrator: OrchestratorSpec) -> OrchestratorConfig:
    """Return the valid configuration, the service's own engines first, at URLs that stand for the real ones.

    PydanticCustomError names what contradicts itself across sections.
    """
    settings, embedding = orchestrator.config, engines.embedding
    _models_differ(engines)
    own = [_upstream(name, model, engine) for name, _, model, engine in engines.upstreams()]
    server = settings.server.model_copy(update={"workers": workers(orchestrator)})
    written = {name: getattr(settings, name) for name in settings.model_fields_set}
    if not _keeps_responses(orchestrator):
        written["responses"] = settings.responses.model_copy(update={"store": False})
    if orchestrator.files:
        written["files"] = _files(orchestrator.files)
    if orchestrator.retrieval or (embedding and orchestrator.files_place):
        written["retrieval"] = _retrieval(orchestrator.retrieval, embedding)
    models = _with_adapters(settings.models, engines)
    if engines.model.fallback:
        models = _with_fallback(models, engines.model, engines.additional[engines.model.fallback])
    if models != settings.models:
        written["models"] = models
    ours = {"server": server, "upstreams": [*own, *settings.upstreams], "database": _database(orchestrator)}
    try:
        config = OrchestratorConfig.model_validate({**written, **ours})
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise _refusal(problems, own) from error
    if found := errors(config):
        raise _refusal(found, own)
    _embedding_is_served(config)
    _documents_fit(orchestrator)
    return config


def _upstream(name: str, model: ModelSpec, engine: EngineSpec) -> Upstream:
    if external := engine.external:
        said = {field: getattr(external, field) for field in external.model_fields_set}
        return Upstream(name=name, type=UpstreamType.OPENAI, model=model.served_name, **said)
    made = Upstream(
        name=name,
        url=f"http://{name}",
        discovery=Discovery.DNS,
        model=model.served_name,
        api_key_file=names.ENGINE_KEY_PATH,
        previous_api_key_file=names.PREVIOUS_ENGINE_KEY_PATH,
    )
    kind = ENGINES[engine.type]
    adapters = [Adapter(name=adapter.name, path=adapter.path) for adapter in model.adapters or ()]
    known = {"type": kind.upstream_type, "priority": kind.takes_priority(engine.extra_args), "adapters": adapters}
    return made.model_copy(update={name: value for name, value in known.items() if value != getattr(made, name)})


def _models_differ(engines: OwnEngines) -> None:
    known: dict[str, str] = {}
    for name, path in engines.served():
        if name in known:
            text = (
                f"{path}: {name!r} is what clients call spec.{known[name]} already, so that a request could mean "
                "either; give one of them another name"
            )
            raise PydanticCustomError("configuration", "{text}", {"text": text})
        known[name] = path


def _with_adapters(settings: list[ModelSettings], engines: OwnEngines) -> list[ModelSettings]:
    """Return what is said of models, and of adapters for whom they are."""
    models = list(settings)
    for _, path, model, _ in engines.upstreams():
        for n, adapter in enumerate(model.adapters or ()):
            if not adapter.tenants:
                continue
            at = next((i for i, said in enumerate(models) if said.name == adapter.name), None)
            said = models[at] if at is not None else ModelSettings(name=adapter.name)
            if said.tenants is not None:
                text = (
                    f"{path}.adapters[{n}].tenants: orchestrator.config.models has tenants of {adapter.name!r} "
                    "already; leave one of them out"
                )
                raise PydanticCustomError("configuration", "{text}", {"text": text})
            made = said.model_copy(update={"tenants": adapter.tenants})
            models = [*models[:at], made, *models[at + 1 :]] if at is not None else [*models, made]
    return models


def _with_fallback(
    settings: list[ModelSettings], model: ModelSpec, fallback: AdditionalEngineSpec
) -> list[ModelSettings]:
    """Return what is said of models, and of the main one what answers in its place, and how soon."""
    main = model.served_name
    known = next((each for each in settings if each.name == main), None)
    said, other = known or ModelSettings(name=main), fallback.model.served_name
    if said.fallback not in (None, other):
        text = (
            f"model.fallback: orchestrator.config.models has {said.fallback!r} as the fallback of {main!r} already; "
            "leave one of them out"
        )
        raise PydanticCustomError("configuration", "{text}", {"text": text})
    soon = {} if "fallback_seconds" in said.model_fields_set else {"fallback_seconds": _FALLBACK_SECONDS}
    made = said.model_copy(update={"fallback": other, **soon})
    return [made if each is known else each for each in settings] + ([] if known else [made])


def _embedding_is_served(config: OrchestratorConfig) -> None:
    """Refuse an embedding model that no engine has, where all of them say which models they have."""
    wanted, served = config.retrieval.embedding.model, [upstream.model for upstream in config.upstreams]
    known = {*served, *(name for model in config.models for name in (model.name, *model.aliases))}
    if wanted is not None and None not in served and wanted not in known:
        text = (
            f"orchestrator.retrieval.embedding.model: no engine has the model {wanted!r}; name one of "
            f"{', '.join(map(repr, served))}, run it as spec.embeddingEngine, or add its engine to "
            "orchestrator.config.upstreams"
        )
        raise PydanticCustomError("configuration", "{text}", {"text": text})


def _database(orchestrator: OrchestratorSpec) -> Database:
    settings, state = orchestrator.config.database, orchestrator.state
    if state and state.postgres:
        return settings.model_copy(update={"url_from": state.postgres.url_from})
    if orchestrator.has_database and state is None:
        return settings
    return settings.model_copy(update={"url": SecretStr(_LASTING_DATABASE if state else _POD_DATABASE)})


def _files(files: FilesSpec) -> Files:
    written = {name: getattr(files, name) for name in FileSettings.model_fields if name in files.model_fields_set}
    return Files.model_validate({**written, **({"folder": FILES_FOLDER} if files.has_volume else {})})


def _retrieval(retrieval: RetrievalSpec | None, engine: EmbeddingEngineSpec | None) -> Retrieval:
    """Return what is written of it, with the service's own embedding model where no other is named."""
    said = retrieval or RetrievalSpec()
    written = {name: getattr(said, name) for name in Retrieval.model_fields if name in said.model_fields_set}
    if engine and said.embedding.model is None and said.embedding.path is None:
        written["embedding"] = said.embedding.model_copy(update={"model": engine.model.served_name})
    return Retrieval.model_validate(written)


def _documents_fit(orchestrator: OrchestratorSpec) -> None:
    if not (orchestrator.files or orchestrator.retrieval):
        return
    concurrency, memory, lacking = reading(orchestrator)
    if lacking:
        text = (
            f"orchestrator.resources.limits.memory: reading {concurrency} documents at a time in each process, of "
            f"{memory} bytes each, takes {lacking} bytes more; raise it, or lower concurrency or maxMemoryBytes of "
            "orchestrator.retrieval.ingestion"
        )
        raise PydanticCustomError("configuration", "{text}", {"text": text})


def _keeps_responses(orchestrator: OrchestratorSpec) -> bool:
    """Return whether responses are kept by default: one in a pod's own database no other pod would find."""
    responses = orchestrator.config.responses
    return responses.store if "store" in responses.model_fields_set else orchestrator.has_database


def _refusal(problems: Iterable[str], own: list[Upstream]) -> PydanticCustomError:
    which = " and ".join(f"upstreams.{number} is {upstream.name}" for number, upstream in enumerate(own))
    hint = f" ({which}, which the service runs itself)"
    lines = [f"orchestrator.config.{line}{hint if line.startswith('upstreams') else ''}" for line in problems]
    return PydanticCustomError("configuration", "{text}", {"text": "; ".join(lines)})
