"""What one author writes too deep or too large stops neither the API nor the operator for the others."""

import copy
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.schema import crd
from tandem_operator.kube.api import ApiError
from tandem_operator.kube.resources import LLM_SERVICE
from tandem_operator.kube.store import Key

from hack.cluster.control_plane import ControlPlane
from tests.integration.cluster import Kubernetes, by_kind, eventually
from tests.integration.conftest import running_operator
from tests.integration.test_reconcile import child

BEYOND_PYTHON = 1_200
DEEPEST_OF_KUBERNETES = 9_994
"""As deep as a service can be that nests its request fields: its JSON has 10,000 levels."""
AFFINITY = '{"model": {"source": "hf://org/model"}, "engine": {"affinity": %s}}'
INJECT = (
    '{"model": {"source": "hf://org/model"}, "orchestrator": {"config": {"models": [{"name": "m", "inject": %s}]}}}'
)


def nested(depth: int) -> str:
    return '{"a": ' * depth + "1" + "}" * depth


async def send(kubernetes: Kubernetes, namespace: str, name: str, spec: str, query: str = "") -> int:
    """Create a service from text, as Python cannot write what it cannot read; return the HTTP status."""
    head = {"apiVersion": LLM_SERVICE.api_version, "kind": LLM_SERVICE.kind}
    text = json.dumps({**head, "metadata": {"name": name, "namespace": namespace}})
    url = f"{kubernetes._client.configuration.host}{LLM_SERVICE.path(namespace)}{query}"
    body = f'{text[:-1]}, "spec": {spec}}}'
    pool = kubernetes._client.rest_client.pool_manager
    assert pool
    async with pool.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
        return int(answer.status)


async def ready_reason(kubernetes: Kubernetes, key: Key) -> tuple[str, str]:
    ready = (await kubernetes.conditions(key)).get("Ready", {})
    return ready.get("reason", ""), ready.get("message", "")


@pytest.mark.parametrize("depth", [600, BEYOND_PYTHON, 9_993])
async def test_a_deep_affinity_is_not_even_stored(kubernetes: Kubernetes, namespace: str, depth: int) -> None:
    assert await send(kubernetes, namespace, "strict", AFFINITY % nested(depth), "?fieldValidation=Strict") == 400
    assert await send(kubernetes, namespace, "lax", AFFINITY % nested(depth)) == 201
    stored = await kubernetes.get(LLM_SERVICE, namespace, "lax")
    assert stored
    assert stored["spec"]["engine"]["affinity"] == {}
    await kubernetes._request("GET", LLM_SERVICE.path(None))


@pytest.mark.parametrize("depth", [70, 250, 600, 900, 940, 980, BEYOND_PYTHON, DEEPEST_OF_KUBERNETES])
async def test_a_deep_setting_stops_no_other_service(
    kubernetes: Kubernetes, namespace: str, control_plane: ControlPlane, tmp_path: Path, depth: int
) -> None:
    shallow = await kubernetes.serve(namespace, "shallow")
    with running_operator(control_plane, tmp_path / "watching", namespace):
        await built(kubernetes, shallow)  # so that the next ones come by the watch
        await explained(kubernetes, namespace, depth)
        await still_works(kubernetes, namespace, "after-the-news")
    with running_operator(control_plane, tmp_path / "listing", namespace):
        await still_works(kubernetes, namespace, "after-the-start")


async def explained(kubernetes: Kubernetes, namespace: str, depth: int) -> None:
    assert await send(kubernetes, namespace, "deep", INJECT % nested(depth)) == 201
    key = Key(namespace, "deep")

    async def says_why() -> bool:
        reason, message = await ready_reason(kubernetes, key)
        return reason == "InvalidSpec" and "orchestrator.config.models.0.inject" in message and "nested" in message

    await eventually(says_why)


async def still_works(kubernetes: Kubernetes, namespace: str, name: str) -> None:
    await built(kubernetes, await kubernetes.serve(namespace, name))


async def built(kubernetes: Kubernetes, key: Key) -> None:
    async def has_children() -> bool:
        return len(await kubernetes.objects(key)) > 5

    await eventually(has_children)


@pytest.fixture
async def former_definition(kubernetes: Kubernetes) -> AsyncIterator[dict[str, Any]]:
    """The definition with an affinity of any form."""
    definition = copy.deepcopy(crd())
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    anything = {"type": "object", "description": "Any.", "x-kubernetes-preserve-unknown-fields": True}
    schema["properties"]["spec"]["properties"]["engine"]["properties"]["affinity"] = anything
    await kubernetes.define(definition)
    yield definition
    await kubernetes.define(crd())


