"""What one author writes too deep or too large stops neither the API nor the operator for the others."""

import copy
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tandem_operator.api.schema import crd
from tandem_operator.kube.resources import LLM_SERVICE
from tandem_operator.kube.store import Key

from hack.cluster.control_plane import ControlPlane
from tests.integration.cluster import Kubernetes, eventually
from tests.integration.conftest import running_operator

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
