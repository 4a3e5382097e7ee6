"""Another key for the engines, on request: both are there until no engine has the former."""

from base64 import b64decode

from tandem_operator.api.llmservice import ROTATE_KEY
from tandem_operator.kube.resources import LLM_SERVICE, SECRET, Object
from tandem_operator.kube.store import Key

from tests.integration.cluster import Kubernetes, by_kind

DEPLOYMENT = by_kind("Deployment")
STAMP = "tandem.dev/engine-key"


async def keys(kubernetes: Kubernetes, key: Key) -> dict[str, str]:
    secret = await kubernetes.get(SECRET, key.namespace, f"{key.name}-engine-key")
    assert secret
    return {name: b64decode(value).decode() for name, value in secret["data"].items()}


async def engine(kubernetes: Kubernetes, key: Key) -> Object:
    found = await kubernetes.get(DEPLOYMENT, key.namespace, f"{key.name}-engine")
    assert found
    return found


async def orchestrators(kubernetes: Kubernetes, key: Key) -> Object:
    found = await kubernetes.get(DEPLOYMENT, key.namespace, f"{key.name}-orchestrator")
    assert found
    template: Object = found["spec"]["template"]
    return template


async def stamp(kubernetes: Kubernetes, key: Key) -> str:
    return str((await engine(kubernetes, key))["spec"]["template"]["metadata"]["annotations"][STAMP])


async def rolled_out(kubernetes: Kubernetes, key: Key) -> None:
    generation = (await engine(kubernetes, key))["metadata"]["generation"]
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
    status = {"status": {"observedGeneration": generation, **counts}}
    await kubernetes.edit(DEPLOYMENT, key, f"{key.name}-engine", status, "status")


async def ask_for_another(kubernetes: Kubernetes, key: Key, why: str) -> None:
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"metadata": {"annotations": {ROTATE_KEY: why}}})


async def test_both_keys_are_there_until_every_engine_has_the_new_one(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace)
    await kubernetes.reconcile(key)
    await rolled_out(kubernetes, key)
    await kubernetes.reconcile(key)
    first, former = await keys(kubernetes, key), await stamp(kubernetes, key)
    assert first.keys() == {"api-key"}
    before = await orchestrators(kubernetes, key)

    await ask_for_another(kubernetes, key, "2026-12-01")
    await kubernetes.reconcile(key)
    both = await keys(kubernetes, key)
    assert both["previous-api-key"] == first["api-key"] != both["api-key"]
    assert await stamp(kubernetes, key) != former, "the engine is updated"
    assert await kubernetes.reconcile(key) == [], "once is enough"
    assert await keys(kubernetes, key) == both

    await rolled_out(kubernetes, key)
    await kubernetes.reconcile(key)
    assert await keys(kubernetes, key) == {"api-key": both["api-key"]}
    assert await kubernetes.reconcile(key) == []
    assert await orchestrators(kubernetes, key) == before, "they read it again, and keep who waits at them"

    await ask_for_another(kubernetes, key, "2027-01-01")
    await kubernetes.reconcile(key)
    assert (await keys(kubernetes, key))["previous-api-key"] == both["api-key"]


async def test_a_service_that_asks_from_the_beginning_has_one_key(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace)
    await ask_for_another(kubernetes, key, "x")
    await kubernetes.reconcile(key)
    assert (await keys(kubernetes, key)).keys() == {"api-key"}
    assert await kubernetes.reconcile(key) == []
