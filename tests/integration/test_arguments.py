"""What an LLMService may tell its pods' processes: the API server and the operator judge alike."""

import asyncio
from collections.abc import Iterator
from itertools import cycle
from typing import Any

import pytest
from pydantic import ValidationError
from tandem_operator.api.llmservice import LLMService
from tandem_operator.engines.base import EngineType
from tandem_operator.kube.api import ApiError
from tandem_operator.kube.resources import LLM_SERVICE

from tests.integration.cluster import Kubernetes
from tests.unit.operator.test_owned import ADMITTED, REFUSED
from tests.vllm_parser import ENDS, OPTIONS

SOURCE = {"model": {"source": "hf://org/model"}}
ADAPTED = {"source": "pvc://claim", "name": "b", "adapters": [{"name": "legal", "source": "pvc://adapters/legal"}]}
OPEN = {"networking": {"networkPolicy": {"enabled": False}}}


async def refused_by_the_api_server(kubernetes: Kubernetes, namespace: str, spec: dict[str, Any]) -> str | None:
    """What the API server says against a spec, which it only tries."""
    service = {
        "apiVersion": LLM_SERVICE.api_version,
        "kind": LLM_SERVICE.kind,
        "metadata": {"name": "demo"},
        "spec": {**SOURCE, **spec},
    }
    try:
        await kubernetes._request("POST", LLM_SERVICE.path(namespace), {"dryRun": "All"}, service)
    except ApiError as error:
        if error.status != 422:
            raise
        return str(error)
    return None


def refused_by_the_operator(spec: dict[str, Any]) -> str | None:
    try:
        LLMService.model_validate({"metadata": {"name": "demo"}, "spec": {**SOURCE, **spec}})
    except ValidationError as error:
        return str(error)
    return None


async def judged_alike(kubernetes: Kubernetes, namespace: str, specs: list[dict[str, Any]]) -> int:
    """How many of these specs both refuse; they must agree on each."""
    verdicts = await asyncio.gather(*(refused_by_the_api_server(kubernetes, namespace, spec) for spec in specs))
    by_operator = [refused_by_the_operator(spec) for spec in specs]
    assert [s for s, a, b in zip(specs, verdicts, by_operator, strict=True) if (a is None) != (b is None)] == []
    return sum(verdict is not None for verdict in verdicts)


def spellings() -> Iterator[str]:
    """Every option of vLLM: whole, shortened or with underscores, and with one end or another."""
    ends = cycle(ENDS)
    for number, name in enumerate(name for option in OPTIONS for name in option):
        forms = (name, name[: 2 + number % 14], name[:2] + name[2:].replace("-", "_"))
        yield forms[number % 3] + next(ends)
    for end in ENDS:
        yield from (f"--api-key{end}", f"--model{end}", f"-tp{end}", f"-O{end}", f"-{end}", f"--{end}")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--api_key="],
        ["--served_model_name=x"],
        ["--tensor_parallel_size=2"],
        ["--api-k=x"],
        ["-tp", "2"],
        ["-t", "2"],
        ["--config=/cache/vllm.yaml"],
        ["--seed", "1", "--api-key=x\n"],
        ["--api-key.a=x"],
        ["--seed.a", "-O--api-key=x"],
        ["$(A)"],
        ["--seed.a", "-O=$(A)"],
    ],
)
async def test_an_argument_of_the_operators_is_refused(
    kubernetes: Kubernetes, namespace: str, arguments: list[str]
) -> None:
    said = await refused_by_the_api_server(kubernetes, namespace, {"engine": {"extraArgs": arguments}})
    assert "spec.engine.extraArgs: Invalid value" in str(said)
    assert "engine.extraArgs must not" in str(said)


async def test_arguments_are_judged_alike(kubernetes: Kubernetes, namespace: str) -> None:
    specs = [{"engine": {"extraArgs": [argument, "x"]}} for argument in spellings()]
    assert 100 < await judged_alike(kubernetes, namespace, specs) < len(specs) - 100


