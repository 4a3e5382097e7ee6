"""How many accelerators an engine gets, and what is told of it."""

from collections.abc import Sequence
from typing import Any

import pytest
from tandem_operator.api.component import EngineComponent
from tandem_operator.api.llmservice import LLMService
from tandem_operator.sizing.asked import is_sized, told_shape, wanted
from tandem_operator.sizing.decision import Decision, Evidence, decide, resting
from tandem_operator.sizing.gpu import Gpu
from tandem_operator.sizing.nodes import NodeGpus
from tandem_operator.sizing.record import recorded
from tandem_operator.sizing.shape import ModelShape

GIB = 2**30
LARGE = "hf://meta-llama/Llama-3.3-70B-Instruct"
"""141 GB of weights, which is known without its files."""
UNKNOWN = "hf://org/model"
H100 = NodeGpus("h100", Gpu("NVIDIA-H100-80GB-HBM3", int(79.6 * GIB)), 8)
L4 = NodeGpus("l4", Gpu("NVIDIA-L4", 22 * GIB), 1)
FIGURES = {
    "weights": "15Gi",
    "layers": 36,
    "attentionHeads": 32,
    "kvHeads": 8,
    "kvBytesPerToken": 147_456,
    "contextLength": 40_960,
}
UNSIZED: dict[str, Any] = {"kind": "Deployment", "metadata": {"name": "demo-engine"}}


def service(source: str = LARGE, model: Any = (), engine: Any = (), **spec: Any) -> LLMService:
    spec = {"model": {"source": source, **dict(model)}, "engine": dict(engine), **spec}
    return LLMService.model_validate({"metadata": {"name": "demo"}, "spec": spec})


def engine_of(source: str = LARGE, model: Any = (), **engine: Any) -> EngineComponent:
    return service(source, model, engine).engine


def decided(component: EngineComponent, nodes: Sequence[NodeGpus] = (H100,), **evidence: Any) -> Decision:
    return decide(component, Evidence(**{"shape": told_shape(component), "nodes": nodes, **evidence}))


def deployed(component: EngineComponent, decision: Decision) -> dict[str, Any]:
    """The Deployment of an engine that got what was decided."""
    assert decision.record
    return recorded(UNSIZED, {component.name: decision.record})


def known_shape() -> ModelShape:
    found = told_shape(engine_of())
    assert found
    return found


TABLE: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, bool | None, bool, int | None]]] = {
    # engine, evidence: reason, fits, terminal, accelerators
    "stated and it fits": ({"gpus": 4}, {}, ("Stated", True, False, 4)),
    "tensor alone is a statement": ({"parallelism": {"tensor": 4}}, {}, ("Stated", True, False, 4)),
    "stated, the weights fit and no context": ({"gpus": 2, "maxNumSeqs": 4096}, {}, ("DoesNotFit", False, False, 2)),
    "stated, too few for the weights, not yet made": ({"gpus": 1}, {}, ("DoesNotFit", False, True, None)),
    "the same, and runs": ({"gpus": 1}, {"deployment": UNSIZED}, ("DoesNotFit", False, False, 1)),
    "the same, quantized as it loads": ({"gpus": 1, "quantization": "fp8"}, {}, ("DoesNotFit", False, False, 1)),
    "the same, some in memory": (
        {"gpus": 1, "extraArgs": ["--cpu-offload-gb", "99"]},
        {},
        ("DoesNotFit", False, False, 1),
    ),
    "stated, no nodes": ({"gpus": 1}, {"nodes": ()}, ("NotEstimated", None, False, 1)),
    "stated, unknown model": ({"gpus": 3}, {"shape": None}, ("NotEstimated", None, False, 3)),
    "left open, runs since before there was sizing": ({}, {"deployment": UNSIZED}, ("NotSized", None, False, 1)),
    "auto, runs since before there was sizing": ({"gpus": "auto"}, {"deployment": UNSIZED}, ("Sized", True, False, 2)),
    "left open, no nodes": ({}, {"nodes": ()}, ("AcceleratorUnknown", None, False, 1)),
    "auto, no nodes": ({"gpus": "auto"}, {"nodes": ()}, ("AcceleratorUnknown", None, True, None)),
    "left open": ({}, {}, ("Sized", True, False, 2)),
    "memory in the spec": ({"gpuMemory": "178Gi"}, {"nodes": ()}, ("Sized", True, False, 1)),
    "auto, unknown model": ({"gpus": "auto"}, {"shape": None}, ("Inspecting", None, False, None)),
    "left open, unknown model": ({}, {"shape": None}, ("Inspecting", None, False, None)),
    "auto, no metadata": (
        {"gpus": "auto"},
        {"shape": None, "problem": "no config.json"},
        ("MetadataMissing", None, True, None),
    ),
    "left open, no metadata": ({}, {"shape": None, "problem": "no config.json"}, ("MetadataMissing", None, False, 1)),
    "no node is large enough": ({"gpus": "auto"}, {"nodes": (L4,)}, ("DoesNotFit", False, True, None)),
}


