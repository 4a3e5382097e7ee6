"""The orchestrator's whole configuration: what the spec sets, and what follows from where it runs."""

from collections.abc import Iterable
from typing import Final

from pydantic import SecretStr, ValidationError
from pydantic_core import PydanticCustomError
from tandem_contract import names
from tandem_contract.config import Database, Discovery, Files, FileSettings, OrchestratorConfig, Retrieval, Upstream
from tandem_contract.config.checks import errors

from tandem_operator.api.files import FilesSpec
from tandem_operator.api.model import ModelSpec
from tandem_operator.api.orchestrator import OrchestratorSpec
from tandem_operator.api.reading import reading
from tandem_operator.api.retrieval import RetrievalSpec
from tandem_operator.api.workers import workers
from tandem_operator.engines.base import Engine

ENGINE: Final = "engine"
"""Name of the service's own engine among the upstreams."""
_OWN_ENGINE: Final = f" (upstreams.0 is the service's own engine, called {ENGINE})"
STATE_FOLDER: Final = "/var/lib/tandem"
"""Where a pod has its volume, if it has one."""
FILES_FOLDER: Final = "/var/lib/tandem-files"
"""Where it has that of files."""
_LASTING_DATABASE: Final = f"sqlite:///{STATE_FOLDER}/tandem.db"
_POD_DATABASE: Final = "sqlite:////tmp/tandem.db"
"""Where a pod counts tokens of budgets as long as it lives; elsewhere it could not write."""


def configuration(model: ModelSpec, orchestrator: OrchestratorSpec, engine: Engine) -> OrchestratorConfig:
    """Return the valid configuration, its engine at a URL that stands for the real one.

    PydanticCustomError names what contradicts itself across sections.
    """
    settings = orchestrator.config
    own = Upstream(
        name=ENGINE,
        url="http://engine",
        discovery=Discovery.DNS,
        model=model.served_name,
        api_key_file=names.ENGINE_KEY_PATH,
    )
    if engine.upstream_type != own.type:  # what is the default anyway is not written
        own = own.model_copy(update={"type": engine.upstream_type})
    server = settings.server.model_copy(update={"workers": workers(orchestrator)})
    written = {name: getattr(settings, name) for name in settings.model_fields_set}
    if not _keeps_responses(orchestrator):
        written["responses"] = settings.responses.model_copy(update={"store": False})
    if orchestrator.files:
        written["files"] = _files(orchestrator.files)
    if orchestrator.retrieval:
        written["retrieval"] = _retrieval(orchestrator.retrieval)
    ours = {"server": server, "upstreams": [own, *settings.upstreams], "database": _database(orchestrator)}
    try:
        config = OrchestratorConfig.model_validate({**written, **ours})
    except ValidationError as error:
        raise _refusal(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()) from error
    if found := errors(config):
        raise _refusal(found)
    _documents_fit(orchestrator)
    return config


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


def _retrieval(retrieval: RetrievalSpec) -> Retrieval:
    written = {name: getattr(retrieval, name) for name in Retrieval.model_fields if name in retrieval.model_fields_set}
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


def _refusal(problems: Iterable[str]) -> PydanticCustomError:
    lines = [f"orchestrator.config.{line}{_OWN_ENGINE if line.startswith('upstreams') else ''}" for line in problems]
    return PydanticCustomError("configuration", "{text}", {"text": "; ".join(lines)})
