"""The volume that a SQLite database outlives its pod on."""

from collections.abc import Iterable
from typing import Final

from tandem_operator.api.configuration import STATE_FOLDER
from tandem_operator.api.llmservice import LLMService
from tandem_operator.manifests.component import Manifest, child

STRATEGY: Final = {"type": "Recreate"}
"""Of its Deployment: there is one writer at a time, and the volume can be on one node alone."""
_VOLUME: Final = "state"


def wanted(service: LLMService) -> bool:
    """Return whether the orchestrator has a volume."""
    state = service.spec.orchestrator.state
    return state is not None and state.sqlite is not None


def build(service: LLMService) -> Iterable[Manifest]:
    """Return the claim."""
    state = service.spec.orchestrator.state
    if state is None or state.sqlite is None:
        return
    chosen = {"storageClassName": state.sqlite.storage_class_name} if state.sqlite.storage_class_name else {}
    yield {
        **child(service, service.orchestrator, "v1", "PersistentVolumeClaim"),
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": state.sqlite.size}},
            **chosen,
        },
    }


def volumes(service: LLMService) -> list[Manifest]:
    """Return the claim as a pod's volume."""
    claim = {"name": _VOLUME, "persistentVolumeClaim": {"claimName": service.orchestrator.name}}
    return [claim] if wanted(service) else []


def mounts(service: LLMService) -> list[Manifest]:
    """Return where the volume appears in the container."""
    return [{"name": _VOLUME, "mountPath": STATE_FOLDER}] if wanted(service) else []
