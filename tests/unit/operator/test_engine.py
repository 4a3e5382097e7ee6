"""The engine's container: what vLLM is told, and what its pod may do."""

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tandem_operator.api.component import SERVICE_MONITOR_API
from tandem_operator.api.embedding_engine import EmbeddingEngineSpec
from tandem_operator.api.engine import EngineSpec, rules_of
from tandem_operator.api.llmservice import LLMService
from tandem_operator.engines import ENGINES
from tandem_operator.engines.base import EngineType
from tandem_operator.engines.ollama import Ollama
from tandem_operator.engines.vllm import Vllm
from tandem_operator.manifests import Platform, build

VERSIONED = {"source": "hf://org/model@v1"}
NEWEST = {"source": "hf://org/model"}
GGUF = {"source": "pvc://models/llm", "file": "q4/model.gguf"}
LLAMA: dict[str, Any] = {"type": "llamacpp"}


def container(model: dict[str, Any] = VERSIONED, **engine: Any) -> dict[str, Any]:
    spec = {"model": model, "engine": engine}
    service = LLMService.model_validate({"metadata": {"name": "demo"}, "spec": spec})
    (found,) = [
        item["spec"]["template"]["spec"]["containers"][0]
        for item in build(service, Platform())
        if (item["kind"], item["metadata"]["name"]) == ("Deployment", "demo-engine")
    ]
    return found


def variable(name: str, **engine: Any) -> str:
    (found,) = [entry["value"] for entry in container(**engine)["env"] if entry["name"] == name]
    return str(found)


def test_vllm_is_started_by_its_own_command_with_the_model_first() -> None:
    engine = container(extraArgs=["--seed", "7"])
    assert engine["command"] == ["vllm", "serve"]
    assert engine["args"][:2] == ["org/model", "--revision=v1"]
    assert engine["args"][-2:] == ["--seed", "7"]
    assert not [argument for argument in engine["args"] if argument.startswith("--model=")]


