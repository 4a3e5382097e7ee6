import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hack import cluster, demo, path, tools
from tests.e2e.adapter import VERSE, claim_of, write_adapter
from tests.e2e.cluster import Json, Namespace, eventually, kubectl
from tests.e2e.keys import KEYS
from tests.e2e.traffic import Figures, Traffic, finish, load, wait_for_answers

ENGINE_SECONDS = 400  # vLLM's start on two busy cores
CONFIG: Json = {
    "keys": {"files": [{"secretName": "team-keys", "secretKey": "keys.yaml"}]},
    "hold": {"seconds": ENGINE_SECONDS + 200},  # longer than an engine's restart takes
}

LOCAL = cluster.provider().name == "local"
"""Whether the node is this machine, and so has the adapters' folder."""
IS_LONG = "TANDEM_LONG_RUN" in os.environ
long_run = pytest.mark.skipif(not IS_LONG, reason="takes minutes more: make test-rollouts runs it")

path.add(tools.folders("kubectl"))


@pytest.fixture(scope="session", autouse=True)
def reachable() -> None:
    assert os.environ.get("KUBECONFIG"), (
        "no cluster: run `make test-e2e`, or set KUBECONFIG to a cluster with the operator"
    )
    kubectl("get", "customresourcedefinition", "llmservices.tandem.dev")


def new_namespace() -> Iterator[Namespace]:
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    namespace = Namespace(name)
    yield namespace
    # Pods first: Kubernetes looks at a namespace that still has some again only after half their grace period.
    namespace.kubectl("delete", "llmservices", "--all")
    namespace.kubectl("delete", "pods", "--all", "--wait=false")  # those that no LLMService owns
    namespace.kubectl("wait", "--for=delete", "pods", "--all", "--timeout=180s")
    kubectl("delete", "namespace", name, "--timeout=180s")


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """An empty namespace under the restricted Pod Security Standard."""
    yield from new_namespace()


@pytest.fixture(scope="session")
def demo_namespace() -> Iterator[Namespace]:
    yield from new_namespace()


@pytest.fixture(scope="session")
def adapters(demo_namespace: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of this machine with two adapters, which the claim `adapters` holds where its node is this machine."""
    folder = tmp_path_factory.mktemp("adapters")
    folder.chmod(0o755)
    for number, name in enumerate(("verse", "prose")):
        write_adapter(folder / name, number)
    demo_namespace.apply(*claim_of(folder, demo_namespace.name))
    yield folder
    kubectl("delete", "persistentvolume", demo_namespace.name, "--wait=false")


@pytest.fixture(scope="session")
def service(demo_namespace: Namespace, adapters: Path) -> Namespace:  # its claim
    """The namespace in which the demo's LLMService, `demo`, is ready: real vLLM, the demo model, two orchestrators.

    It asks for one of KEYS, which are in the Secret team-keys. Poets have an adapter.
    """
    document: Json = yaml.safe_load(demo.manifest(demo.own_model()))
    orchestrator = document["spec"]["orchestrator"]
    orchestrator["autoscaling"] = {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 15}}}
    orchestrator["config"] = CONFIG
    document["spec"]["model"]["adapters"] = [VERSE] if LOCAL else []
    keys = yaml.safe_dump(KEYS)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "team-keys"},
        "stringData": {"keys.yaml": keys},
    }
    demo_namespace.apply(secret, document)
    eventually(lambda: demo_namespace.is_ready("demo"), within=ENGINE_SECONDS, what="the demo service is Ready")
    return demo_namespace


@pytest.fixture
def url(service: Namespace) -> Iterator[str]:
    """The base URL of the demo's Service."""
    with service.forward("service/demo", 80) as base:
        yield base


@pytest.fixture
def traffic(service: Namespace, capsys: pytest.CaptureFixture[str]) -> Iterator[Traffic]:
    """Clients ask meanwhile; a call ends them, prints their figures with what may have ended streams, and has them."""

    def ended(cause: str) -> Figures:
        wait_for_answers(service)
        figures = finish(service)
        with capsys.disabled():
            sys.stdout.write(f"\n{cause}: {figures.row(cause)}\n")
        assert list(figures.failed) == []
        return figures

    with load(service):
        wait_for_answers(service)
        yield ended