async def test_a_deep_affinity_that_was_stored_under_a_former_definition_harms_nobody(
    kubernetes: Kubernetes,
    namespace: str,
    former_definition: dict[str, Any],
    control_plane: ControlPlane,
    tmp_path: Path,
) -> None:
    async def is_deep() -> bool:  # the new definition takes effect in a moment
        await kubernetes._request("DELETE", LLM_SERVICE.path(namespace))
        assert await send(kubernetes, namespace, "former", AFFINITY % nested(BEYOND_PYTHON)) == 201
        stored = await kubernetes.get(LLM_SERVICE, namespace, "former")
        return bool(stored and stored["spec"]["engine"]["affinity"])

    await eventually(is_deep)
    with running_operator(control_plane, tmp_path / "before", namespace):
        await still_works(kubernetes, namespace, "before")
    await kubernetes.define(crd())
    with running_operator(control_plane, tmp_path / "after", namespace):
        await still_works(kubernetes, namespace, "after")
        await built(kubernetes, Key(namespace, "former"))


LEGITIMATE = ["0", 1, "2", "+1", ".5", "1.", "0.1", "500m", "100n", "5u", "1e3", "1E3", "12e-1", "1e0", "1k"]
SIZES = ["1e9", "12e6", "1E", "1.5Gi", "1.0000000001Gi", "1Pi", 1073741824, "0.1Ei", "1000000000000000000"]
REFUSED_QUANTITIES = ["10000P", "8Ei", "1e19", "2E", "-1", -1, "-0.5", "1e", "1ee3", "1 Gi", "1GB", "", "1Gi\n", "."]


@pytest.mark.parametrize(("resource", "amount"), [*(("cpu", a) for a in LEGITIMATE), *(("memory", a) for a in SIZES)])
async def test_a_quantity_of_kubernetes_is_admitted_and_comes_to_rest(
    kubernetes: Kubernetes, namespace: str, resource: str, amount: str | int
) -> None:
    spec = {"resources": {"requests": {resource: amount}}, "sharedMemory": amount if resource == "memory" else "1Gi"}
    key = await kubernetes.serve(namespace, engine=spec)
    assert await kubernetes.reconcile(key)
    assert await kubernetes.reconcile(key) == [], "what the API server made of it is the same"


@pytest.mark.parametrize("amount", REFUSED_QUANTITIES)
async def test_what_is_no_quantity_is_refused_by_both_judges(
    kubernetes: Kubernetes, namespace: str, amount: str | int
) -> None:
    engines: dict[str, dict[str, Any]] = {
        "spec.engine.sharedMemory": {"sharedMemory": amount},
        "spec.engine.resources.limits": {"resources": {"limits": {"memory": amount}}},
    }
    for field, engine in engines.items():
        with pytest.raises(ApiError) as refusal:
            await kubernetes.serve(namespace, engine=engine)
        assert field in str(refusal.value)
        spec = {"model": {"source": "hf://org/model"}, "engine": engine}
        with pytest.raises(ValidationError):
            LLMService.model_validate({"metadata": {"name": "demo"}, "spec": spec})


async def test_a_request_above_its_limit_is_refused(kubernetes: Kubernetes, namespace: str) -> None:
    limits = {"cpu": "1", "memory": "1024Mi"}
    engine = {"resources": {"requests": {"cpu": "1500m", "memory": "1Gi"}, "limits": limits}}
    with pytest.raises(ApiError, match=r"spec.engine.resources.*must not be larger than"):
        await kubernetes.serve(namespace, engine=engine)
    spec = {"model": {"source": "hf://org/model"}, "engine": engine}
    with pytest.raises(ValidationError, match="must not be larger than"):
        LLMService.model_validate({"metadata": {"name": "demo"}, "spec": spec})
    limits["cpu"] = "1.5"
    assert await kubernetes.serve(namespace, engine=engine)


@pytest.mark.parametrize("amount", ["1e9", "10000P", "1n", "3E", "12e6"])
async def test_an_amount_that_a_hand_has_changed_is_seen(kubernetes: Kubernetes, namespace: str, amount: str) -> None:
    key = await kubernetes.serve(namespace)
    await kubernetes.reconcile(key)
    before = await child(kubernetes, key, "Deployment", "demo-engine")
    change: Any = [
        {"op": "replace", "path": "/spec/template/spec/containers/0/resources/requests/memory", "value": amount}
    ]
    path = by_kind("Deployment").path(namespace, "demo-engine")
    await kubernetes._request("PATCH", path, None, change, "application/json-patch+json")
    assert await kubernetes.reconcile(key)
    after = await child(kubernetes, key, "Deployment", "demo-engine")
    assert after["spec"] == before["spec"]
