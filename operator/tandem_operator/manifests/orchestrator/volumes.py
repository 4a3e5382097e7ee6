"""The volumes of what outlives the orchestrator's pods: a SQLite database, and files."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from tandem_operator.api.claim import AccessMode
from tandem_operator.api.configuration import FILES_FOLDER, STATE_FOLDER
from tandem_operator.api.llmservice import LLMService
from tandem_operator.manifests.claim import claim
from tandem_operator.manifests.component import Manifest

STRATEGY: Final = {"type": "Recreate"}
"""Of a Deployment whose volume may be on one node alone, or whose database has one writer at a time."""


class _Volume(NamedTuple):
    name: str
    claim: str
    folder: str


def claims(service: LLMService) -> Iterable[Manifest]:
    """Return the claims that the operator makes."""
    state, files, component = service.spec.orchestrator.state, service.spec.orchestrator.files, service.orchestrator
    if state and state.sqlite:
        yield claim(service, component, component.name, state.sqlite, [AccessMode.READ_WRITE_ONCE])
    if files and files.claim:
        yield claim(service, component, service.files_claim_name, files.claim, files.claim.access_modes)


def one_pod_at_a_time(service: LLMService) -> bool:
    """Return whether a pod has to be gone before the next one can have its volumes."""
    orchestrator = service.spec.orchestrator
    claim = orchestrator.files.claim if orchestrator.files else None
    shared = claim is not None and AccessMode.READ_WRITE_MANY in claim.access_modes
    one_pod = orchestrator.replicas.max == 1 and orchestrator.workers is None
    return one_pod and any(volume.name == "state" or not shared for volume in _of(service))


def volumes(service: LLMService) -> list[Manifest]:
    """Return the claims as volumes of a pod."""
    return [{"name": each.name, "persistentVolumeClaim": {"claimName": each.claim}} for each in _of(service)]


def mounts(service: LLMService) -> list[Manifest]:
    """Return where the volumes appear in the container."""
    return [{"name": each.name, "mountPath": each.folder} for each in _of(service)]


def _of(service: LLMService) -> Iterator[_Volume]:
    state, files = service.spec.orchestrator.state, service.spec.orchestrator.files
    if state and state.sqlite:
        yield _Volume("state", service.orchestrator.name, STATE_FOLDER)
    if files and files.has_volume:
        yield _Volume("uploads", files.claim_name or service.files_claim_name, FILES_FOLDER)