@pytest.mark.parametrize(("engine", "evidence", "expected"), TABLE.values(), ids=TABLE.keys())
def test_what_an_engine_gets(engine: Any, evidence: Any, expected: tuple[str, bool | None, bool, int | None]) -> None:
    found = decided(engine_of(**engine), **evidence)
    assert (found.reason, found.fits, found.terminal, found.spec and found.spec.gpu_count) == expected, found.message
    assert (found.record is not None) == (found.reason == "Sized")


def test_what_is_decided_is_told_with_its_arithmetic_and_filled_in() -> None:
    found = decided(engine_of(gpuMemory="79Gi"), nodes=())
    assert found.message.startswith("fits 2 × 79.00 GiB GPU: tensor 2, maxModelLen 8192, ")
    assert found.spec
    assert (found.spec.gpus, found.spec.parallelism.tensor, found.spec.max_model_len) == (2, 2, 8192)
    whole = decided(engine_of("hf://Qwen/Qwen3-8B")).spec
    assert whole
    assert (whole.gpus, whole.max_model_len) == (1, None), "the model's own context fits"


def test_a_context_that_the_model_has_and_its_accelerators_have_not_is_cut() -> None:
    found = decided(engine_of(source="hf://Qwen/Qwen3-32B"))
    assert found.spec
    assert (found.spec.gpus, found.spec.max_model_len) == (1, 25_600)
    asked = decided(engine_of(source="hf://Qwen/Qwen3-32B", maxModelLen=40_960))
    assert asked.spec
    assert (asked.spec.gpus, asked.spec.max_model_len) == (2, 40_960)


def test_what_does_not_fit_is_refused_with_the_numbers_and_a_remedy() -> None:
    stated = decided(engine_of(gpus=1)).message
    assert "does not fit 1 × NVIDIA-H100-80GB-HBM3" in stated
    assert "weights 131.42 GiB" in stated
    assert stated.endswith("raise spec.engine.gpus or set it to auto")
    asked = engine_of(gpus="auto", maxModelLen=131_073)
    assert decided(asked).message.endswith("ask for less; a number in spec.engine.gpus overrules this")


def test_a_replica_is_one_pod_so_that_a_plan_over_several_nodes_is_refused() -> None:
    found = decided(engine_of(gpus="auto"), nodes=(NodeGpus("two", Gpu("A100", 39 * GIB), 2),))
    assert (found.reason, found.fits, found.terminal, found.spec) == ("DoesNotFit", False, True, None)
    assert "tensor 2, pipeline 3 on 3 nodes" in found.message
    assert "a replica is one pod, on a node that has 2 of them; choose larger GPUs" in found.message


def test_the_smallest_accelerators_that_there_are_decide() -> None:
    found = decided(engine_of(source="hf://Qwen/Qwen3-8B"), nodes=(H100, L4))
    assert found.record
    assert (found.record.gpu, found.record.gpus_per_node) == ("NVIDIA-L4", 1)


