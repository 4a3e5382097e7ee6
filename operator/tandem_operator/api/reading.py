"""Room for reading documents in an orchestrator's pod: a document that needs more fails, and never ends the pod."""

from typing import Final, NamedTuple

from tandem_contract.config import Ingestion, Retrieval

from tandem_operator.api.orchestrator import OrchestratorSpec
from tandem_operator.api.quantity import number
from tandem_operator.api.workers import workers

_MIB: Final = 2**20
_PROCESS: Final = 192 * _MIB
"""What a process takes that serves: 128 MiB, and 64 MiB for uploads and answers on their way."""
_MODEL: Final = 128 * _MIB
"""What an embedding model takes that runs in the process."""
_AMPLE: Final = 256 * _MIB
"""For a file; with less for each, fewer are read at the same time."""
_LEAST: Final = 64 * _MIB
_USUAL: Final = Ingestion()


class Reading(NamedTuple):
    """How a process reads documents."""

    concurrency: int
    """Files at the same time."""
    max_memory_bytes: int
    """Memory that each of them may take."""
    lacking: int = 0
    """Bytes by which the pod's memory limit is too low for that."""


def reading(orchestrator: OrchestratorSpec) -> Reading:
    """Return what is written of it, the rest so that it fits into the pod's memory limit."""
    settings = orchestrator.retrieval or Retrieval()
    asked, limit = settings.ingestion, orchestrator.resources.limits.get("memory")
    if limit is None:
        return Reading(asked.concurrency, asked.max_memory_bytes)
    processes = workers(orchestrator)
    room = int(number(limit)) // processes - _PROCESS - (_MODEL if settings.embedding.path else 0)
    concurrency, memory = asked.concurrency, asked.max_memory_bytes
    if "concurrency" not in asked.model_fields_set:
        each = memory if "max_memory_bytes" in asked.model_fields_set else _AMPLE
        concurrency = max(1, min(_USUAL.concurrency, room // each))
    if "max_memory_bytes" not in asked.model_fields_set and concurrency:
        memory = max(_LEAST, min(_USUAL.max_memory_bytes, room // concurrency))
    return Reading(concurrency, memory, max(0, concurrency * memory - room) * processes if concurrency else 0)
