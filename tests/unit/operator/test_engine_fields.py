"""Fields of what several engines have: what each engine is told, what its pod gets for it, and what is refused."""

from typing import Any

import pytest
from pydantic import ValidationError
from tandem_operator.api.engine import EngineSpec
from tandem_operator.api.llmservice import LLMService
from tandem_operator.engines import ENGINES, types_with
from tandem_operator.engines.base import Capability, EngineType
from tandem_operator.manifests import Images, Platform, build, unknown_arguments

HUB: dict[str, Any] = {"source": "hf://org/large"}
CLAIM: dict[str, Any] = {"source": "pvc://models/large"}
GGUF: dict[str, Any] = {"source": "pvc://models", "file": "large.gguf"}
NGRAM: dict[str, Any] = {"method": "ngram", "tokens": 4}


def guessed(source: str, **model: Any) -> dict[str, Any]:
    return {"method": "draft-model", "tokens": 4, "model": {"source": source, **model}}


def service(engine: dict[str, Any], model: dict[str, Any] = HUB, **spec: Any) -> LLMService:
    return LLMService.model_validate({"metadata": {"name": "demo"}, "spec": {"model": model, "engine": engine, **spec}})


def pod(engine: dict[str, Any], model: dict[str, Any] = HUB) -> dict[str, Any]:
    (found,) = [
        item["spec"]["template"]["spec"]
        for item in build(service(engine, model), Platform())
        if (item["kind"], item["metadata"]["name"]) == ("Deployment", "demo-engine")
    ]
    return dict(found)


def arguments(engine: dict[str, Any], model: dict[str, Any] = HUB) -> list[str]:
    (container,) = pod(engine, model)["containers"]
    return list(container["args"])


@pytest.mark.parametrize("kind", types_with(Capability.SPECULATIVE_DECODING))
def test_an_engine_is_told_nothing_of_fields_that_are_not_set(kind: str) -> None:
    options = {option for each in ENGINES[EngineType(kind)].field_options.values() for option in each}
    said = arguments({"type": kind})
    assert not [argument for argument in said if argument.partition("=")[0] in options]


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ({"kvOffload": {"size": "1536Mi"}}, ["--kv-offloading-size=1.5"]),
        ({"kvOffload": {"size": "20G"}, "gpus": 4}, ["--kv-offloading-size=18.6264514923"]),
        ({"type": "sglang", "kvOffload": {"size": "5Gi"}, "gpus": 4}, ["--hicache-size=1"]),
        (
            {"type": "sglang", "kvOffload": {"size": 90_000_000_000}, "parallelism": {"pipeline": 3}},
            ["--hicache-size=30"],
        ),
        ({"type": "llamacpp", "accelerator": "cpu", "kvOffload": {"size": "2Gi"}}, ["--cache-ram", "2048"]),
        ({"type": "llamacpp", "prefixCaching": True}, ["--cache-prompt"]),
        ({"type": "sglang", "prefixCaching": True}, ["--enable-metrics"]),
    ],
)
def test_amounts_are_in_the_engines_own_units(engine: dict[str, Any], expected: list[str]) -> None:
    said = " ".join(arguments(engine))
    assert f" {' '.join(expected)} " in f"{said} "


def test_what_a_spec_adds_comes_after_its_fields() -> None:
    said = arguments({"type": "sglang", "speculativeDecoding": NGRAM, "extraArgs": ["--speculative-ngram-max-bfs=8"]})
    assert said.index("--speculative-ngram-max-bfs-breadth=1") < said.index("--speculative-ngram-max-bfs=8")


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, {"cpu": "2", "memory": "24Gi"}),
        ({"requests": {"cpu": "2"}}, {"cpu": "2", "memory": "16Gi"}),
        ({"requests": {"memory": "8G"}, "limits": {"memory": "16Gi"}}, {"memory": "24589716Ki", "limit": "32Gi"}),
        ({"requests": {}, "limits": {"memory": "112Gi"}}, {"limit": "128Gi"}),
    ],
)
def test_the_pod_has_memory_for_what_it_keeps(resources: dict[str, Any], expected: dict[str, str]) -> None:
    engine = {"kvOffload": {"size": "16Gi"}, **({"resources": resources} if resources else {})}
    (container,) = pod(engine)["containers"]
    found = container["resources"]
    limit = found["limits"].get("memory")
    assert {**found.get("requests", {}), **({"limit": limit} if limit else {})} == expected


