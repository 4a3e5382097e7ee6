"""The orchestrator scales out under load and back, and the operator leaves the replicas to its HPA."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.client_pod import client_pod
from tests.e2e.cluster import Namespace, eventually
from tests.e2e.keys import API_KEY

LOAD_SECONDS = 240
CLIENT = """
import http.client, sys, time
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    connection = http.client.HTTPConnection("demo", timeout=10)
    for _ in range(100):
        connection.request("GET", "/v1/models", headers={"authorization": "Bearer " + sys.argv[2]})
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
    service.apply(client_pod("load", CLIENT, str(LOAD_SECONDS), API_KEY))
    yield
    service.kubectl("delete", "pod", "load", "--grace-period=1")