def test_a_model_that_is_looked_at_is_waited_for_and_what_holds_that_up_is_told() -> None:
    found = decided(engine_of(UNKNOWN), held_up="demo-engine-inspect-0-x: 0/3 nodes are available")
    assert found.waits_for_files
    assert found.message == (
        "hf://org/model is looked at, to size the engine: demo-engine-inspect-0-x: 0/3 nodes are available"
    )
    without = decided(engine_of(UNKNOWN, gpus="auto"), problem="the hub answers 503")
    assert without.waits_for_files, "it is tried again"
    assert "the hub answers 503; set spec.model.figures, or a number in spec.engine.gpus" in without.message


def test_figures_stand_for_the_models_files() -> None:
    component = engine_of(UNKNOWN, {"figures": FIGURES})
    shape = told_shape(component)
    assert shape
    assert (shape.weights, shape.bytes_per_token, shape.context) == (15 * GIB, 147_456, 40_960)
    assert decided(component).message.startswith("fits 1 × NVIDIA-H100-80GB-HBM3: tensor 1, maxModelLen 40960, ")
    odd = told_shape(engine_of(UNKNOWN, {"figures": FIGURES | {"kvBytesPerToken": 7, "layers": 80}}))
    assert odd
    assert odd.bytes_per_token == 7


