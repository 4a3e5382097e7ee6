"""Pods of the tests' own, under the restricted Pod Security Standard."""

from typing import Any

from tests.e2e.cluster import Json

CPU = {"requests": {"cpu": "100m"}}
"""Without any, a pod gets nothing of the core that a busy engine's threads are bound to."""


def pod(name: str, image: str, **container: Any) -> Json:
    """A pod of one container; `container` are further fields of it, but `volumes` the pod's."""
    volumes = container.pop("volumes", [])
    container.setdefault("resources", CPU)
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{"name": name, "image": image, "securityContext": security, **container}],
            "volumes": volumes,
        },
    }


def server(name: str, image: str, port: int, **container: Any) -> tuple[Json, Json]:
    """A Service of a pod's name, and the pod, which is ready when it listens."""
    ready = {"readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 2}}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": port}]},
    }
    return service, pod(name, image, ports=[{"containerPort": port}], **ready, **container)


def secret(name: str, **values: str) -> Json:
    """A Secret of texts."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}
