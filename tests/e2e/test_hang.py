"""An engine that hangs is replaced within three minutes, and one that is only saturated is left at work.

It hangs as vLLM does when its core is stuck (vllm#36451): that is stopped, while its server goes on answering.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.e2e.client_pod import client_pod
from tests.e2e.cluster import Json, Namespace, eventually
from tests.e2e.conftest import ENGINE_SECONDS, long_run
from tests.e2e.keys import API_KEY

ENGINE_PODS = "tandem.dev/llmservice=demo,tandem.dev/tier=engine"
CROWD = Path(__file__).with_name("crowd.py").read_text()
CLIENTS = 200
SATURATED_SECONDS = 150
"""Longer than what takes an engine that stands still for one that hangs, and the operator to be told of it."""
REPLACED_SECONDS = 180
STOP_CORE = """
import os, pathlib, signal
found = [p.name for p in pathlib.Path("/proc").glob("[0-9]*") if (p / "cmdline").read_bytes().startswith(b"VLLM::Eng")]
for number in found:
    os.kill(int(number), signal.SIGSTOP)
print(*found)
"""
QUESTION = {
    "model": "tandem-demo",
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
    "temperature": 0,
}


def ask(url: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {API_KEY}"}
    return httpx.post(f"{url}/v1/chat/completions", json=QUESTION, headers=headers, timeout=ENGINE_SECONDS + 300)


def serves(pod: Json) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ()))


def hung_events(service: Namespace) -> list[str]:
    """The messages of Events that tell of an engine that hung."""
    found = json.loads(service.kubectl("get", "events", "--field-selector=reason=EngineHung", "--output=json"))
    return [event["message"] for event in found["items"]]


@long_run
def test_an_engine_that_is_saturated_keeps_its_pod(service: Namespace) -> None:
    (before,) = service.pods(ENGINE_PODS)
    told = hung_events(service)
    service.apply(client_pod("crowd", CROWD, "demo", API_KEY, str(CLIENTS)))
    try:
        service.kubectl("wait", "--for=condition=Ready", "pod/crowd", "--timeout=60s")
        ends = time.monotonic() + SATURATED_SECONDS
        while time.monotonic() < ends:
            (pod,) = service.pods(ENGINE_PODS)
            assert pod["metadata"]["uid"] == before["metadata"]["uid"]
            time.sleep(2)
        assert "200" in service.kubectl("logs", "crowd").split()
    finally:
        service.kubectl("delete", "pod", "crowd", "--grace-period=1")
    (after,) = service.pods(ENGINE_PODS)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert hung_events(service) == told


def test_an_engine_that_hangs_is_replaced(service: Namespace, url: str) -> None:
    (old,) = service.pods(ENGINE_PODS)
    assert ask(url).status_code == 200
    pod = old["metadata"]["name"]
    stopped = service.kubectl("exec", pod, "--container=engine", "--", "python3", "-c", STOP_CORE)
    assert stopped.split(), "the engine has no process of its core's name"
    with ThreadPoolExecutor() as clients:
        began = time.monotonic()
        answer = clients.submit(ask, url)
        eventually(
            lambda: [
                pod
                for pod in service.pods(ENGINE_PODS)
                if pod["metadata"]["uid"] != old["metadata"]["uid"] and serves(pod)
            ],
            within=REPLACED_SECONDS,
            what="another engine pod serves",
        )
        print(f"another engine pod served after {time.monotonic() - began:.0f} s")  # noqa: T201 # a figure for people
        response = answer.result()
    assert response.status_code == 200, response.text
    (told,) = [message for message in hung_events(service) if pod in message]
    assert "it was deleted" in told
    eventually(lambda: service.is_ready("demo"), within=60, what="the service is Ready again")
