"""Sizes on a real API server: a Job looks at the model, nodes tell of their GPUs, and what was decided stays."""

import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tandem_operator.kube.resources import LLM_SERVICE, NODE, POD, Object
from tandem_operator.kube.store import Key

from tests.integration.cluster import Kubernetes, by_kind
from tests.integration.jobs import LONG_AGO, delete, job_ends, jobs, pod_ends, the_job
from tests.integration.test_status_truth import ready

DEPLOYMENT = by_kind("Deployment")
SIZING = "tandem.dev/sizing"
GIB = 2**30
SHAPE: dict[str, Any] = {
    "weights": 100 * GIB,
    "heads": 64,
    "kv_heads": 8,
    "layers": 64,
    "vocabulary": 150_000,
    "context": 32_768,
    "kv": [{"kind": "full", "layers": 64, "size": 4096}],
}
H100 = {"nvidia.com/gpu.memory": "81559", "nvidia.com/gpu.count": "8", "nvidia.com/gpu.product": "NVIDIA-H100"}


@pytest.fixture
async def pool(kubernetes: Kubernetes) -> AsyncIterator[dict[str, str]]:
    """The node selector of a node with eight GPUs, which is there while the test runs."""
    name = f"gpu-{secrets.token_hex(4)}"
    selector = {"pool": name}
    metadata = {"name": name, "labels": H100 | selector}
    await kubernetes._request("POST", NODE.path(None), body={"metadata": metadata})
    yield selector
    if await kubernetes._request("GET", f"{NODE.path(None)}?fieldSelector=metadata.name%3D{name}"):
        await remove(kubernetes, selector)


async def remove(kubernetes: Kubernetes, pool: dict[str, str]) -> None:
    found = await kubernetes._request("GET", f"{NODE.path(None)}?labelSelector=pool%3D{pool['pool']}")
    for node in found["items"]:
        await kubernetes._request("DELETE", NODE.path(None, node["metadata"]["name"]))


async def engine(kubernetes: Kubernetes, key: Key) -> Object | None:
    return await kubernetes.get(DEPLOYMENT, key.namespace, f"{key.name}-engine")


async def gpus(kubernetes: Kubernetes, key: Key) -> int | None:
    """The GPUs of the engine's pods; None while there is no Deployment."""
    found = await engine(kubernetes, key)
    if not found:
        return None
    (container,) = found["spec"]["template"]["spec"]["containers"]
    return int(container["resources"]["limits"]["nvidia.com/gpu"])


async def sized(kubernetes: Kubernetes, key: Key) -> tuple[str, str, str]:
    found = (await kubernetes.conditions(key))["Sized"]
    return found["status"], found["reason"], found["message"]


async def auto(kubernetes: Kubernetes, namespace: str, pool: dict[str, str], **spec: Any) -> Key:
    key = await kubernetes.serve(namespace, engine={"gpus": "auto", "nodeSelector": pool}, **spec)
    await kubernetes.reconcile(key)
    return key


async def looked_at(kubernetes: Kubernetes, key: Key, shape: Any = SHAPE) -> None:
    """The Job has found this."""
    job = await the_job(kubernetes, key, "inspect")
    await pod_ends(kubernetes, key, job, {"shape": shape})
    await job_ends(kubernetes, key, job, "Complete")


async def kinds(kubernetes: Kubernetes, key: Key) -> set[str]:
    return {item["kind"] for item in await kubernetes.objects(key)}


async def test_a_model_is_looked_at_first_and_the_engine_gets_what_it_needs(
    kubernetes: Kubernetes, namespace: str, pool: dict[str, str]
) -> None:
    key = await auto(kubernetes, namespace, pool)
    assert await kinds(kubernetes, key) == {"LLMService", "Job"}, "and nothing else"
    assert await ready(kubernetes, key) == ("False", "Inspecting")
    assert (await sized(kubernetes, key))[:2] == ("Unknown", "Inspecting")
    assert await kubernetes.reconcile(key) == []
    await looked_at(kubernetes, key)
    await kubernetes.reconcile(key)
    assert await gpus(kubernetes, key) == 2
    found = await engine(kubernetes, key)
    assert found
    assert json.loads(found["metadata"]["annotations"][SIZING])["gpu"] == "NVIDIA-H100"
    assert await sized(kubernetes, key) == (
        "True",
        "Sized",
        (
            "fits 2 × NVIDIA-H100: tensor 2, maxModelLen 32768, 4 requests of that length at once; "
            "of 73.28 GiB on each (79.65 GiB × 0.92): weights 50.00 GiB, sampler 5.57 GiB, CUDA 0.60 GiB; "
            "17.11 GiB are left for 140,149 tokens"
        ),
    )
    assert await jobs(kubernetes, key) == [], "it has done its work"
    assert await kubernetes.reconcile(key) == []


