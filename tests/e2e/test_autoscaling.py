"""The orchestrator scales out under load and back, and the operator leaves the replicas to its HPA."""

from collections.abc import Iterator
from contextlib import contextmanager

from hack import images
from tests.e2e.cluster import Json, Namespace, eventually

LOAD_SECONDS = 240
CLIENT = """
import http.client, sys, time
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    connection = http.client.HTTPConnection("demo", timeout=10)
    for _ in range(100):
        connection.request("GET", "/v1/models")
        connection.getresponse().read()
    connection.close()
"""


def test_out_and_back(service: Namespace) -> None:
    assert replicas(service) == 2
    with load(service):
        eventually(lambda: replicas(service) > 2, within=LOAD_SECONDS, what="more than two replicas under load")
    eventually(lambda: replicas(service) == 2, within=LOAD_SECONDS, what="two replicas again")


def replicas(service: Namespace) -> int:
    found = service.get("deployment", "demo-orchestrator")
    assert found
    return int(found["spec"]["replicas"])


@contextmanager
def load(service: Namespace) -> Iterator[None]:
    """Requests from inside the cluster through the Service, one after another, for a bounded time."""
    service.apply(client_pod())
    yield
    service.kubectl("delete", "pod", "load", "--grace-period=1")


def client_pod() -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "load"},
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
                    "name": "load",
                    "image": images.reference("orchestrator"),
                    "command": ["python3", "-c", CLIENT, str(LOAD_SECONDS)],
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
