"""What `make demo` shows, as assertions, and the rest of the first API through the same Service."""

import json
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import httpx
import openai
import pytest
import yaml

from hack import demo
from tests.e2e.cluster import Namespace, eventually
from tests.e2e.keys import API_KEY, KEYS

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionFunctionToolParam

ANSWER = "The result of 123 * 456 is 56088."
TIMEOUT = 120.0
SECRET_SECONDS = 150  # the kubelet looks at mounted Secrets once a minute or two
ORCHESTRATORS = "tandem.dev/llmservice=demo,tandem.dev/tier=orchestrator"
KEY = {"authorization": f"Bearer {API_KEY}"}
MATH_TOOL = cast("ChatCompletionFunctionToolParam", demo.MATH_TOOL)


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key=API_KEY, timeout=TIMEOUT, max_retries=0) as client:
        yield client


def test_get_shows_ready_and_url(service: Namespace) -> None:
    header, row = service.kubectl("get", "llm", "demo").splitlines()
    assert header.split() == ["NAME", "MODEL", "ENGINE", "GPUS", "READY", "URL", "AGE"]
    assert "True" in row.split()
    assert f"http://demo.{service.name}.svc" in row


def test_every_condition_is_of_the_newest_spec(service: Namespace) -> None:
    described = service.kubectl("describe", "llm", "demo")
    for kind in ("Ready", "Reconciling", "Stalled", "ModelReady", "EngineReady", "OrchestratorReady"):
        assert kind in described
        assert service.condition("demo", kind), f"{kind} is stale"


def test_prompt_logprobs_are_answered_and_the_engine_lives_on(client: openai.OpenAI) -> None:
    for _ in range(2):
        answer = client.chat.completions.create(
            model="tandem-demo",
            messages=[{"role": "user", "content": "Hello"}],
            max_tokens=4,
            extra_body={"prompt_logprobs": 1},
        )
        first, *others = (answer.model_extra or {})["prompt_logprobs"]
        assert first is None, "nothing comes before the first token"
        assert others
        assert all(others)


def test_nothing_is_answered_without_a_key(url: str) -> None:
    chat = {"model": "tandem-demo", "messages": [{"role": "user", "content": "Hello"}]}
    for headers in ({}, {"authorization": "Bearer tk-wrong"}, {"x-api-key": API_KEY[:-1]}):
        answer = httpx.post(f"{url}/v1/chat/completions", json=chat, headers=headers, timeout=TIMEOUT)
        assert answer.status_code == 401
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert httpx.get(f"{url}/v1/models", timeout=TIMEOUT).status_code == 401
    other = httpx.get(f"{url}/v1/models", headers={"x-api-key": API_KEY}, timeout=TIMEOUT)
    assert other.status_code == 200


def test_a_key_that_is_added_to_the_secret_counts_without_a_restart(service: Namespace, url: str) -> None:
    def rollouts() -> set[str]:
        return {pod.rpartition("-")[0] for pod in service.names("pods", ORCHESTRATORS)}

    before = rollouts()
    added = f"tk-{uuid.uuid4().hex}"
    keys = [*KEYS, {"name": "new", "key": added}]
    patch = {"stringData": {"keys.yaml": yaml.safe_dump(keys)}}
    service.kubectl("patch", "secret", "team-keys", "--type=merge", f"--patch={json.dumps(patch)}")

    def counts() -> bool:
        answer = httpx.get(f"{url}/v1/models", headers={"x-api-key": added}, timeout=TIMEOUT)
        return answer.status_code == 200

    eventually(counts, within=SECRET_SECONDS, what="the new key is taken")
    assert rollouts() == before


def test_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="tandem-demo",
        messages=[{"role": "user", "content": "What is the capital of France?"}],
        temperature=0,
    )
    assert answer.choices[0].message.content == "The capital of France is Paris."


def test_tool_call_runs_on_the_server(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="tandem-demo",
        messages=[{"role": "user", "content": "Calculate 123 * 456"}],
        tools=[MATH_TOOL],
        temperature=0,
    )
    assert answer.choices[0].message.content == ANSWER
    assert answer.choices[0].finish_reason == "stop"


def test_streamed_tool_call(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="tandem-demo",
        messages=[{"role": "user", "content": "Calculate 123 * 456"}],
        tools=[MATH_TOOL],
        temperature=0,
        stream=True,
    )
    text = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    assert "".join(text) == ANSWER
    assert len(text) > 3, "the answer came in one piece"


def test_simple_chat(url: str) -> None:
    good = httpx.post(
        f"{url}/chat",
        json={"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50},
        headers=KEY,
        timeout=TIMEOUT,
    )
    assert good.status_code == 200
    assert set(good.json()) == {"content", "finish_reason"}
    wizard = {"messages": [{"role": "wizard", "content": "Hello"}]}
    bad = httpx.post(f"{url}/chat", json=wizard, headers=KEY, timeout=TIMEOUT)
    assert bad.status_code == 422


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["tandem-demo"]


def test_metrics_count_the_tool_calls(service: Namespace, url: str, client: openai.OpenAI) -> None:
    test_tool_call_runs_on_the_server(client)
    assert httpx.get(f"{url}/metrics", timeout=TIMEOUT).status_code == 404
    counted = []
    for pod in service.names("pods", "tandem.dev/tier=orchestrator"):
        with service.forward(pod, 8002) as inside:
            counted.append(httpx.get(f"{inside}/metrics", timeout=TIMEOUT).text)
    assert any('tool_calls_total{status="success",tool_name="calculate_math"}' in metrics for metrics in counted)


def test_the_engine_refuses_who_has_no_key(service: Namespace) -> None:
    # From where its NetworkPolicy admits; `kubectl port-forward` ends at the pod's loopback, where it does not listen.
    ask = "from http.client import *; c = HTTPConnection('demo-engine', 8000); c.request('GET', '/v1/models')"
    answer = f"{ask}; print(c.getresponse().status)"
    assert service.kubectl("exec", "deployment/demo-orchestrator", "--", "python3", "-c", answer).strip() == "401"