async def test_other_engines_are_judged_alike(kubernetes: Kubernetes, namespace: str) -> None:
    own = {"accelerator": "cpu", "image": "example.com/engine:1"}
    specs: list[dict[str, Any]] = [
        {"engine": {"type": kind, **own, "extraArgs": [argument, "x"]}} for kind, argument in REFUSED
    ]
    specs += [{"engine": {"type": kind, **own, "extraArgs": arguments}} for kind, arguments in ADMITTED.items()]
    fields: tuple[dict[str, Any], ...] = (
        {"parallelism": {"tensor": 2}},
        {"parallelism": {"pipeline": 2}},
        {"dtype": "half"},
        {"quantization": "awq"},
        {"toolCalling": {"parser": "mistral"}},
        {"toolCalling": {"parser": "hermes"}},
        {"toolCalling": {"reasoningParser": "qwen3"}},
        {"toolCalling": {"chatTemplate": "{{ x }}"}},
        {"env": [{"name": "LLAMA_ARG_TOOLS", "value": "all"}]},
        {"env": [{"name": "OLLAMA_HOST", "value": ":1"}]},
        {"env": [{"name": "API_KEY", "value": "x"}]},
    )
    models: tuple[dict[str, Any], ...] = (
        {"source": "hf://a/b@v1", "name": "b"},
        {"source": "hf://a/b", "credentials": {"secretName": "hf"}},
        {"source": "hf://a/b", "file": "b.gguf"},
        {"source": "pvc://claim/folder"},
        {"source": "pvc://claim/folder", "file": "a/b.gguf"},
        {"source": "oci://registry/image:1"},
        {"source": "s3://bucket/x"},
        {"source": "ollama://qwen3:0.6b", "name": "qwen3"},
    )
    for kind in EngineType:
        specs += [{"engine": {"type": kind, **own, **each}} for each in fields]
        specs += [{"engine": {"type": kind, **own}, "model": model} for model in models]
        specs += [{"embeddingEngine": {"type": kind, **own, "model": model}} for model in models]
        specs.append({"engine": {"type": kind, **own}, **OPEN})
        specs.append({"engine": {"type": kind, **own}, "model": ADAPTED, **OPEN})
        each = {"type": kind, **own, "model": ADAPTED}
        specs += [{"embeddingEngine": each, **OPEN}, {"additionalEngines": {"other": each}, **OPEN}]
        specs.append({"engine": {"type": kind}})
        specs.append({"engine": {"type": kind, "accelerator": "amd.com/gpu"}})
    assert await judged_alike(kubernetes, namespace, specs) > len(REFUSED) + 50


async def test_as_many_arguments_as_a_spec_can_hold_are_judged(kubernetes: Kubernetes, namespace: str) -> None:
    arguments = ["--seed=" + "x" * 4089] * 64
    assert await judged_alike(kubernetes, namespace, [{"engine": {"extraArgs": arguments}}]) == 0
    arguments[-1] = "-" + "x" * 4095
    assert await judged_alike(kubernetes, namespace, [{"engine": {"extraArgs": arguments}}]) == 0


async def test_variables_are_judged_alike(kubernetes: Kubernetes, namespace: str) -> None:
    owned = ["VLLM_API_KEY", "VLLM_PORT", "VLLM_HOST_IP", "VLLM_DP_SIZE", "VLLM_SERVER_DEV_MODE", "VLLM_URL"]
    owned += ["MODEL_ID", "API_KEYS", "DATABASE_URL", "REDIS_URL", "WORKERS", "TANDEM_DATABASE__URL", "TANDEM_X"]
    names = [form for name in owned for form in (name, name.lower(), name.title(), f"{name}_", f"X{name}", name[:-1])]
    for tier, refused in (("engine", 5 + 1), ("orchestrator", 30)):
        specs = [{tier: {"env": [{"name": name, "value": "x"}]}} for name in names]
        assert await judged_alike(kubernetes, namespace, specs) >= refused


async def test_a_setting_by_environment_is_refused_with_the_place_where_it_belongs(
    kubernetes: Kubernetes, namespace: str
) -> None:
    for name in ("TANDEM_DATABASE__URL", "tandem_database__url", "DATABASE_URL", "TANDEM_SERVER__METRICS_PORT"):
        env = [{"name": name, "value": "postgresql://me:hush@db/x"}]
        said = await refused_by_the_api_server(kubernetes, namespace, {"orchestrator": {"env": env}})
        assert "spec.orchestrator.env: Invalid value" in str(said)
        assert "orchestrator.config" in str(said)
