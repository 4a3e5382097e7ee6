"""What a pod is told of files and of reading them, and what it needs for that, as far as it follows from the pod."""

from typing import Final

from tandem_operator.api.component import Component
from tandem_operator.api.configuration import STATE_FOLDER
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.orchestrator import FilesPlace, OrchestratorSpec
from tandem_operator.api.reading import reading
from tandem_operator.api.workers import workers

_STATE_FILES: Final = f"{STATE_FOLDER}/files"
_INGESTION: Final = "TANDEM_RETRIEVAL__INGESTION__"


def variables(service: LLMService, component: Component[OrchestratorSpec]) -> dict[str, str]:
    """Return settings as variables, which an older image of the orchestrator leaves alone."""
    orchestrator = component.spec
    place = orchestrator.files_place
    if place is None and orchestrator.has_database:
        return {}  # it has none by itself
    concurrency, memory, lacking = reading(orchestrator)
    if place is None or lacking:
        return {"TANDEM_FILES__ENABLED": "false"}
    written = orchestrator.retrieval.ingestion.model_fields_set if orchestrator.retrieval else set()
    follows = {"concurrency": concurrency, "max_memory_bytes": memory}
    if _leaves_them_to_others(service, component):
        return {f"{_INGESTION}CONCURRENCY": "0"}
    return {
        **({"TANDEM_FILES__FOLDER": _STATE_FILES} if place is FilesPlace.STATE else {}),
        **{f"{_INGESTION}{name.upper()}": str(value) for name, value in follows.items() if name not in written},
    }


def storage(service: LLMService, component: Component[OrchestratorSpec]) -> str | None:
    """Return the bytes that files of a bucket take of the node's disk while they are read; None for none."""
    orchestrator = component.spec
    if orchestrator.files_place is not FilesPlace.BUCKET or _leaves_them_to_others(service, component):
        return None
    return str(workers(orchestrator) * reading(orchestrator).concurrency * service.configuration.files.max_bytes)


def _leaves_them_to_others(service: LLMService, component: Component[OrchestratorSpec]) -> bool:
    return service.ingestion is not None and component is not service.ingestion
