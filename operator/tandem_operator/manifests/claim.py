"""A PersistentVolumeClaim that the operator makes."""

from collections.abc import Sequence
from typing import Any

from tandem_operator.api.claim import AccessMode, ClaimSpec
from tandem_operator.api.component import Component
from tandem_operator.api.llmservice import LLMService
from tandem_operator.manifests.component import Manifest, child


def claim(
    service: LLMService, component: Component[Any], name: str, wanted: ClaimSpec, access_modes: Sequence[AccessMode]
) -> Manifest:
    """Return the claim of a component."""
    chosen = {"storageClassName": wanted.storage_class_name} if wanted.storage_class_name else {}
    return {
        **child(service, component, "v1", "PersistentVolumeClaim", name),
        "spec": {
            "accessModes": [*map(str, access_modes)],
            "resources": {"requests": {"storage": wanted.size}},
            **chosen,
        },
    }