@pytest.mark.parametrize(("kind", "size"), [("vllm", "18Gi"), ("sglang", "2Gi"), ("llamacpp", "2Gi")])
def test_shared_memory_grows_for_the_engine_that_keeps_it_there(kind: str, size: str) -> None:
    volumes = pod({"type": kind, "sharedMemory": "2Gi", "kvOffload": {"size": "16Gi"}})["volumes"]
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": size}} in volumes


@pytest.mark.parametrize(
    ("draft", "path", "volumes"),
    [
        ("pvc://models/small", "/models/small", ["model"]),
        ("pvc://others/small", "/draft/small", ["model", "draft"]),
        ("oci://registry.example/small:1", "/draft", ["model", "draft"]),
    ],
)
def test_a_small_model_is_mounted_once(draft: str, path: str, volumes: list[str]) -> None:
    made = pod({"type": "sglang", "speculativeDecoding": guessed(draft)}, CLAIM)
    (container,) = made["containers"]
    assert f"--speculative-draft-model-path={path}" in container["args"]
    kept = [volume["name"] for volume in made["volumes"] if volume["name"] in ("model", "draft")]
    mounted = [mount["name"] for mount in container["volumeMounts"] if mount["name"] in ("model", "draft")]
    assert kept == mounted == volumes


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "tgi": ({"type": "tgi", "speculativeDecoding": NGRAM}, HUB, "speculativeDecoding is for engine.type vllm"),
    "ollama": ({"type": "ollama", "prefixCaching": False}, HUB, "prefixCaching is for engine.type vllm"),
    "backend": (
        {"type": "llamacpp", "structuredOutputs": {"backend": "xgrammar"}},
        HUB,
        "for engine.type vllm, sglang",
    ),
    "no such backend": ({"structuredOutputs": {"backend": "lark"}}, HUB, "'xgrammar', 'guidance' or 'outlines'"),
    "on cpus": ({"accelerator": "cpu", "kvOffload": {"size": "4Gi"}}, HUB, "accelerator cpu is for engine.type llama"),
    "small": ({"gpus": 4, "kvOffload": {"size": "3Gi"}}, HUB, "at least 1Gi for each accelerator"),
    "small by stages": (
        {"type": "sglang", "parallelism": {"tensor": 2, "pipeline": 2}, "kvOffload": {"size": "3Gi"}},
        HUB,
        "at least 1Gi for each accelerator",
    ),
    "nothing to share": ({"kvOffload": {"size": "4Gi"}, "prefixCaching": False}, HUB, "leave one of the two out"),
    "no model": ({"speculativeDecoding": {"method": "eagle3", "tokens": 3}}, HUB, "model is needed with method"),
    "a model": ({"speculativeDecoding": {**guessed("hf://a/b"), "method": "ngram"}}, HUB, "no use with method ngram"),
    "no tokens": ({"speculativeDecoding": {**NGRAM, "tokens": 0}}, HUB, "greater than or equal to 1"),
    "s3": ({"speculativeDecoding": guessed("s3://bucket/small")}, HUB, "begin with hf://, pvc:// or oci://"),
    "up": ({"speculativeDecoding": guessed("pvc://models/../small")}, HUB, "must not contain '..'"),
    "offline": ({"speculativeDecoding": guessed("hf://a/b")}, CLAIM, "only where model.source is"),
    "gguf for vllm": ({"speculativeDecoding": guessed("pvc://a/b", file="b.gguf")}, HUB, "leave it out with others"),
    "no gguf": ({"type": "llamacpp", "speculativeDecoding": guessed("pvc://a/b")}, GGUF, "names the GGUF file"),
    "revision": ({"type": "llamacpp", "speculativeDecoding": guessed("hf://a/b@v1")}, HUB, "may have @revision"),
    "adapters": (
        {"type": "sglang", "speculativeDecoding": guessed("hf://a/b")},
        {**HUB, "adapters": [{"name": "poems", "source": "hf://a/poems"}]},
        "sglang takes no model.adapters",
    ),
    "external": (
        {"type": "external", "external": {"url": "https://llm.example.com"}, "prefixCaching": True},
        {"name": "x"},
        "prefixCaching is for engine.type",
    ),
}


