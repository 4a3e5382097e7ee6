"""Labels and ownership of the children, and the marks of what they are made from."""

import hashlib
from typing import Any, Final

from tandem_contract import names

from tandem_operator.api.llmservice import API_VERSION, LLMService
from tandem_operator.api.naming import Tier, child_name, selector

Manifest = dict[str, Any]

MANAGER: Final = "tandem-operator"


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


def checksum(text: str) -> str:
    """Return a short mark that changes when the text does."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
