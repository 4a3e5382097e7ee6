"""LoRA adapters on real vLLM: for one tenant alone, and another one while the engine serves."""

from collections.abc import Iterator
from contextlib import contextmanager

import openai
import pytest

from tests.e2e.adapter import PROSE, VERSE
from tests.e2e.cluster import Json, Namespace, eventually
from tests.e2e.conftest import LOCAL
from tests.e2e.keys import API_KEY, POETS_KEY

pytestmark = pytest.mark.skipif(not LOCAL, reason="the adapters lie in a folder of this machine, which is no node here")
ENGINE = "tandem.dev/llmservice=demo,tandem.dev/tier=engine"
BROKEN: Json = {"name": "broken", "source": "pvc://adapters/nowhere"}
TIMEOUT = 120.0
TOLD_SECONDS = 200  # the kubelet looks at mounted ConfigMaps once a minute or two, and the operator asks once a minute


@contextmanager
def client_with(service: Namespace, key: str) -> Iterator[openai.OpenAI]:
    with (
        service.forward("service/demo", 80) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key=key, timeout=TIMEOUT, max_retries=0) as client,
    ):
        yield client


@pytest.fixture
def poet(service: Namespace) -> Iterator[openai.OpenAI]:
    with client_with(service, POETS_KEY) as client:
        yield client


def change(service: Namespace, *adapters: Json) -> None:
    service.change("demo", {"model": {"adapters": list(adapters)}})


def answer(client: openai.OpenAI, model: str) -> str | None:
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "What is the capital of France?"}],
        temperature=0,
        max_tokens=24,
    )
    assert answer.model == model
    return answer.choices[0].message.content


def listed(client: openai.OpenAI) -> set[str]:
    return {model.id for model in client.models.list()}


def test_an_adapter_is_for_its_tenant_alone(service: Namespace, poet: openai.OpenAI) -> None:
    assert listed(poet) == {"tandem-demo", "verse"}
    assert answer(poet, "tandem-demo") == "The capital of France is Paris."
    assert answer(poet, "verse") != "The capital of France is Paris."
    with client_with(service, API_KEY) as other:
        assert listed(other) == {"tandem-demo"}
        with pytest.raises(openai.NotFoundError):
            answer(other, "verse")


def test_one_comes_and_one_fails_while_the_engine_serves(service: Namespace, poet: openai.OpenAI) -> None:
    pods = service.names("pods", ENGINE)
    change(service, VERSE, PROSE, BROKEN)
    try:
        eventually(lambda: "prose" in listed(poet), within=TOLD_SECONDS, what="the orchestrators know of it")
        assert answer(poet, "prose") not in (answer(poet, "tandem-demo"), answer(poet, "verse"))
        degraded = eventually(
            lambda: (
                service.condition("demo", "Degraded").get("reason") == "AdapterNotLoaded"
                and service.condition("demo", "Degraded")
            ),
            within=TOLD_SECONDS,
            what="the service tells of the one that fails",
        )
        assert "adapter broken: " in degraded["message"]
        assert service.is_ready("demo")
    finally:
        change(service, VERSE)
    eventually(lambda: listed(poet) == {"tandem-demo", "verse"}, within=TOLD_SECONDS, what="it is gone again")
    assert service.names("pods", ENGINE) == pods