def test_vllm_listens_at_the_pods_own_address_whatever_its_family() -> None:
    engine = container()
    assert "--host=$(VLLM_HOST_IP)" in engine["args"]
    address = {"name": "VLLM_HOST_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    assert address in engine["env"]


@pytest.mark.parametrize(
    "engine", [{}, {"accelerator": "amd.com/gpu"}, {"accelerator": "vendor.io/npu", "image": "a/b"}]
)
def test_hooks_for_accelerators_may_write_to_the_root_file_system(engine: dict[str, Any]) -> None:
    assert container(**engine)["securityContext"]["readOnlyRootFilesystem"] is False


def test_without_an_accelerator_the_root_file_system_is_read_only() -> None:
    assert container(accelerator="cpu")["securityContext"]["readOnlyRootFilesystem"] is True


def test_vllm_waits_as_long_for_its_processes_as_kubernetes_waits_for_it() -> None:
    assert variable("VLLM_ENGINE_READY_TIMEOUT_S") == "1800"
    assert variable("VLLM_ENGINE_READY_TIMEOUT_S", startupTimeout="1h30m") == "5400"
    own = [{"name": "VLLM_ENGINE_READY_TIMEOUT_S", "value": "42"}]
    assert variable("VLLM_ENGINE_READY_TIMEOUT_S", startupTimeout="1h30m", env=own) == "42"


def test_parallelism_alone_says_how_many_accelerators_there_are() -> None:
    engine = container(parallelism={"tensor": 4, "pipeline": 2})
    assert engine["resources"]["limits"] == {"nvidia.com/gpu": "8"}
    assert {"--tensor-parallel-size=4", "--pipeline-parallel-size=2"} <= set(engine["args"])


@pytest.mark.parametrize(
    "engine",
    [
        {"gpus": 2, "parallelism": {"tensor": 4}},
        {"gpus": 1, "parallelism": {"tensor": 4}},
        {"gpus": 3, "parallelism": {"pipeline": 2}},
        {"parallelism": {"tensor": 64, "pipeline": 2}},
    ],
)
def test_parallelism_that_contradicts_gpus_is_refused(engine: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"engine\.parallelism\.tensor \* engine\.parallelism\.pipeline"):
        EngineSpec.model_validate(engine)


@pytest.mark.parametrize(("kind", "engine"), ENGINES.items())
def test_without_an_image_of_its_own_a_spec_is_taken_for_those_accelerators_that_its_engine_has_one_for(kind, engine):
    for accelerator in ("nvidia.com/gpu", "amd.com/gpu", "cpu", "example.com/npu"):
        document = {"type": kind, "accelerator": accelerator}
        if accelerator in engine.images:
            assert container(NEWEST, **document)["image"] == engine.images[accelerator]
        else:
            with pytest.raises(ValidationError, match=r"engine\.image is needed"):
                EngineSpec.model_validate(document)


def test_an_engine_with_one_image_asks_for_others_in_its_own_name_alone() -> None:
    class Small(Vllm):
        images = {"cpu": "example.com/small:1"}  # noqa: RUF012 # as in Vllm

    image, *_ = rules_of(EngineType.VLLM, Small())
    assert image.cel == "!(self.type == 'vllm') || (has(self.image) || self.accelerator in ['cpu'])"
    assert image.message.endswith("vLLM has a default for cpu only")
    spec = EngineSpec(accelerator="nvidia.com/gpu")
    assert not image.holds(spec)
    assert image.holds(spec.model_copy(update={"image": "example.com/mine:1"}))
    assert image.holds(spec.model_copy(update={"type": "another"}))


class TestVllmsAdmission:
    def test_it_takes_what_runs_and_what_may_wait(self) -> None:
        assert "--max-num-queued-reqs=1280" in container()["args"], "1024 are the most that run where nobody says"
        assert "--max-num-queued-reqs=320" in container(maxNumSeqs=64)["args"]

    def test_clients_learn_nothing_of_how_it_runs_and_checks_do_not_fill_its_log(self) -> None:
        arguments = {"--fingerprint-mode=none", "--disable-access-log-for-endpoints=/health,/metrics,/v1/models"}
        assert arguments <= set(container()["args"])

    @pytest.mark.parametrize(
        ("image", "newer"),
        [
            ("docker.io/vllm/vllm-openai:v0.33.0", 2),
            ("registry.example.com/mirror/vllm-openai-cpu:v0.30.0-x86", 2),
            ("docker.io/vllm/vllm-openai:v0.25.1", 1),
            ("docker.io/vllm/vllm-openai:v0.12.0", 0),
            ("docker.io/vllm/vllm-openai:nightly", 0),
            ("docker.io/vllm/vllm-openai:v0.34.0", 0),
            ("docker.io/vllm/vllm-openai@sha256:" + "a" * 64, 0),
            ("registry.example.com/assistant:v0.33.0", 0),
        ],
    )
    def test_a_release_that_may_lack_a_flag_is_not_given_it(self, image: str, newer: int) -> None:
        arguments = " ".join(container(image=image)["args"])
        assert [option in arguments for option in ("--fingerprint-mode", "--max-num-queued")].count(True) == newer


class TestWhatAnEngineLacks:
    @pytest.mark.parametrize(
        ("engine", "field", "instead"),
        [
            ({"type": "ollama", "parallelism": {"tensor": 1}}, "parallelism.tensor", "vllm, sglang, tgi, llamacpp"),
            ({"type": "llamacpp", "parallelism": {"pipeline": 2}}, "parallelism.pipeline", "vllm, sglang"),
            ({"type": "tgi", "dtype": "half"}, "dtype", "vllm, sglang"),
            ({"type": "llamacpp", "quantization": "awq"}, "quantization", "vllm, sglang, tgi"),
            ({"type": "tgi", "toolCalling": {"parser": "mistral"}}, "toolCalling.parser", "vllm, sglang"),
            (
                {"type": "ollama", "toolCalling": {"reasoningParser": "qwen3"}},
                "toolCalling.reasoningParser",
                "vllm, sglang",
            ),
            (
                {"type": "tgi", "toolCalling": {"chatTemplate": "{{ x }}"}},
                "toolCalling.chatTemplate",
                "vllm, sglang, llamacpp",
            ),
        ],
    )
    def test_it_is_not_asked_for(self, engine: dict[str, Any], field: str, instead: str) -> None:
        with pytest.raises(ValidationError) as refused:
            EngineSpec.model_validate(engine)
        assert f"engine.{field} is for engine.type {instead}; leave it out with others" in str(refused.value)

    def test_one_that_makes_no_vectors_is_no_engine_for_embeddings(self) -> None:
        with pytest.raises(
            ValidationError, match=r"embeddingEngine\.type must be one of vllm, sglang, ollama, llamacpp"
        ):
            EmbeddingEngineSpec.model_validate({"type": "tgi", "model": NEWEST})

    @pytest.mark.parametrize(
        ("kind", "model", "what"),
        [
            (
                "vllm",
                {"source": "ollama://qwen3"},
                r"must begin with hf://, pvc://, oci://, s3:// where (engine|embeddingEngine)\.type is vllm",
            ),
            ("ollama", {"source": "s3://bucket/x"}, "must begin with ollama://, hf://, pvc://, oci://"),
            ("sglang", {"source": "s3://bucket/x"}, "must begin with hf://, pvc://, oci:// where"),
            ("vllm", {**NEWEST, "file": "x.gguf"}, r"load one file \(ollama, llamacpp\)"),
            ("llamacpp", {"source": "pvc://models/llm"}, "must name the GGUF file"),
            ("ollama", {"source": "oci://a/b:1"}, "must name the GGUF file"),
            ("llamacpp", VERSIONED, r"@revision with (engine|embeddingEngine)\.type vllm, sglang, tgi"),
            ("ollama", {**NEWEST, "credentials": {"secretName": "hf"}}, "others cannot sign in"),
        ],
    )
    def test_a_model_that_it_cannot_load_is_not_given_to_it(self, kind: str, model: dict[str, Any], what: str) -> None:
        for spec in (
            {"model": model, "engine": {"type": kind}},
            {"model": NEWEST, "embeddingEngine": {"type": kind, "model": {**model, "name": "other"}}},
        ):
            with pytest.raises(ValidationError, match=what):
                LLMService.model_validate({"metadata": {"name": "demo"}, "spec": spec})

    def test_a_file_within_a_source_does_not_lead_out_of_it(self) -> None:
        for file in ("../x.gguf", "a/../../x", "/etc/passwd", "a//b", ""):
            with pytest.raises(ValidationError, match="file"):
                container({**GGUF, "file": file}, **LLAMA)

    def test_ollama_is_behind_a_network_policy_because_it_has_no_key(self) -> None:
        embedding = {"type": "ollama", "model": {"source": "hf://a/b"}}
        for spec in ({"engine": {"type": "ollama"}}, {"embeddingEngine": embedding}):
            document = {"model": NEWEST, "networking": {"networkPolicy": {"enabled": False}}, **spec}
            with pytest.raises(
                ValidationError, match=r"networking\.networkPolicy must be enabled with engine\.type ollama"
            ):
                LLMService.model_validate({"metadata": {"name": "demo"}, "spec": document})


class TestLlamaCpp:
    def test_the_file_is_within_the_source(self) -> None:
        assert container(GGUF, **LLAMA)["args"][:2] == ["--model", "/models/llm/q4/model.gguf"]
        hub = container({**NEWEST, "file": "model-Q4_K_M.gguf"}, **LLAMA)["args"]
        assert hub[:4] == ["--hf-repo", "org/model", "--hf-file", "model-Q4_K_M.gguf"]

    def test_each_slot_has_the_whole_context(self) -> None:
        arguments = container(NEWEST, **LLAMA, maxModelLen=4096, maxNumSeqs=8)["args"]
        assert arguments[arguments.index("--ctx-size") + 1 :][:3] == ["32768", "--parallel", "8"]

    def test_metrics_are_told_with_the_key_alone_which_prometheus_is_given(self) -> None:
        document = {"metadata": {"name": "demo"}, "spec": {"model": NEWEST, "engine": LLAMA}}
        service = LLMService.model_validate(document)
        (monitor,) = [
            item["spec"]["endpoints"][0]
            for item in build(service, Platform(frozenset({SERVICE_MONITOR_API})))
            if item["kind"] == "ServiceMonitor" and item["metadata"]["name"] == "demo-engine"
        ]
        assert monitor["authorization"] == {"credentials": {"name": "demo-engine-key", "key": "api-key"}}


class TestOllamasStart:
    """Its script, run by a shell with a stand-in for the program, which notes how it is called."""

    PROGRAM = """#!/bin/sh
echo "$OLLAMA_HOST $*" >>"$NOTES"
case $1 in
serve)
  [ -n "$FAILS" ] && exit 3
  [ "$OLLAMA_HOST" = :8000 ] && exit 0
  trap 'echo its server ends >>"$NOTES"; exit 0' TERM
  : >"$NOTES.up"
  while :; do sleep 0.02; done ;;
list) [ -e "$NOTES.up" ] ;;
pull) [ "$2" != missing ] ;;
esac
"""

    def notes(self, folder: Path, *arguments: str, **variables: str) -> tuple[int, list[str]]:
        (folder / "ollama").write_text(self.PROGRAM)
        (folder / "ollama").chmod(0o755)
        notes = folder / "notes"
        path = {"PATH": f"{folder}:{os.environ['PATH']}", "NOTES": str(notes), "FAILS": "", **variables}
        done = subprocess.run([*Ollama.command, *arguments], env=path, timeout=20, check=False)
        deadline = time.monotonic() + 5
        while "its server ends" not in notes.read_text() and not variables and time.monotonic() < deadline:
            time.sleep(0.01)
        lines = notes.read_text().splitlines()
        return done.returncode, [line for line in lines if not line.endswith(" list")]

    def test_it_listens_to_others_once_it_has_its_model(self, tmp_path: Path) -> None:
        alone = "127.0.0.1:11434"
        assert self.notes(tmp_path, "hf.co/org/model", "demo", "8000") == (
            0,
            [
                f"{alone} serve",
                f"{alone} pull hf.co/org/model",
                f"{alone} cp hf.co/org/model demo",
                "its server ends",
                ":8000 serve",
            ],
        )

    def test_without_its_model_it_ends(self, tmp_path: Path) -> None:
        code, lines = self.notes(tmp_path, "missing", "demo", "8000")
        assert (code, lines[-2:]) == (1, ["127.0.0.1:11434 pull missing", "its server ends"])

    def test_it_does_not_wait_for_a_server_that_ended(self, tmp_path: Path) -> None:
        assert self.notes(tmp_path, "model", "demo", "8000", FAILS="yes")[0] != 0
