"""Engines beside the main one, and external ones, on a real API server: taken, refused, made, told about and gone."""

from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from tandem_operator.api.llmservice import LLMService
from tandem_operator.kube.api import ApiError
from tandem_operator.kube.resources import LLM_SERVICE, Object
from tandem_operator.kube.store import Key
from tandem_operator.manifests import Images
from tandem_operator.reconcile import Cluster, reconcile
from tandem_operator.workqueue import RetryError

from tests.integration.cluster import Kubernetes
from tests.integration.test_reconcile import CHILDREN_OF_MINIMAL, child, owned, replicas

SOURCE = {"model": {"source": "hf://org/model"}}
SMALL: dict[str, Any] = {"model": {"source": "hf://org/small", "name": "small"}, "accelerator": "cpu"}
VECTORS: dict[str, Any] = {"model": {"source": "hf://org/minilm"}, "task": "embed"}
URL = "https://llm.example.com/v1"
PARTNER: dict[str, Any] = {"type": "external", "model": {"name": "large"}, "external": {"url": URL}}
KINDS = ("Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service", "ServiceAccount")


def one(name: str = "small", **fields: Any) -> dict[str, Any]:
    return {**SOURCE, "additionalEngines": {name: {**SMALL, **fields}}}


def of(engine: str) -> set[tuple[str, str]]:
    return {*((kind, f"demo-{engine}") for kind in KINDS), ("Service", f"demo-{engine}-pods")}


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "name": (one("Small"), "spec.additionalEngines", "lower-case letters"),
    "long name": (one("a" * 33), "spec.additionalEngines", "at most 32 characters"),
    "taken name": (one("orchestrator"), "spec.additionalEngines", "must not be engine"),
    "name of another's Service": (one("x-pods"), "spec.additionalEngines", "end with -pods"),
    "gpus": (one(gpus=1), "spec.additionalEngines[small].gpus", "additionalEngines.*.gpus must be at least 1"),
    "parallelism": (
        one(accelerator="nvidia.com/gpu", gpus=4, parallelism={"tensor": 2}),
        "spec.additionalEngines[small].parallelism",
        "must be additionalEngines.*.gpus",
    ),
    "owned argument": (one(extraArgs=["--port=1"]), "spec.additionalEngines[small].extraArgs", "operator sets"),
    "no source": (one(model={"name": "x"}), "spec.additionalEngines[small].model", "model.source is needed"),
    "no source of the main one": ({"model": {"name": "x"}}, "spec.model", "model.source is needed"),
    "fallback": (
        {"model": {**SOURCE["model"], "fallback": "smal"}, "additionalEngines": {"small": SMALL}},
        "spec.model",
        "must be a name in additionalEngines",
    ),
    "fallback of vectors": (
        {"model": {**SOURCE["model"], "fallback": "v"}, "additionalEngines": {"v": VECTORS}},
        "spec.model",
        "task generate",
    ),
    "external without a server": (one(type="external"), "spec.additionalEngines[small].external", "write both"),
    "external with pods": (
        one(**{**PARTNER, "replicas": 2}),
        "spec.additionalEngines[small].type",
        "has no pods here",
    ),
    "external with a source": (
        {**SOURCE, "engine": {"type": "external", "external": {"url": URL}}},
        "spec.model",
        "with type external it is model.name",
    ),
    "authorities without TLS": (
        one(**{**PARTNER, "external": {"url": "http://llm", "tls": {"ca": {"secretName": "ca"}}}}),
        "spec.additionalEngines[small].external.tls",
        "https:// URL",
    ),
    "key as a file": (
        one(**{**PARTNER, "external": {"url": URL, "apiKey": {"file": "/etc/shadow"}}}),
        "spec.additionalEngines[small].external.apiKey",
        "never by file",
    ),
    "external embeddings": (
        {**SOURCE, "embeddingEngine": {"type": "external", "model": {"name": "x"}}},
        "spec.embeddingEngine.type",
        "under additionalEngines",
    ),
}


