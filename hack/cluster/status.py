"""How a cluster is."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hack.cluster.kubectl import Kubectl


@dataclass(frozen=True)
class Part:
    """How one part of a cluster is, in words."""

    name: str
    well: bool
    text: str


def of_nodes(kubectl: Kubectl) -> list[Part]:
    """Return the nodes, and the pods of kube-system."""
    nodes = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    pods = json.loads(kubectl("-n", "kube-system", "get", "pods", "-o", "json"))["items"]
    return [*(of_object("node", each) for each in nodes), *(of_object("pod", each) for each in pods)]


def of_object(kind: str, item: dict[str, Any]) -> Part:
    """Return a node or a pod, which is well where its condition Ready is true."""
    conditions: list[dict[str, str]] = item["status"].get("conditions", [])
    ready = next((each for each in conditions if each["type"] == "Ready"), {})
    reason = ready.get("message") or ready.get("reason") or "it has not reported yet"
    well = ready.get("status") == "True"
    return Part(f"{kind} {item['metadata']['name']}", well, "is ready" if well else f"is not ready: {reason}")


def table(parts: Iterable[Part]) -> str:
    """Return one line for each part."""
    return "\n".join(f"{'ok ' if part.well else 'BAD'}  {part.name:<45} {part.text}" for part in parts)