async def test_what_was_decided_stays_though_nodes_go(
    kubernetes: Kubernetes, namespace: str, pool: dict[str, str]
) -> None:
    key = await auto(kubernetes, namespace, pool)
    await looked_at(kubernetes, key)
    await kubernetes.reconcile(key)
    await remove(kubernetes, pool)
    assert await kubernetes.reconcile(key) == []
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"orchestrator": {"image": "two:2"}}})
    assert not [write for write in await kubernetes.reconcile(key) if "demo-engine" in write]
    assert await gpus(kubernetes, key) == 2


async def test_an_engine_that_runs_is_left_alone_until_its_next_size_is_known(
    kubernetes: Kubernetes, namespace: str, pool: dict[str, str]
) -> None:
    key = await auto(kubernetes, namespace, pool)
    await looked_at(kubernetes, key)
    await kubernetes.reconcile(key)
    before = await engine(kubernetes, key)
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"model": {"source": "hf://org/other"}}})
    await kubernetes.reconcile(key)
    assert await engine(kubernetes, key) == before
    assert (await sized(kubernetes, key))[1] == "Inspecting"
    await looked_at(kubernetes, key, {**SHAPE, "weights": 20 * GIB})
    await kubernetes.reconcile(key)
    assert await gpus(kubernetes, key) == 1


async def test_a_problem_is_told_and_tried_again(kubernetes: Kubernetes, namespace: str, pool: dict[str, str]) -> None:
    key = await auto(kubernetes, namespace, pool)
    job = await the_job(kubernetes, key, "inspect")
    await pod_ends(kubernetes, key, job, {"problem": "org/model is gated: accept its terms on the hub"}, code=1)
    await kubernetes.reconcile(key)
    assert (await sized(kubernetes, key))[1] == "Inspecting", "the Job tries again by itself"
    await job_ends(kubernetes, key, job, "Failed")
    await kubernetes.reconcile(key)
    assert await ready(kubernetes, key) == ("False", "MetadataMissing")
    assert (
        "org/model is gated: accept its terms on the hub; set spec.model.figures" in (await sized(kubernetes, key))[2]
    )
    assert (await kubernetes.conditions(key))["Stalled"]["status"] == "True"
    assert await gpus(kubernetes, key) is None
    assert await kubernetes.reconcile(key) == []
    await job_ends(kubernetes, key, job, "Failed", at=LONG_AGO)
    await kubernetes.reconcile(key)
    again = await the_job(kubernetes, key, "inspect")
    assert again["metadata"]["uid"] != job["metadata"]["uid"], "it has rested"
    assert (await sized(kubernetes, key))[1] == "Inspecting", "what the former has said is of the past"


async def test_a_model_whose_size_is_left_open_gets_one_gpu_if_it_cannot_be_looked_at(
    kubernetes: Kubernetes, namespace: str, pool: dict[str, str]
) -> None:
    key = await kubernetes.serve(namespace, engine={"nodeSelector": pool})
    await kubernetes.reconcile(key)
    assert await gpus(kubernetes, key) is None
    await job_ends(kubernetes, key, await the_job(kubernetes, key, "inspect"), "Failed")
    await kubernetes.reconcile(key)
    assert await gpus(kubernetes, key) == 1
    assert (await sized(kubernetes, key))[1] == "MetadataMissing"
    assert "could not be looked at: over; set" in (await sized(kubernetes, key))[2], "as Kubernetes has it"


async def test_a_secret_that_is_missing_is_told_and_no_job_waits_for_it(
    kubernetes: Kubernetes, namespace: str, pool: dict[str, str]
) -> None:
    model = {"source": "hf://org/model", "credentials": {"secretName": "hub"}}
    key = await auto(kubernetes, namespace, pool, model=model)
    assert "there is no Secret hub" in (await sized(kubernetes, key))[2]
    assert await jobs(kubernetes, key) == []
    metadata = {"name": "hub", "namespace": namespace}
    await kubernetes.create(
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"HF_TOKEN": "x"}}
    )
    await kubernetes.reconcile(key)
    assert len(await jobs(kubernetes, key)) == 1


