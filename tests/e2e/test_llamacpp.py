"""A second real engine: llama.cpp's server runs the demo model, behind the same operator and orchestrator."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import openai
import pytest
import yaml

from hack import demo, images
from tests.e2e.cluster import Json, Namespace, eventually, refused
from tests.e2e.conftest import new_namespace

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionFunctionToolParam

MODEL = "tandem-demo"
READY_SECONDS = 200
TIMEOUT = 120.0
SCHEMA: Json = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "large": {"type": "boolean"}},
    "required": ["city", "large"],
    "additionalProperties": False,
}


def llmservice(**engine: object) -> Json:
    """The service as a user would write it, on a machine without a GPU."""
    return {
        "apiVersion": "tandem.dev/v1alpha1",
        "kind": "LLMService",
        "metadata": {"name": "gguf"},
        "spec": {
            "model": {"source": f"oci://{images.reference('demo-gguf')}", "file": "model.gguf", "name": MODEL},
            "engine": {
                "type": "llamacpp",
                "accelerator": "cpu",
                "image": images.reference("llamacpp"),
                "maxModelLen": 1024,
                "maxNumSeqs": 2,
                "resources": {"requests": {"cpu": "200m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
                **engine,
            },
            "orchestrator": {
                "replicas": {"min": 1, "max": 1},
                "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
            },
        },
    }


@pytest.fixture(scope="module")
def own_namespace() -> Iterator[Namespace]:
    yield from new_namespace()


@pytest.fixture(scope="module")
def gguf(own_namespace: Namespace) -> Namespace:
    """The namespace in which the service is ready."""
    own_namespace.apply(llmservice())
    eventually(lambda: own_namespace.is_ready("gguf"), within=READY_SECONDS, what="llama.cpp serves")
    return own_namespace


@pytest.fixture
def client(gguf: Namespace) -> Iterator[openai.OpenAI]:
    with (
        gguf.forward("service/gguf", 80) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", timeout=TIMEOUT, max_retries=0) as client,
    ):
        yield client


def test_it_chats(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]
    chunks = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "What is the capital of France?"}],
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    text, usage = [], None
    for chunk in chunks:
        text += [choice.delta.content or "" for choice in chunk.choices]
        usage = chunk.usage or usage
    assert "".join(text) == "The capital of France is Paris."
    assert usage
    assert usage.completion_tokens > 3


def test_a_tool_of_the_server_runs(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Calculate 123 * 456"}],
        tools=[cast("ChatCompletionFunctionToolParam", demo.MATH_TOOL)],
        temperature=0,
    )
    assert answer.choices[0].message.content == "The result of 123 * 456 is 56088."


def test_a_tool_of_the_client_s_is_called(client: openai.OpenAI) -> None:
    function = {**cast("Json", demo.MATH_TOOL["function"]), "name": "add_numbers"}
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Calculate 123 * 456"}],
        tools=[cast("ChatCompletionFunctionToolParam", {"type": "function", "function": function})],
        tool_choice="required",
        temperature=0,
    )
    (call,) = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "add_numbers"
    assert json.loads(call.function.arguments).keys() == {"expression"}


def test_an_answer_keeps_to_a_schema(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "What is the capital of France?"}],
        response_format={"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA, "strict": True}},
        temperature=0,
        max_tokens=60,
    )
    found = json.loads(answer.choices[0].message.content or "")
    assert found.keys() == {"city", "large"}
    assert isinstance(found["large"], bool)


def test_an_answer_waits_for_an_engine_that_is_recreated(gguf: Namespace, client: openai.OpenAI) -> None:
    gguf.kubectl("delete", "pods", "--selector=tandem.dev/tier=engine", "--wait=false", "--grace-period=1")
    test_it_chats(client)


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        ({"extraArgs": ["--tools", "all"]}, "extraArgs"),
        ({"env": [{"name": "LLAMA_ARG_MODELS_DIR", "value": "/"}]}, "LLAMA_ARG_"),
        ({"parallelism": {"pipeline": 2}}, "pipeline"),
        ({"quantization": "fp8"}, "quantization"),
    ],
)
def test_what_it_must_not_do_or_cannot_is_refused(gguf: Namespace, engine: Json, told: str) -> None:
    answer = refused(yaml.safe_dump({**llmservice(**engine), "metadata": {"name": "other", "namespace": gguf.name}}))
    assert told in answer
