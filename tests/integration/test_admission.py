"""The API server alone refuses what cannot work, and fills in the rest."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from tandem_operator.api.llmservice import LLMService
from tandem_operator.kube.api import ApiError
from tandem_operator.kube.resources import LLM_SERVICE

from tests.integration.cluster import Kubernetes

ROOT = Path(__file__).parents[2]
SOURCE = {"model": {"source": "hf://org/model"}}
EMBEDDING = {"model": {"source": "hf://org/minilm", "name": "minilm"}}

REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "no scheme": ({"model": {"source": "org/model"}}, "spec.model.source", "must begin with hf://"),
    "hf without org": ({"model": {"source": "hf://model"}}, "spec.model.source", "hf://org/name"),
    "pvc path up": ({"model": {"source": "pvc://claim/../x"}}, "spec.model.source", "'..'"),
    "pvc credentials": (
        {"model": {"source": "pvc://claim", "credentials": {"secretName": "x"}}},
        "spec.model.credentials",
        "no use with pvc://",
    ),
    "oci without repository": ({"model": {"source": "oci://image"}}, "spec.model.source", "oci://registry/image:tag"),
    "s3 without prefix": ({"model": {"source": "s3://bucket"}}, "spec.model.source", "s3://bucket/prefix"),
    "gpus on cpu": ({**SOURCE, "engine": {"accelerator": "cpu", "gpus": 1}}, "spec.engine.gpus", "0 with accelerator"),
    "no gpus": ({**SOURCE, "engine": {"gpus": 0}}, "spec.engine.gpus", "at least 1"),
    "gpus in words": ({**SOURCE, "engine": {"gpus": "many"}}, "spec.engine.gpus", "auto"),
    "too many gpus": ({**SOURCE, "engine": {"gpus": 65}}, "spec.engine.gpus", "64"),
    "auto on cpu": (
        {**SOURCE, "engine": {"accelerator": "cpu", "gpus": "auto"}},
        "spec.engine.gpus",
        "0 with accelerator",
    ),
    "parallelism": (
        {**SOURCE, "engine": {"gpus": 4, "parallelism": {"tensor": 2}}},
        "spec.engine.parallelism",
        "must be engine.gpus",
    ),
    "pipeline alone": (
        {**SOURCE, "engine": {"gpus": 3, "parallelism": {"pipeline": 2}}},
        "spec.engine.parallelism",
        "must be engine.gpus",
    ),
    "tensor beyond gpus": (
        {**SOURCE, "engine": {"gpus": 2, "parallelism": {"tensor": 4}}},
        "spec.engine.parallelism",
        "must be engine.gpus",
    ),
    "more than a pod has": (
        {**SOURCE, "engine": {"parallelism": {"tensor": 64, "pipeline": 2}}},
        "spec.engine.parallelism",
        "at most 64",
    ),
    "owned argument in short": (
        {**SOURCE, "engine": {"extraArgs": ["-tp=2"]}},
        "spec.engine.extraArgs",
        "operator sets",
    ),
    "unknown accelerator": ({**SOURCE, "engine": {"accelerator": "vendor.io/npu"}}, "spec.engine", "image is needed"),
    "duration": ({**SOURCE, "engine": {"startupTimeout": "soon"}}, "spec.engine.startupTimeout", "between 1m and 24h"),
    "short duration": ({**SOURCE, "engine": {"startupTimeout": "5s"}}, "spec.engine.startupTimeout", "between 1m"),
    "owned argument": ({**SOURCE, "engine": {"extraArgs": ["--api-key=x"]}}, "spec.engine.extraArgs", "operator sets"),
    "owned variable": (
        {**SOURCE, "engine": {"env": [{"name": "VLLM_API_KEY", "value": ""}]}},
        "spec.engine.env",
        "VLLM_API_KEY",
    ),
    "accelerator as resource": (
        {**SOURCE, "engine": {"resources": {"limits": {"nvidia.com/gpu": 1}}}},
        "spec.engine.resources",
        "set engine.gpus",
    ),
    "range": (
        {**SOURCE, "orchestrator": {"replicas": {"min": 3, "max": 2}}},
        "spec.orchestrator.replicas",
        "raise max",
    ),
    "no cpu request": (
        {**SOURCE, "orchestrator": {"resources": {"requests": {"memory": "1Gi"}}}},
        "spec.orchestrator.resources",
        "needs cpu",
    ),
    "upstreams by environment": (
        {**SOURCE, "orchestrator": {"env": [{"name": "TANDEM_UPSTREAMS", "value": "x"}]}},
        "spec.orchestrator.env",
        "orchestrator.config",
    ),
    "upstream by its older name": (
        {**SOURCE, "orchestrator": {"env": [{"name": "VLLM_URL", "value": "http://x"}]}},
        "spec.orchestrator.env",
        "orchestrator.config",
    ),
    "env without value": (
        {**SOURCE, "engine": {"env": [{"name": "A"}]}},
        "spec.engine.env",
        "either value or valueFrom",
    ),
    "env from two": (
        {
            **SOURCE,
            "engine": {
                "env": [
                    {
                        "name": "A",
                        "valueFrom": {
                            "secretKeyRef": {"name": "a", "key": "b"},
                            "fieldRef": {"fieldPath": "status.podIP"},
                        },
                    }
                ]
            },
        },
        "spec.engine.env",
        "exactly one",
    ),
    "embedding without a model": ({**SOURCE, "embeddingEngine": {}}, "spec.embeddingEngine.model", "equired"),
    "embedding's source": (
        {**SOURCE, "embeddingEngine": {"model": {"source": "minilm"}}},
        "spec.embeddingEngine.model.source",
        "must begin with hf://",
    ),
    "embedding's gpus": (
        {**SOURCE, "embeddingEngine": {**EMBEDDING, "gpus": 1}},
        "spec.embeddingEngine.gpus",
        "embeddingEngine.gpus must be at least 1",
    ),
    "embedding's accelerator": (
        {**SOURCE, "embeddingEngine": {**EMBEDDING, "accelerator": "vendor.io/npu"}},
        "spec.embeddingEngine",
        "embeddingEngine.image is needed",
    ),
    "embedding's arguments": (
        {**SOURCE, "embeddingEngine": {**EMBEDDING, "extraArgs": ["--served-model-name=x"]}},
        "spec.embeddingEngine.extraArgs",
        "operator sets",
    ),
    "embedding's variables": (
        {**SOURCE, "embeddingEngine": {**EMBEDDING, "env": [{"name": "VLLM_PORT", "value": "1"}]}},
        "spec.embeddingEngine.env",
        "VLLM_API_KEY",
    ),
    "embedding's duration": (
        {**SOURCE, "embeddingEngine": {**EMBEDDING, "startupTimeout": "1s"}},
        "spec.embeddingEngine.startupTimeout",
        "between 1m and 24h",
    ),
    "embedding's label": (
        {**SOURCE, "embeddingEngine": {**EMBEDDING, "podLabels": {"tandem.dev/tier": "engine"}}},
        "spec.embeddingEngine.podLabels",
        "podLabels must not have",
    ),
    "quantity": ({**SOURCE, "engine": {"sharedMemory": "lots"}}, "spec.engine.sharedMemory", ""),
    "type": ({**SOURCE, "engine": {"type": "tensorrt"}}, "spec.engine.type", ""),
}


def configured(**config: Any) -> dict[str, Any]:
    return {**SOURCE, "orchestrator": {"config": config}}


SECRET = {"secretName": "s", "secretKey": "k"}
REFUSED_SETTINGS: dict[str, tuple[dict[str, Any], str, str]] = {
    "secret as file": (
        configured(keys={"files": [{"file": "/keys.yaml"}]}),
        "spec.orchestrator.config.keys.files[0]",
        "named by secretName",
    ),
    "secret deep inside as file": (
        configured(
            tools={
                "http": [
                    {
                        "name": "a",
                        "description": "a",
                        "url": "http://a",
                        "secretHeaders": [{"name": "X", "value": {"file": "/token"}}],
                    }
                ]
            }
        ),
        "spec.orchestrator.config.tools.http[0].secretHeaders[0].value",
        "named by secretName",
    ),
    "tasks in a file": (
        configured(tasksFrom=[{"configMapName": "a"}, {"file": "/tasks"}]),
        "spec.orchestrator.config.tasksFrom[1]",
        "in a ConfigMap that configMapName names",
    ),
    "a task without an output": (
        configured(tasks=[{"name": "a", "prompt": "a"}]),
        "spec.orchestrator.config.tasks[0]",
        "either output or outputClass",
    ),
    "a guardrail for nothing": (
        configured(guardrails=[{"name": "a", "words": []}]),
        "spec.orchestrator.config.guardrails[0]",
        "set one thing to look for",
    ),
    "a guardrail for two things": (
        configured(guardrails=[{"name": "a", "secrets": {}, "maxCharacters": 9}]),
        "spec.orchestrator.config.guardrails[0]",
        "set one thing to look for",
    ),
    "a mask for a topic": (
        configured(guardrails=[{"name": "a", "action": "mask", "topics": [{"name": "a", "words": ["a"]}]}]),
        "spec.orchestrator.config.guardrails[0]",
        "can be masked",
    ),
    "plain keys": (configured(keys={"values": ["a"]}), "spec.orchestrator.config.keys.values", "keys.files"),
    "password": (
        configured(database={"url": "postgresql://me:hush@db/x"}),
        "spec.orchestrator.config.database.url",
        "must not hold a password",
    ),
    "password of redis": (
        configured(redis={"url": "redis://:hush@db"}),
        "spec.orchestrator.config.redis.url",
        "must not hold a password",
    ),
    "sqlite": (
        configured(database={"url": "sqlite:///x.db"}),
        "spec.orchestrator.config.database.url",
        "postgresql://",
    ),
    "admin without database": (
        configured(keys={"admin": SECRET}),
        "spec.orchestrator.config",
        "keys.admin needs a database",
    ),
    "upstream's key file": (
        configured(upstreams=[{"name": "a", "url": "http://a", "apiKeyFile": "/a"}]),
        "spec.orchestrator.config.upstreams[0].apiKey",
        "apiKey.secretName",
    ),
}
ISSUER = {"issuer": "https://login.example.com", "audiences": ["tandem"], "tenant": "team"}


def issued(**settings: Any) -> dict[str, Any]:
    issuer = {name: value for name, value in {**ISSUER, **settings}.items() if value is not None}
    return configured(oidc={"issuers": [issuer]})


REFUSED_ISSUERS: dict[str, tuple[dict[str, Any], str, str]] = {
    name: (spec, "spec.orchestrator.config.oidc.issuers[0]", says)
    for name, spec, says in (
        ("issuer over http", issued(issuer="http://localhost.example.com"), "issuer must be https://"),
        ("issuer's token for nobody", issued(jwksToken=SECRET), "jwksToken goes to jwksUrl"),
        ("issuer without tenants", issued(tenant=None, claims={"models": "m"}), "set claims.tenant or tenant"),
        ("issuer's plans without a claim", issued(plans=[{"name": "gold"}]), "claims.plan and plans"),
        ("issuer's claim without plans", issued(claims={"plan": "p"}, plans=[]), "claims.plan and plans"),
    )
}
POSTGRES = {"postgres": {"urlFrom": SECRET}}


def keeping(state: Any, **orchestrator: Any) -> dict[str, Any]:
    return {**SOURCE, "orchestrator": {"state": state, **orchestrator}}


REFUSED_STATES: dict[str, tuple[dict[str, Any], str, str]] = {
    "no state": (keeping({}), "spec.orchestrator.state", "either sqlite or postgres"),
    "two states": (
        keeping({"sqlite": {}, **POSTGRES}, replicas={"min": 1, "max": 1}),
        "spec.orchestrator.state",
        "either sqlite or postgres",
    ),
    "sqlite for many": (keeping({"sqlite": {}}), "spec.orchestrator.replicas", "{min: 1, max: 1}"),
    "sqlite with an autoscaler": (
        keeping({"sqlite": {}}, replicas={"min": 1, "max": 2}),
        "spec.orchestrator.replicas",
        "{min: 1, max: 1}",
    ),
    "sqlite without room": (
        keeping({"sqlite": {"size": "0"}}, replicas={"min": 1, "max": 1}),
        "spec.orchestrator.state.sqlite.size",
        "more than 0",
    ),
    "state as file": (
        keeping({"postgres": {"urlFrom": {"file": "/a"}}}),
        "spec.orchestrator.state.postgres.urlFrom",
        "never by file",
    ),
    "two databases": (
        keeping(POSTGRES, config={"database": {"urlFrom": SECRET}}),
        "spec.orchestrator.state",
        "leave url and urlFrom",
    ),
}
SHARED = {"size": "1Gi", "accessModes": ["ReadWriteMany"]}
S3 = {"s3": {"bucket": "b"}}
ONE = {"min": 1, "max": 1}
WORKERS = {"workers": {"replicas": {"min": 1, "max": 2}}}


def kept(files: Any, **orchestrator: Any) -> dict[str, Any]:
    return keeping(POSTGRES, files=files, **orchestrator)


REFUSED_FILES: dict[str, tuple[dict[str, Any], str, str]] = {
    "files in two places": (kept({"claim": SHARED, **S3}), "spec.orchestrator.files", "takes one of"),
    "files on two claims": (kept({"claim": SHARED, "claimName": "a"}), "spec.orchestrator.files", "takes one of"),
    "files nowhere": (kept({"maxBytes": 1}), "spec.orchestrator.files", "needs claim, claimName or s3"),
    "files without a database": (
        {**SOURCE, "orchestrator": {"files": S3}},
        "spec.orchestrator.files",
        "needs a database in orchestrator.state",
    ),
    "files for one pod": (kept({"claim": {"size": "1Gi"}}), "spec.orchestrator.files", "[ReadWriteMany]"),
    "files without room": (
        kept({"claim": {"size": "0"}}, replicas=ONE),
        "spec.orchestrator.files.claim.size",
        "more than 0",
    ),
    "half a key of a bucket": (
        kept({"s3": {"bucket": "b", "accessKeyId": SECRET}}),
        "spec.orchestrator.files.s3",
        "or neither",
    ),
    "key of a bucket as file": (
        kept({"s3": {"bucket": "b", "accessKeyId": {"file": "/a"}, "secretAccessKey": SECRET}}),
        "spec.orchestrator.files.s3.accessKeyId",
        "never by file",
    ),
    "documents without files": (keeping(POSTGRES, retrieval={}), "spec.orchestrator.retrieval", "needs orchestrator"),
    "workers beside a file": (
        keeping({"sqlite": {}}, replicas=ONE, retrieval=WORKERS),
        "spec.orchestrator.retrieval",
        "workers needs state.postgres",
    ),
    "workers on a volume of one pod": (
        kept({"claim": {"size": "1Gi"}}, replicas=ONE, retrieval=WORKERS),
        "spec.orchestrator.files",
        "[ReadWriteMany]",
    ),
    "workers that cannot be scaled": (
        kept(S3, replicas=ONE, retrieval=WORKERS, resources={"requests": {"memory": "1Gi"}}),
        "spec.orchestrator.resources",
        "needs cpu",
    ),
    "two embeddings": (
        kept(S3, retrieval={"embedding": {"model": "m", "path": "/m"}}),
        "spec.orchestrator.retrieval.embedding",
        "set model or path",
    ),
    "too much overlap": (
        kept(S3, retrieval={"chunking": {"maxTokens": 500}}),
        "spec.orchestrator.retrieval.chunking",
        "at most half of maxTokens",
    ),
}


def running(kind: str, **engine: Any) -> dict[str, Any]:
    return {**SOURCE, "engine": {"type": kind, **engine}}


def guessed(source: str, **model: Any) -> dict[str, Any]:
    return {"method": "draft-model", "tokens": 4, "model": {"source": source, **model}}


REFUSED_FIELDS: dict[str, tuple[dict[str, Any], str, str]] = {
    "cache of an engine without": (
        running("tgi", prefixCaching=False),
        "spec.engine.prefixCaching",
        "is for engine.type vllm",
    ),
    "memory for cpus": (
        running("vllm", accelerator="cpu", kvOffload={"size": "4Gi"}),
        "spec.engine.kvOffload",
        "accelerator cpu is for",
    ),
    "little memory": (running("vllm", gpus=4, kvOffload={"size": "4G"}), "spec.engine.kvOffload", "at least 1Gi for"),
    "little memory for stages": (
        running("sglang", parallelism={"tensor": 2, "pipeline": 2}, kvOffload={"size": "3Gi"}),
        "spec.engine.kvOffload",
        "at least 1Gi for",
    ),
    "memory for nothing": (
        running("sglang", prefixCaching=False, kvOffload={"size": "4Gi"}),
        "spec.engine.kvOffload",
        "leave one of the two out",
    ),
    "guesses by no model": (
        running("vllm", speculativeDecoding={"method": "eagle3", "tokens": 3}),
        "spec.engine.speculativeDecoding.model",
        "is needed with method",
    ),
    "guesses by a bucket": (
        running("vllm", speculativeDecoding=guessed("s3://bucket/small")),
        "spec.engine.speculativeDecoding.model.source",
        "begin with hf://, pvc:// or oci://",
    ),
    "guesses by two words": (
        running("sglang", speculativeDecoding={**guessed("hf://a/b"), "method": "ngram"}),
        "spec.engine.speculativeDecoding.model",
        "no use with method ngram",
    ),
    "guesses by no file": (
        running("llamacpp", speculativeDecoding=guessed("pvc://small")),
        "spec.engine.speculativeDecoding",
        "names the GGUF file",
    ),
    "guesses by a file too many": (
        running("vllm", speculativeDecoding=guessed("hf://a/b", file="b.gguf")),
        "spec.engine.speculativeDecoding",
        "names the GGUF file",
    ),
    "guesses by an old model": (
        running("llamacpp", speculativeDecoding=guessed("hf://a/b@v1")),
        "spec.engine.speculativeDecoding",
        "may have @revision",
    ),
    "guesses from afar": (
        {"model": {"source": "pvc://models"}, "engine": {"speculativeDecoding": guessed("hf://a/b")}},
        "spec.engine",
        "only where model.source is",
    ),
    "structures of an engine without": (
        running("llamacpp", structuredOutputs={"backend": "outlines"}),
        "spec.engine.structuredOutputs",
        "is for engine.type vllm, sglang",
    ),
    "guesses of vectors": (
        {
            **SOURCE,
            "additionalEngines": {
                "a": {**EMBEDDING, "task": "embed", "speculativeDecoding": {"method": "ngram", "tokens": 1}}
            },
        },
        "spec.additionalEngines",
        "no use with task embed",
    ),
}
REFUSED |= REFUSED_SETTINGS | REFUSED_ISSUERS | REFUSED_STATES | REFUSED_FILES | REFUSED_FIELDS


@pytest.mark.parametrize(("spec", "field", "says"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_spec_that_cannot_work_is_refused_by_name(
    kubernetes: Kubernetes, namespace: str, spec: dict[str, Any], field: str, says: str
) -> None:
    with pytest.raises(ApiError) as refusal:
        await kubernetes.serve(namespace, **spec)
    assert field in str(refusal.value)
    assert says in str(refusal.value)
    with pytest.raises(ValidationError) as error:  # the same without a cluster
        LLMService.model_validate({"metadata": {"name": "demo"}, "spec": spec})
    assert says in str(error.value)


async def test_settings_of_all_kinds_are_stored_as_they_were_written(kubernetes: Kubernetes, namespace: str) -> None:
    spec = yaml.safe_load((ROOT / "manifests" / "samples" / "full.yaml").read_text())["spec"]
    config = spec["orchestrator"]["config"]
    config["models"][0]["inject"] = {"stop": ["a"], "nested": {"any": [{"thing": 1.5}]}}
    key = await kubernetes.serve(namespace, **spec)
    stored = await kubernetes.get(LLM_SERVICE, *key)
    assert stored
    assert stored["spec"]["orchestrator"]["config"] == config
    assert LLMService.model_validate(stored)


@pytest.mark.parametrize("state", [{"sqlite": {}}, POSTGRES])
async def test_state_keeps_the_keys_of_the_admin_api(
    kubernetes: Kubernetes, namespace: str, state: dict[str, Any]
) -> None:
    spec = keeping(
        state, replicas={"min": 1, "max": 1}, config={"keys": {"admin": SECRET}, "database": {"poolSize": 1}}
    )
    key = await kubernetes.serve(namespace, **spec)
    assert LLMService.model_validate(await kubernetes.get(LLM_SERVICE, *key))


FIELDS = [
    running("vllm", gpus=4, kvOffload={"size": "4Gi"}, structuredOutputs={"backend": "guidance"}),
    running("sglang", prefixCaching=True, speculativeDecoding=guessed("hf://a/b@v1")),
    running("llamacpp", accelerator="cpu", kvOffload={"size": 1_073_741_824}, prefixCaching=True),
    running("llamacpp", speculativeDecoding=guessed("hf://a/b")),
    running("llamacpp", speculativeDecoding=guessed("oci://registry:5000/b:1@sha256:" + "0" * 64, file="a/b.gguf")),
]


@pytest.mark.parametrize("spec", FIELDS)
async def test_what_an_engine_can_is_stored_without_defaults(
    kubernetes: Kubernetes, namespace: str, spec: dict[str, Any]
) -> None:
    stored = await kubernetes.get(LLM_SERVICE, *await kubernetes.serve(namespace, **spec))
    assert stored
    assert LLMService.model_validate(stored)
    fields = ("prefixCaching", "kvOffload", "speculativeDecoding", "structuredOutputs")
    assert {name: stored["spec"]["engine"].get(name) for name in fields} == {
        name: spec["engine"].get(name) for name in fields
    }


ISSUERS = [
    issued(issuer="http://[::1]:8080/realm", jwksToken=None),
    issued(issuer="http://127.0.0.1", claims={"tenant": "org", "plan": "p"}, plans=[{"name": "a"}], tenant=None),
    issued(issuer="http://login", jwksUrl="https://login/keys", jwksToken=SECRET),
]


@pytest.mark.parametrize("spec", ISSUERS)
async def test_issuers_may_be_nearby_or_say_where_their_keys_are(
    kubernetes: Kubernetes, namespace: str, spec: dict[str, Any]
) -> None:
    stored = await kubernetes.get(LLM_SERVICE, *await kubernetes.serve(namespace, **spec))
    assert LLMService.model_validate(stored)


FILES = [
    kept({"claim": SHARED}),
    kept({"claim": {"size": 1}}, replicas=ONE),
    kept({"claimName": "a"}, retrieval={}),
    kept({"claimName": "a"}, retrieval=WORKERS),
    kept({"s3": {"bucket": "b", "accessKeyId": SECRET, "secretAccessKey": SECRET}}),
    keeping({"sqlite": {}}, replicas=ONE, retrieval={"chunking": {"maxTokens": 500, "overlapTokens": 250}}),
    keeping({"sqlite": {}}, replicas=ONE, files={"quota": {"files": 1}}),
]


@pytest.mark.parametrize("spec", FILES)
async def test_files_are_where_the_pods_can_have_them(
    kubernetes: Kubernetes, namespace: str, spec: dict[str, Any]
) -> None:
    stored = await kubernetes.get(LLM_SERVICE, *await kubernetes.serve(namespace, **spec))
    assert stored
    assert {name: stored["spec"]["orchestrator"].get(name) for name in ("files", "retrieval")} == {
        name: spec["orchestrator"].get(name) for name in ("files", "retrieval")
    }, "no default is stored, which the operator of the release before would not know"
    assert LLMService.model_validate(stored)


async def test_a_name_that_no_service_can_have_is_refused(kubernetes: Kubernetes, namespace: str) -> None:
    for name in ("7b-model", "a.b", "x" * 51):
        with pytest.raises(ApiError, match=r"metadata.name must begin with a letter"):
            await kubernetes.serve(namespace, name)


async def test_a_name_leaves_room_for_what_the_engine_for_embeddings_is_called(
    kubernetes: Kubernetes, namespace: str
) -> None:
    with pytest.raises(ApiError, match=r"at most 48 characters where there is spec\.embeddingEngine"):
        await kubernetes.serve(namespace, "x" * 49, embeddingEngine=EMBEDDING)
    await kubernetes.serve(namespace, "x" * 49)
    await kubernetes.serve(namespace, "x" * 48, embeddingEngine=EMBEDDING)


async def test_the_operator_reads_an_engine_for_embeddings_as_the_api_server_stores_it(
    kubernetes: Kubernetes, namespace: str
) -> None:
    key = await kubernetes.serve(namespace, embeddingEngine=EMBEDDING)
    stored = LLMService.model_validate(await kubernetes.get(LLM_SERVICE, *key))
    plain = {"metadata": {"name": "demo"}, "spec": {**SOURCE, "embeddingEngine": EMBEDDING}}
    assert stored.spec == LLMService.model_validate(plain).spec


async def test_a_model_source_alone_is_a_valid_spec(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace)
    stored = await kubernetes.get(LLM_SERVICE, *key)
    assert stored
    spec = stored["spec"]
    assert spec["engine"]["accelerator"] == "nvidia.com/gpu"
    assert spec["engine"]["startupTimeout"] == "30m"
    assert spec["orchestrator"]["replicas"] == {"min": 2, "max": 10}
    assert "config" not in spec["orchestrator"], "settings follow the release, not the day of creation"
    assert stored["status"] == {"observedGeneration": -1, "conditions": []}


async def test_the_operator_reads_the_defaults_that_the_api_server_filled_in(
    kubernetes: Kubernetes, namespace: str
) -> None:
    key = await kubernetes.serve(namespace)
    stored = await kubernetes.get(LLM_SERVICE, *key)
    plain = LLMService.model_validate({"metadata": {"name": "demo"}, "spec": copy.deepcopy(SOURCE)})
    assert LLMService.model_validate(stored).spec == plain.spec


async def test_parallelism_alone_is_a_valid_engine(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace, engine={"parallelism": {"tensor": 4, "pipeline": 2}})
    stored = await kubernetes.get(LLM_SERVICE, *key)
    assert LLMService.model_validate(stored).spec.engine.gpu_count == 8


async def test_as_many_gpus_as_the_model_needs(kubernetes: Kubernetes, namespace: str) -> None:
    engines: dict[str, Any] = {
        "plain": {},
        "tensor": {"parallelism": {"tensor": 2}},
        "pipeline": {"parallelism": {"pipeline": 2}, "gpuMemory": "79Gi"},
        "offload": {"kvOffload": {"size": "8Gi"}},
    }
    for name, engine in engines.items():
        key = await kubernetes.serve(namespace, name, **SOURCE, engine={"gpus": "auto", **engine})
        stored = await kubernetes.get(LLM_SERVICE, *key)
        assert LLMService.model_validate(stored).spec.engine.gpus == "auto"


async def test_the_engine_scales_through_the_scale_subresource(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace)
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"replicas": 3}}, "scale")
    stored = await kubernetes.get(LLM_SERVICE, *key)
    assert stored
    assert stored["spec"]["engine"]["replicas"] == 3
