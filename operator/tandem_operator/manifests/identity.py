"""Names, labels and ownership of the children."""

from enum import StrEnum
from typing import Any, Final

from tandem_contract import names

from tandem_operator.api.llmservice import API_VERSION, LLMService

Manifest = dict[str, Any]

MANAGER: Final = "tandem-operator"


class Tier(StrEnum):
    """The two halves of a service."""

    ENGINE = "engine"
    ORCHESTRATOR = "orchestrator"


def child_name(service: LLMService, tier: Tier) -> str:
    """Return the name that a tier's children share."""
    return f"{service.name}-{tier}"


def engine_key_name(service: LLMService) -> str:
    """Return the name of the Secret with the engine's API key."""
    return f"{service.name}-engine-key"


def selector(service: LLMService, tier: Tier) -> dict[str, str]:
    """Return the labels that pick a tier's pods; they never change."""
    return {names.LABEL_SERVICE: service.name, names.LABEL_TIER: str(tier)}


def labels(service: LLMService, tier: Tier) -> dict[str, str]:
    """Return all labels of a tier's children."""
    return {
        "app.kubernetes.io/name": f"tandem-{tier}",
        "app.kubernetes.io/instance": service.name,
        "app.kubernetes.io/component": str(tier),
        "app.kubernetes.io/part-of": "tandem",
        "app.kubernetes.io/managed-by": MANAGER,
        **selector(service, tier),
    }


def child(service: LLMService, tier: Tier, api_version: str, kind: str, name: str | None = None) -> Manifest:
    """Return the head of a child object: type, name, labels, and the owner where the resource exists already."""
    metadata: Manifest = {
        "name": name or child_name(service, tier),
        "namespace": service.namespace,
        "labels": labels(service, tier),
    }
    if service.metadata.uid:
        metadata["ownerReferences"] = [
            {
                "apiVersion": API_VERSION,
                "kind": names.KIND,
                "name": service.name,
                "uid": service.metadata.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}
