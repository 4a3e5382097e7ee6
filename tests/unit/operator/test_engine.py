"""The engine's container: what vLLM is told, and what its pod may do."""

from typing import Any

import pytest
from pydantic import ValidationError
from tandem_operator.api.engine import EngineSpec, rules_of
from tandem_operator.api.llmservice import LLMService
from tandem_operator.engines import ENGINES
from tandem_operator.engines.base import EngineType
from tandem_operator.engines.vllm import Vllm
from tandem_operator.manifests import Platform, build


def container(**engine: Any) -> dict[str, Any]:
    spec = {"model": {"source": "hf://org/model@v1"}, "engine": engine}
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
            assert container(**document)["image"] == engine.images[accelerator]
        else:
            with pytest.raises(ValidationError, match=r"engine\.image is needed"):
                EngineSpec.model_validate(document)


def test_an_engine_with_one_image_asks_for_others_in_its_own_name_alone() -> None:
    class Small(Vllm):
        images = {"cpu": "example.com/small:1"}  # noqa: RUF012 # as in Vllm

    image, *_ = rules_of(EngineType.VLLM, Small())
    assert image.cel == "!(self.type == 'vllm') || (has(self.image) || self.accelerator in ['cpu'])"
    assert image.message.endswith("there is a default for cpu only")
    spec = EngineSpec(accelerator="nvidia.com/gpu")
    assert not image.holds(spec)
    assert image.holds(spec.model_copy(update={"image": "example.com/mine:1"}))
    assert image.holds(spec.model_copy(update={"type": "another"}))
