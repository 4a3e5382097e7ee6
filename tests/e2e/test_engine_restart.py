"""An engine that is replaced under load costs its clients time and not one failed request."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.e2e.client_pod import client_pod
from tests.e2e.cluster import Namespace, eventually
from tests.e2e.conftest import API_KEY, ENGINE_SECONDS

CLIENTS = Path(__file__).with_name("clients.py").read_text()
ENGINE_PODS = "tandem.dev/llmservice=demo,tandem.dev/tier=engine"
ENOUGH = 8  # answers: two rounds of all four clients
ANSWER_SECONDS = 120


def test_a_restart_of_the_engine_fails_no_request(service: Namespace) -> None:
    (old,) = service.names("pods", ENGINE_PODS)
    with load(service):
        wait_for_answers(service, ENOUGH)
        service.kubectl("rollout", "restart", "deployment/demo-engine")
        service.kubectl("rollout", "status", "deployment/demo-engine", f"--timeout={ENGINE_SECONDS}s")
        eventually(lambda: old not in service.names("pods", ENGINE_PODS), within=180, what="the old engine is gone")
        wait_for_answers(service, len(results(service)) + ENOUGH)
        finish(service)
        assert [line for line in results(service) if not line.startswith("ok ")] == []


@contextmanager
def load(service: Namespace, *search: str) -> Iterator[None]:
    """Clients that ask through the Service for as long as the block takes; `search` as in clients.py."""
    service.apply(client_pod("clients", CLIENTS, "demo", API_KEY, *search))
    try:
        service.kubectl("wait", "--for=condition=Ready", "pod/clients", "--timeout=60s")
        yield
    finally:
        service.kubectl("delete", "pod", "clients", "--grace-period=1")


def finish(service: Namespace) -> None:
    """Have the clients end what they have begun."""
    with suppress(AssertionError):  # the clients may be so quick to end that they take this command along
        service.kubectl("exec", "clients", "--", "touch", "/tmp/stop")
    service.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/clients", f"--timeout={ANSWER_SECONDS}s")


def results(service: Namespace) -> list[str]:
    """A line for each request that has ended."""
    return service.kubectl("logs", "clients").splitlines()


def wait_for_answers(service: Namespace, number: int) -> None:
    eventually(lambda: len(results(service)) >= number, within=ANSWER_SECONDS, what=f"{number} requests have ended")
