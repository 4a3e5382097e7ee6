"""A model is fetched once into a claim: also if its Job is killed, for all services that name it, and for good."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import Json, Namespace, eventually, kubectl
from tests.e2e.conftest import ENGINE_SECONDS, LOCAL, long_run, new_namespace
from tests.e2e.hub_pod import PORT, hub

pytestmark = long_run
SOURCE = "hf://tandem/demo"
WEIGHTS = "model.safetensors"
SIZE = (Path(__file__).parents[2] / "hack/demo_model/model" / WEIGHTS).stat().st_size
HELD = 3_000_000
"""Bytes of the weights after which the hub stands still."""
CLAIM = "first-engine-models"
FETCH_SECONDS = 180
FETCHERS = "tandem.dev/llmservice=first,tandem.dev/tier=fetch"
ENGINE = "tandem.dev/llmservice=first,tandem.dev/tier=engine"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespace]:
    """A namespace with a hub, and a volume for the claim of the service `first` where nothing else makes one."""
    folder = tmp_path_factory.mktemp("models")
    folder.chmod(0o777)  # the kubelet gives no group to folders of its node
    for namespace in new_namespace():
        if LOCAL:
            namespace.apply(volume(folder, namespace.name))
        namespace.apply(*hub("hub", SOURCE.removeprefix("hf://"), WEIGHTS, HELD))
        namespace.kubectl("wait", "--for=condition=Ready", "pod/hub", "--timeout=120s")
        yield namespace
    if LOCAL:
        kubectl("delete", "persistentvolume", namespace.name, "--wait=false")


@pytest.fixture(scope="module")
def first(shelf: Namespace) -> Namespace:
    """The namespace in which `first` is ready; the Job that fetched its model was killed in the middle."""
    shelf.apply(llmservice("first", {"claim": {"size": "1Gi"}}))
    eventually(lambda: sent(shelf) == HELD, within=FETCH_SECONDS, what="the hub stands still")
    eventually(lambda: " %, " in told(shelf), within=60, what="the condition tells how far the fetch is")
    (pod,) = shelf.names("pods", FETCHERS)
    shelf.kubectl("delete", pod, "--grace-period=1")
    shelf.kubectl("exec", "hub", "--", "touch", "/tmp/resume")
    eventually(lambda: shelf.is_ready("first"), within=FETCH_SECONDS + ENGINE_SECONDS, what="first is Ready")
    return shelf


def test_a_fetch_that_is_killed_goes_on(first: Namespace) -> None:
    assert SIZE <= sent(first) < SIZE + HELD // 2


def test_another_service_with_the_claim_fetches_nothing(first: Namespace) -> None:
    before = counted(first)
    first.apply(llmservice("second", {"claimName": CLAIM}))
    eventually(lambda: first.is_ready("second"), within=ENGINE_SECONDS, what="second is Ready")
    assert counted(first) == before
    first.kubectl("delete", "llmservice", "second")


def test_an_engine_comes_back_without_the_hub(first: Namespace) -> None:
    first.kubectl("delete", "pod", "hub", "--grace-period=1")
    (old,) = first.names("pods", ENGINE)
    first.kubectl("delete", old)
    eventually(
        lambda: old not in first.names("pods", ENGINE) and first.is_ready("first"),
        within=ENGINE_SECONDS,
        what="first is Ready again",
    )


def llmservice(name: str, cache: Json) -> Json:
    """A small service of the hub's model, which has a cache."""
    engine = {
        "accelerator": "cpu",
        "dtype": "float32",
        "maxModelLen": 1024,
        "extraArgs": ["--enforce-eager"],
        "env": [
            {"name": "VLLM_CPU_KVCACHE_SPACE", "value": "1"},
            {"name": "HF_ENDPOINT", "value": f"http://hub:{PORT}"},
        ],
        "resources": {"requests": {"cpu": "200m", "memory": "3Gi"}, "limits": {"memory": "8Gi"}},
    }
    small = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}
    return {
        "apiVersion": "tandem.dev/v1alpha1",
        "kind": "LLMService",
        "metadata": {"name": name},
        "spec": {
            "model": {"source": SOURCE, "cache": cache},
            "engine": engine,
            "orchestrator": {"replicas": {"min": 1, "max": 1}, "resources": small},
        },
    }


def volume(folder: Path, namespace: str) -> Json:
    """A volume that is a folder of the node, for the claim of `first` alone."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "claimRef": {"namespace": namespace, "name": CLAIM},
            "hostPath": {"path": str(folder)},
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
        },
    }


def counted(namespace: Namespace) -> Json:
    """How often the hub was asked, and the bytes that it has sent of each file."""
    lines = namespace.kubectl("logs", "hub").splitlines()
    found: Json = json.loads(lines[-1])
    return found


def sent(namespace: Namespace) -> int:
    """How many bytes of the weights the hub has sent."""
    return int(counted(namespace)["sent"].get(WEIGHTS, 0))


def told(namespace: Namespace) -> str:
    """What is said of the model of `first`."""
    return str(namespace.condition("first", "ModelReady").get("message", ""))
