import os
import uuid
from collections.abc import Iterator

import pytest
import yaml

from hack import demo
from tests.e2e.cluster import Json, Namespace, eventually, kubectl

ENGINE_SECONDS = 400  # vLLM's start on two busy cores


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
    """The namespace in which the demo's LLMService, `demo`, is ready: real vLLM, the demo model, two orchestrators."""
    document: Json = yaml.safe_load(demo.manifest(demo.own_model()))
    document["spec"]["orchestrator"]["autoscaling"] = {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 15}}}
    demo_namespace.apply(document)
    eventually(lambda: demo_namespace.is_ready("demo"), within=ENGINE_SECONDS, what="the demo service is Ready")
    return demo_namespace


@pytest.fixture
def url(service: Namespace) -> Iterator[str]:
    """The base URL of the demo's Service."""
    with service.forward("service/demo", 80) as base:
        yield base