CHANGES: dict[str, tuple[Any, Any]] = {
    "source": ({}, {}),
    "figures": ({"figures": FIGURES}, {}),
    "nodeSelector": ({}, {"nodeSelector": {"pool": "a"}}),
    "maxModelLen": ({}, {"maxModelLen": 4096}),
    "maxNumSeqs": ({}, {"maxNumSeqs": 8}),
    "gpuMemory": ({}, {"gpuMemory": "40Gi"}),
    "accelerator": ({}, {"accelerator": "amd.com/gpu"}),
    "pipeline": ({}, {"parallelism": {"pipeline": 2}}),
    "extraArgs": ({}, {"extraArgs": ["--gpu-memory-utilization=0.5"]}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_decision_is_made_anew_where_what_it_went_by_changes(name: str) -> None:
    source = "hf://Qwen/Qwen3-8B"
    before = engine_of(source, gpus="auto")
    deployment = deployed(before, decided(before))
    model, engine = CHANGES[name]
    after = engine_of(LARGE if name == "source" else source, model, **{"gpus": "auto", **engine})
    assert decided(after, deployment=deployment, shape=None, nodes=(L4,)).reason == "Inspecting"
    assert decided(before, deployment=deployment, shape=None, nodes=(L4,)).reason == "Sized", "the test works"


@pytest.mark.parametrize("evidence", [{"nodes": ()}, {"nodes": (L4,)}, {"shape": None, "problem": "the hub is away"}])
def test_what_was_decided_holds_whatever_nodes_there_are_and_without_the_hub(evidence: Any) -> None:
    component = engine_of(gpus="auto")
    first = decided(component)
    again = decided(component, deployment=deployed(component, first), **evidence)
    assert again == first


def test_what_was_decided_holds_though_the_arithmetic_of_today_says_no_and_that_is_told() -> None:
    component = engine_of()
    first = decided(component)
    assert first.record
    tight = first.record.model_copy(update={"gpu_memory": 30 * GIB})
    found = decided(component, deployment=recorded(UNSIZED, {component.name: tight}))
    assert (found.reason, found.fits, found.terminal) == ("DoesNotFit", False, False)
    assert found.record == tight
    assert found.spec == first.spec
    assert found.message.startswith("keeps the 2 of NVIDIA-H100-80GB-HBM3 that it was given, though by now: ")


@pytest.mark.parametrize("evidence", [{"nodes": ()}, {"shape": None, "problem": "the hub is away"}])
def test_an_engine_that_was_sized_does_not_lose_its_accelerators_for_want_of_evidence(evidence: Any) -> None:
    before, after = engine_of(), engine_of(extraArgs=["--seed=7"])
    found = decided(after, deployment=deployed(before, decided(before)), **evidence)
    assert (found.spec, found.terminal) == (None, True)


def test_a_suspended_engine_keeps_its_record_until_it_is_decided_again() -> None:
    before, after = engine_of(), engine_of(UNKNOWN)
    first = decided(before)
    found = resting(after, deployed(before, first))
    assert (found.reason, found.fits, found.record) == ("Suspended", None, first.record)
    assert found.spec
    assert found.spec.gpu_count == 2
    assert resting(after, UNSIZED).spec == after.spec


@pytest.mark.parametrize(
    ("arguments", "utilization", "kv_bytes"),
    [
        ([], 0.92, 2),
        (["--gpu-memory-utilization=0.5"], 0.5, 2),
        (["--gpu-memory-utilization", "0.5", "--gpu_memory_utilization", ".7"], 0.7, 2),
        (["--gpu-memory-utilization=1.0"], 1.0, 2),
        (["--gpu-memory-utilization=7"], 0.92, 2),
        (["--kv-cache-dtype=fp8"], 0.92, 1),
        (["--kv-cache-dtype", "fp8_e4m3"], 0.92, 1),
        (["--kv-cache-dtype=auto"], 0.92, 2),
    ],
)
def test_arguments_of_the_engine_count(arguments: list[str], utilization: float, kv_bytes: int) -> None:
    asked = wanted(engine_of(extraArgs=arguments), 8)
    assert (asked.utilization, asked.kv_bytes) == (utilization, kv_bytes)


@pytest.mark.parametrize(
    ("arguments", "context"),
    [
        (["--max-model-len=4096"], 4096),
        (["--max_model_len", "8192", "--max-model-len", "16k"], 16_000),
        (["--max-model-len=16K"], 16_384),
        (["--max-model-len=25.6k"], 25_600),
        (["--max-model-len=auto"], None),
        (["--max-model-len=-1"], None),
        (["--max-model-len=0"], None),
        (["--served-max-model-len=7"], None),
    ],
)
def test_a_length_among_the_arguments_counts(arguments: list[str], context: int | None) -> None:
    assert wanted(engine_of(extraArgs=arguments), 8).context == context


def test_sglangs_arguments_count_as_well() -> None:
    asked = wanted(engine_of(type="sglang", extraArgs=["--mem-fraction-static", "0.8", "--context-length=4096"]), 8)
    assert (asked.utilization, asked.context) == (0.8, 4096)


def test_an_additional_engine_is_decided_for_itself_and_named_in_messages() -> None:
    additional = {"small": {"model": {"source": UNKNOWN}, "gpus": 1}}
    (found,) = service(additionalEngines=additional).additional
    decision = decide(found, Evidence(shape=known_shape(), nodes=(H100,)))
    assert decision.message.endswith("raise spec.additionalEngines.small.gpus or set it to auto")


def test_only_engines_that_hold_a_whole_model_on_accelerators_are_sized() -> None:
    embedding = service(embeddingEngine={"model": {"source": UNKNOWN}, "accelerator": "nvidia.com/gpu"}).embedding
    assert embedding
    file = {"file": "model.gguf"}
    external = {"type": "external", "external": {"url": "http://there/v1"}}
    at_rest = LLMService.model_validate(
        {"metadata": {"name": "demo"}, "spec": {"model": {"name": "m"}, "engine": external}}
    )
    assert [is_sized(engine_of()), is_sized(engine_of(type="sglang"))] == [True, True]
    others = (
        embedding,
        at_rest.engine,
        engine_of(accelerator="cpu"),
        engine_of(UNKNOWN, file, type="llamacpp"),
        engine_of(type="tgi"),
    )
    assert [is_sized(each) for each in others] == [False] * 5