@pytest.mark.parametrize(("engine", "model", "message"), REFUSED.values(), ids=REFUSED)
def test_what_an_engine_cannot_is_refused(engine: dict[str, Any], model: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message.replace("(", "[(]")):
        service(engine, model)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"kvOffload": {"size": "4Gi"}}, "have no use with task embed"),
        ({"prefixCaching": False}, None),
        ({"speculativeDecoding": guessed("hf://a/b")}, "have no use with task embed"),
    ],
)
def test_an_engine_that_makes_vectors_writes_no_text(field: dict[str, Any], message: str | None) -> None:
    engines = {"vectors": {"model": HUB | {"name": "vectors"}, "task": "embed", **field}}
    if message is None:
        assert service({}, additionalEngines=engines)
        return
    with pytest.raises(ValidationError, match=message):
        service({}, additionalEngines=engines)


def test_an_additional_engine_downloads_its_small_model_as_it_does_its_own() -> None:
    engines = {"other": {"model": CLAIM | {"name": "other"}, "speculativeDecoding": guessed("hf://a/b")}}
    with pytest.raises(
        ValidationError, match=r"additionalEngines\.\*\.speculativeDecoding\.model\.source may be hf://"
    ):
        service({}, additionalEngines=engines)


FIELDS: dict[str, Any] = {
    "prefixCaching": True,
    "kvOffload": {"size": "4Gi"},
    "speculativeDecoding": NGRAM,
    "structuredOutputs": {"backend": "outlines"},
}


@pytest.mark.parametrize(
    ("kind", "field", "argument"),
    [
        ("vllm", "prefixCaching", "--no-enable-prefix-caching"),
        ("vllm", "prefixCaching", "--enable_prefix_cach"),
        ("vllm", "kvOffload", "--kv-offloading-b=lmcache"),
        ("vllm", "kvOffload", "--kv-transfer-config.kv_role=kv_both"),
        ("vllm", "speculativeDecoding", "-sc={}"),
        ("vllm", "speculativeDecoding", "--spec_tokens"),
        ("vllm", "structuredOutputs", "--structured-outputs-config.disable_any_whitespace=true"),
        ("sglang", "prefixCaching", "--disable-radix"),
        ("sglang", "kvOffload", "--hicache-ratio=2"),
        ("sglang", "speculativeDecoding", "--speculative_algorithm=EAGLE"),
        ("sglang", "structuredOutputs", "--grammar-backend"),
        ("llamacpp", "kvOffload", "-cram"),
        ("llamacpp", "speculativeDecoding", "--spec_draft_model"),
    ],
)
def test_an_option_beside_its_field_is_refused_and_alone_is_not(kind: str, field: str, argument: str) -> None:
    alone = {"type": kind, "extraArgs": [argument, "1"]}
    assert EngineSpec.model_validate(alone)
    with pytest.raises(ValidationError, match=f"extraArgs must not have --?[-a-z0-9, ]+, which {field} sets"):
        EngineSpec.model_validate({**alone, field: FIELDS[field]})


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("vllm", ["--enable-lora", "--kv-cache-dtype=fp8", "--speculative-x"]),
        (
            "sglang",
            ["--hicache-write-policy=write_back", "--speculative-ngram-match-type=PROB", "--disable-cuda-graph"],
        ),
        ("llamacpp", ["-c", "4096", "--spec-draft-ngl", "99", "--cache-reuse", "256", "-ctk", "q8_0"]),
    ],
)
def test_other_options_go_on_beside_fields(kind: str, arguments: list[str]) -> None:
    fields = {field: FIELDS[field] for field in ENGINES[EngineType(kind)].field_options if field != "prefixCaching"}
    assert EngineSpec.model_validate({"type": kind, "extraArgs": arguments, **fields})


def test_a_field_that_the_images_release_lacks_is_refused_by_name() -> None:
    images = Images(engine_nvidia="docker.io/vllm/vllm-openai:v0.11.0")
    found = [*unknown_arguments(service(FIELDS), Platform(images=images))]
    assert found == ["spec.engine.kvOffload: --kv-offloading-size is not in vLLM v0.11.0; it came with v0.12.0"]
    assert [*unknown_arguments(service(FIELDS), Platform())] == []
    assert [*unknown_arguments(service({"type": "sglang", **FIELDS}), Platform())] == []
