"""A client inside the cluster: a Python script in a pod, which reaches services as users' programs do."""

from hack import images
from tests.e2e.cluster import Json


def client_pod(name: str, script: str, *arguments: str) -> Json:
    """A pod that runs the script once; it has the standard library only."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": name,
                    "image": images.reference("orchestrator"),
                    "command": ["python3", "-u", "-c", script, *arguments],
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
