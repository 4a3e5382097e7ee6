"""Chat and embeddings by real vLLM and a small fallback by llama.cpp, in one LLMService; the fallback answers while the
main engine restarts.
"""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from hack import images
from tests.e2e.cluster import Json, Namespace, eventually
from tests.e2e.conftest import ENGINE_SECONDS
from tests.e2e.keys import API_KEY

MAIN, SMALL, VECTORS = "tandem-demo", "small", "minilm"
MAIN_POD = "tandem.dev/llmservice=demo,tandem.dev/tier=engine"
TIMEOUT = 120.0
TOLD_SECONDS = 120
CPU: Json = {
    "accelerator": "cpu",
    "dtype": "float32",
    "extraArgs": ["--enforce-eager"],
    "env": [{"name": "VLLM_CPU_KVCACHE_SPACE", "value": "1"}],
    "resources": {"requests": {"cpu": "200m", "memory": "3Gi"}, "limits": {"memory": "6Gi"}},
}
ENGINES: Json = {
    "fallback": {
        "type": "llamacpp",
        "accelerator": "cpu",
        "image": images.reference("llamacpp"),
        "model": {"source": f"oci://{images.reference('demo-gguf')}", "file": "model.gguf", "name": SMALL},
        "maxModelLen": 1024,
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
    },
    "vectors": {
        **CPU,
        "model": {"source": f"oci://{images.reference('minilm')}", "name": VECTORS},
        "task": "embed",
    },
}


@pytest.fixture(scope="module")
def engines(service: Namespace) -> Iterator[Namespace]:
    """The demo with two more engines, which go again."""
    service.change("demo", {"model": {"fallback": "fallback"}, "additionalEngines": ENGINES})
    eventually(lambda: all_serve(service), within=2 * ENGINE_SECONDS, what="three engines serve")
    yield service
    service.change("demo", {"model": {"fallback": None}, "additionalEngines": None})
    eventually(lambda: left(service) == [], within=180, what="the engines and all that is theirs are gone")
    eventually(lambda: service.is_ready("demo"), within=ENGINE_SECONDS, what="the demo is as it was")


def all_serve(service: Namespace) -> bool:
    return {status_of(service, kind) for kind in ("Ready", "AdditionalEnginesReady")} == {"True"}


def status_of(service: Namespace, kind: str) -> str | None:
    return service.condition("demo", kind).get("status")


def left(service: Namespace) -> list[str]:
    """What there is of the additional engines."""
    kinds = "deployments,pods,services,networkpolicies,poddisruptionbudgets,serviceaccounts"
    return [found for name in ENGINES for found in service.names(kinds, f"tandem.dev/tier={name}")]


@pytest.fixture
def client(engines: Namespace) -> Iterator[openai.OpenAI]:
    with (
        engines.forward("service/demo", 80) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key=API_KEY, timeout=TIMEOUT, max_retries=0) as client,
    ):
        yield client


def answered_by(client: openai.OpenAI, model: str = MAIN) -> str:
    """The model that has answered a question to another, or to itself."""
    question: Any = [{"role": "user", "content": "What is the capital of France?"}]
    answer = client.chat.completions.create(model=model, messages=question, temperature=0, max_tokens=16)
    assert answer.choices[0].message.content
    return answer.model


def test_each_model_is_served_under_its_name(engines: Namespace, client: openai.OpenAI) -> None:
    def known() -> bool:
        return {MAIN, SMALL, VECTORS} <= {model.id for model in client.models.list()}

    eventually(known, within=TOLD_SECONDS, what="the orchestrator lists all models")
    assert [answered_by(client, model) for model in (MAIN, SMALL)] == [MAIN, SMALL]
    near, far, asked = (
        entry.embedding
        for entry in client.embeddings.create(
            model=VECTORS, input=["Paris is in France.", "Never wipe a mirror.", "Where is Paris?"]
        ).data
    )
    assert similarity(near, asked) > similarity(far, asked)
    status = (engines.get("llmservice", "demo") or {})["status"]
    assert [(each["name"], each["model"], each["readyReplicas"]) for each in status["additionalEngines"]] == [
        ("fallback", SMALL, 1),
        ("vectors", VECTORS, 1),
    ]


def similarity(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_the_fallback_answers_while_the_main_engine_restarts(engines: Namespace, client: openai.OpenAI) -> None:
    (old,) = engines.names("pods", MAIN_POD)
    assert answered_by(client) == MAIN
    engines.kubectl("rollout", "restart", "deployment/demo-engine")
    eventually(lambda: answered_by(client) == SMALL, within=180, what="the fallback has answered")
    eventually(lambda: status_of(engines, "EngineReady") == "False", within=30, what="the service tells which is away")
    assert status_of(engines, "AdditionalEnginesReady") == "True"
    eventually(lambda: answered_by(client) == MAIN, within=ENGINE_SECONDS, what="the main engine has answered again")
    eventually(lambda: old not in engines.names("pods", MAIN_POD), within=TOLD_SECONDS, what="the old pod is gone")
    eventually(lambda: all_serve(engines), within=TOLD_SECONDS, what="the service tells that all serve")
