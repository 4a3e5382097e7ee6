"""A client inside the cluster: a Python script in a pod, which reaches services as users' programs do."""

from hack import images
from tests.e2e.cluster import Json
from tests.e2e.pods import pod


def client_pod(name: str, script: str, *arguments: str) -> Json:
    """A pod that runs the script once; it has the standard library only."""
    command = ["python3", "-u", "-c", script, *arguments]
    made = pod(name, images.reference("orchestrator"), command=command)
    made["spec"]["restartPolicy"] = "Never"
    return made
