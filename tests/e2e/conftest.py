import os
import uuid
from collections.abc import Iterator

import pytest
import yaml

from hack import demo, path, tools
from tests.e2e.cluster import Json, Namespace, eventually, kubectl

ENGINE_SECONDS = 400  # vLLM's start on two busy cores
API_KEY = f"tk-{uuid.uuid4().hex}"
CONFIG: Json = {
    "keys": {"files": [{"secretName": "team-keys", "secretKey": "keys.yaml"}]},
    "hold": {"seconds": ENGINE_SECONDS + 200},  # longer than an engine's restart takes
}

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
def service(demo_namespace: Namespace) -> Namespace:
    """The namespace in which the demo's LLMService, `demo`, is ready: real vLLM, the demo model, two orchestrators.

    It asks for API_KEY, which is in the Secret team-keys.
    """
    document: Json = yaml.safe_load(demo.manifest(demo.own_model()))
    orchestrator = document["spec"]["orchestrator"]
    orchestrator["autoscaling"] = {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 15}}}
    orchestrator["config"] = CONFIG
    keys = yaml.safe_dump([{"name": "e2e", "tenant": "e2e", "key": API_KEY}])
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