@pytest.mark.parametrize(("spec", "field", "says"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_work_is_refused_by_name(
    kubernetes: Kubernetes, namespace: str, spec: dict[str, Any], field: str, says: str
) -> None:
    with pytest.raises(ApiError) as refusal:
        await kubernetes.serve(namespace, **spec)
    assert field in str(refusal.value)
    assert says in str(refusal.value)
    with pytest.raises(ValidationError) as error:  # the same without a cluster
        LLMService.model_validate({"metadata": {"name": "demo"}, "spec": spec})
    assert says in str(error.value)


async def test_too_many_and_too_long_are_refused(kubernetes: Kubernetes, namespace: str) -> None:
    with pytest.raises(ApiError, match="must have at most 8 items"):
        await kubernetes.serve(namespace, additionalEngines={f"e{n}": SMALL for n in range(9)})
    with pytest.raises(ApiError, match="at most 57 characters together"):
        await kubernetes.serve(namespace, "x" * 26, additionalEngines={"a" * 32: SMALL})
    await kubernetes.serve(namespace, "x" * 25, additionalEngines={"a" * 32: SMALL})


async def test_the_operator_reads_them_as_the_api_server_stores_them(kubernetes: Kubernetes, namespace: str) -> None:
    engines = {"small": SMALL, "vectors": VECTORS, "partner": PARTNER}
    key = await kubernetes.serve(namespace, additionalEngines=engines)
    stored = LLMService.model_validate(await kubernetes.get(LLM_SERVICE, *key))
    plain = {"metadata": {"name": "demo"}, "spec": {**SOURCE, "additionalEngines": engines}}
    assert stored.spec == LLMService.model_validate(plain).spec


async def upstreams(kubernetes: Kubernetes, key: Key) -> list[str]:
    text = (await child(kubernetes, key, "ConfigMap", "demo-orchestrator"))["data"]["config.yaml"]
    return [each["name"] for each in yaml.safe_load(text)["upstreams"]]


async def told(kubernetes: Kubernetes, key: Key) -> dict[str, str]:
    """The reason for which each additional engine is Ready or not."""
    service: Object | None = await kubernetes.get(LLM_SERVICE, *key)
    assert service
    listed = service["status"].get("additionalEngines", [])
    return {engine["name"]: engine["conditions"][0]["reason"] for engine in listed}


async def test_they_come_go_and_are_renamed_while_the_rest_stays(kubernetes: Kubernetes, namespace: str) -> None:
    async def become(**engines: Any) -> None:
        await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"additionalEngines": engines}})
        await kubernetes.reconcile(key)
        assert await kubernetes.reconcile(key) == []

    key = await kubernetes.serve(namespace)
    await kubernetes.reconcile(key)
    before = {name: await child(kubernetes, key, "Deployment", f"demo-{name}") for name in ("engine", "orchestrator")}

    await become(small={**SMALL, "replicas": 2}, vectors=VECTORS, partner=PARTNER)
    assert owned(await kubernetes.objects(key)).keys() == CHILDREN_OF_MINIMAL | of("small") | of("vectors")
    assert await replicas(kubernetes, key, "demo-small") == 2
    assert await upstreams(kubernetes, key) == ["engine", "partner", "small", "vectors"]
    assert await told(kubernetes, key) == {
        "small": "RolloutPending",
        "vectors": "RolloutPending",
        "partner": "NotHeard",
    }
    assert (await kubernetes.conditions(key))["AdditionalEnginesReady"]["status"] == "False"

    await become(small=None, tiny=SMALL, partner=None)
    assert owned(await kubernetes.objects(key)).keys() == CHILDREN_OF_MINIMAL | of("tiny") | of("vectors")
    assert await upstreams(kubernetes, key) == ["engine", "tiny", "vectors"]
    assert (await told(kubernetes, key)).keys() == {"tiny", "vectors"}

    await become(tiny=None, vectors=None)
    assert owned(await kubernetes.objects(key)).keys() == CHILDREN_OF_MINIMAL
    assert await told(kubernetes, key) == {}
    assert "AdditionalEnginesReady" not in await kubernetes.conditions(key)
    for name, deployment in before.items():
        after = await child(kubernetes, key, "Deployment", f"demo-{name}")
        assert after["spec"] == deployment["spec"], "orchestrators learn of engines from their file, and go on"


async def test_a_name_that_another_has_is_told(kubernetes: Kubernetes, namespace: str) -> None:
    """What demo calls demo-a-engine is what the LLMService demo-a calls its main engine."""
    other = await kubernetes.serve(namespace, "demo-a")
    await kubernetes.reconcile(other)
    key = await kubernetes.serve(namespace, additionalEngines={"a-engine": SMALL})
    cluster = Cluster(kubernetes, Images())
    for item in [*await kubernetes.objects(other), *await kubernetes.objects(key)]:
        cluster.store.put(item)
    with pytest.raises(RetryError, match="belongs to the LLMService demo-a; rename one of them"):
        await reconcile(cluster, key)
    conditions = await kubernetes.conditions(key)
    assert (conditions["Stalled"]["status"], conditions["Stalled"]["reason"]) == ("True", "NameTaken")
    assert await told(kubernetes, key) == {"a-engine": "NameTaken"}


async def test_a_service_without_engines_of_its_own(kubernetes: Kubernetes, namespace: str) -> None:
    """It has no key for them; once it has an engine it gets one, and without it that goes again."""
    engine = {"type": "external", "external": {"url": URL, "apiKey": {"secretName": "hosted"}}}
    key = await kubernetes.serve(namespace, model={"name": "large"}, engine=engine)
    await kubernetes.reconcile(key)
    only = {each for each in CHILDREN_OF_MINIMAL if "engine" not in each[1]}
    assert owned(await kubernetes.objects(key)).keys() == only
    assert await kubernetes.reconcile(key) == []
    assert (await kubernetes.conditions(key))["EngineReady"]["reason"] == "NotHeard"

    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"additionalEngines": {"small": SMALL}}})
    await kubernetes.reconcile(key)
    assert owned(await kubernetes.objects(key)).keys() == only | of("small") | {("Secret", "demo-engine-key")}
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"additionalEngines": None}})
    await kubernetes.reconcile(key)
    assert owned(await kubernetes.objects(key)).keys() == only
    with pytest.raises(ApiError, match="has no pods here"):
        await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"replicas": 3}}, "scale")