async def test_a_model_that_cannot_fit_is_refused_before_a_gpu_is_taken(
    kubernetes: Kubernetes, namespace: str, pool: dict[str, str]
) -> None:
    key = await auto(kubernetes, namespace, pool)
    await looked_at(kubernetes, key, {**SHAPE, "weights": 2000 * GIB})
    await kubernetes.reconcile(key)
    assert await gpus(kubernetes, key) is None
    stalled = (await kubernetes.conditions(key))["Stalled"]
    assert (stalled["status"], stalled["reason"]) == ("True", "DoesNotFit")
    assert "on 4 nodes" in stalled["message"]
    assert (await sized(kubernetes, key))[:2] == ("False", "DoesNotFit")
    assert await kubernetes.reconcile(key) == []


async def test_a_job_whose_pods_were_cleaned_up_unread_is_made_again(
    kubernetes: Kubernetes, namespace: str, pool: dict[str, str]
) -> None:
    key = await auto(kubernetes, namespace, pool)
    job = await the_job(kubernetes, key, "inspect")
    name = await pod_ends(kubernetes, key, job, {"shape": SHAPE})
    await job_ends(kubernetes, key, job, "Complete")
    await delete(kubernetes, key, POD, name)
    await kubernetes.reconcile(key)
    again = await the_job(kubernetes, key, "inspect")
    assert again["metadata"]["uid"] != job["metadata"]["uid"]
    assert await kubernetes.reconcile(key) == []


async def test_a_pod_that_only_bears_the_jobs_name_is_not_believed(
    kubernetes: Kubernetes, namespace: str, pool: dict[str, str]
) -> None:
    key = await auto(kubernetes, namespace, pool)
    job = await the_job(kubernetes, key, "inspect")
    stranger = {**job, "metadata": {**job["metadata"], "uid": "0a1b"}}
    await pod_ends(kubernetes, key, stranger, {"shape": {**SHAPE, "weights": 1}})
    await kubernetes.reconcile(key)
    assert await gpus(kubernetes, key) is None


@pytest.mark.parametrize("said", ["", "no JSON", "[]", {"shape": {"weights": -1}}, {"shape": "large"}])
async def test_whatever_a_job_says_nothing_is_made_of_nonsense(
    kubernetes: Kubernetes, namespace: str, pool: dict[str, str], said: Any
) -> None:
    key = await auto(kubernetes, namespace, pool)
    job = await the_job(kubernetes, key, "inspect")
    await pod_ends(kubernetes, key, job, said, code=1)
    await job_ends(kubernetes, key, job, "Failed")
    await kubernetes.reconcile(key)
    assert await gpus(kubernetes, key) is None
    assert await ready(kubernetes, key) == ("False", "MetadataMissing")


async def test_an_operator_that_dies_before_the_deployment_finds_its_way(
    kubernetes: Kubernetes, namespace: str, pool: dict[str, str]
) -> None:
    key = await auto(kubernetes, namespace, pool, model={"source": "hf://org/model", "cache": {"claimName": "models"}})
    await looked_at(kubernetes, key)
    await kubernetes.reconcile(key)
    names = await jobs(kubernetes, key)
    assert sorted("inspect" in name for name in names) == [False, True], "what it found is not kept elsewhere yet"
    assert await gpus(kubernetes, key) is None, "it waits for its model"
    assert await kubernetes.reconcile(key) == []
    await job_ends(kubernetes, key, await the_job(kubernetes, key, "fetch"), "Complete")
    await kubernetes.reconcile(key)
    assert await gpus(kubernetes, key) == 2
    await kubernetes.reconcile(key)
    assert not [name for name in await jobs(kubernetes, key) if "inspect" in name]
    assert await kubernetes.reconcile(key) == []


async def test_a_service_goes_to_rest_though_its_next_size_is_not_known_and_keeps_the_former_one(
    kubernetes: Kubernetes, namespace: str, pool: dict[str, str]
) -> None:
    key = await auto(kubernetes, namespace, pool)
    await looked_at(kubernetes, key)
    await kubernetes.reconcile(key)
    change: Object = {"spec": {"model": {"source": "hf://org/other"}, "suspend": True}}
    await kubernetes.edit(LLM_SERVICE, key, key.name, change)
    await kubernetes.reconcile(key)
    found = await engine(kubernetes, key)
    assert found
    assert found["spec"]["replicas"] == 0
    assert await gpus(kubernetes, key) == 2
    assert SIZING in found["metadata"]["annotations"]
    assert await jobs(kubernetes, key) == []
    assert await kubernetes.reconcile(key) == []
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"suspend": False}})
    await kubernetes.reconcile(key)
    assert (await sized(kubernetes, key))[1] == "Inspecting"
