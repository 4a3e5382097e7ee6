"""State outlives pods: it moves to a PostgreSQL under load, and a pod is killed while it makes responses."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.e2e.cluster import Json, Namespace, eventually
from tests.e2e.keys import API_KEY
from tests.e2e.postgres_pod import postgres
from tests.e2e.traffic import finish, load, wait_for_answers

EXAMPLES = Path(__file__).parents[2] / "examples"
ORCHESTRATORS = "tandem.dev/llmservice=demo,tandem.dev/tier=orchestrator"
PORT = 8001
TIMEOUT = 120.0
TAKEOVER_SECONDS = 90
LONG: Json = {
    "model": "tandem-demo",
    "input": "What is the capital of France?",
    "max_output_tokens": 900,
    "ignore_eos": True,
    "skip_special_tokens": False,
}
"""vLLM goes on until it has said as much as it may, and shows each token of that."""


@pytest.fixture(scope="module")
def stateful(service: Namespace) -> Namespace:
    """The demo, which keeps its state in a PostgreSQL from now on; it moved there while clients asked."""
    service.apply(*postgres("database"))
    service.kubectl("wait", "--for=condition=Ready", "pod/database", "--timeout=120s")
    before = set(service.names("pods", ORCHESTRATORS))
    with load(service):
        wait_for_answers(service)
        state = {"postgres": {"urlFrom": {"secretName": "database", "secretKey": "url"}}}
        service.change("demo", {"orchestrator": {"state": state}})
        eventually(lambda: rolled_out(service, before), within=240, what="orchestrators with the database are ready")
        wait_for_answers(service)
        figures = finish(service)
        assert [*figures.ended, *figures.failed] == []
    return service


def rolled_out(service: Namespace, before: set[str]) -> bool:
    ready = service.is_ready("demo") and service.condition("demo", "StoresReady").get("status") == "True"
    return ready and before.isdisjoint(service.names("pods", ORCHESTRATORS))


def test_a_migration_is_rolled_out_under_load(stateful: Namespace) -> None:
    (job,) = stateful.names("jobs", ORCHESTRATORS.partition(",")[0])
    assert stateful.kubectl("get", job, "--output=jsonpath={.status.succeeded}") == "1"


def test_a_pod_is_killed_while_it_makes_responses(stateful: Namespace) -> None:
    victim, other = stateful.names("pods", ORCHESTRATORS)[:2]
    for pod in (victim, other):  # SQL is imported when a database is first used, which takes a busy machine seconds
        eventually(partial(knows_nothing, stateful, pod), within=TIMEOUT, what=f"{pod} reads its database")
    with api(stateful, victim) as doomed:
        queued = doomed.post("/responses", json={**LONG, "background": True}).json()
        with doomed.stream("POST", "/responses", json={**LONG, "stream": True}) as stream:
            events = seen(stream, 250)  # some of them have been written since
            stateful.kubectl("delete", victim, "--force", "--grace-period=0")
    streamed, last = events[0]["response"]["id"], events[-1]["sequence_number"]
    with api(stateful, other) as survivor:
        made = eventually(
            lambda: ended(survivor, queued["id"]), within=TAKEOVER_SECONDS, what="another pod made the response"
        )
        assert (made["status"], made["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
        assert made["usage"]["output_tokens"] == LONG["max_output_tokens"]
        told = eventually(lambda: ended(survivor, streamed), within=TAKEOVER_SECONDS, what="the stream has an end")
        assert told["status"] in ("failed", "incomplete")
        rest = survivor.get(f"/responses/{streamed}", params={"stream": "true", "starting_after": last})
        read_on = [json.loads(line[6:]) for line in rest.text.splitlines() if line.startswith("data: {")]
        assert read_on[0]["sequence_number"] == last + 1
        assert read_on[-1]["type"] == f"response.{told['status']}"
        assert rest.text.endswith("data: [DONE]\n\n")


def test_the_examples(stateful: Namespace, url: str) -> None:
    environment = {**os.environ, "OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": API_KEY}
    printed = {}
    for example in ("basic.py", "streaming.py", "multi_turn.py"):
        command = [sys.executable, str(EXAMPLES / example)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False)
        assert done.returncode == 0, done.stderr
        printed[example] = done.stdout
    assert "Paris" in printed["basic.py"]
    assert "tokens]" in printed["streaming.py"]
    assert "Ada" in printed["multi_turn.py"].rpartition("Model: ")[2]


@contextmanager
def api(service: Namespace, pod: str) -> Iterator[httpx.Client]:
    """A client of one pod's API."""
    key = {"authorization": f"Bearer {API_KEY}"}
    with (
        service.forward(pod, PORT) as base,
        httpx.Client(base_url=f"{base}/v1", headers=key, timeout=TIMEOUT) as client,
    ):
        yield client


def knows_nothing(service: Namespace, pod: str) -> bool:
    """Whether a pod could look for a response that there is not."""
    with api(service, pod) as client:
        return client.get("/responses/resp_none").status_code == 404


def seen(stream: httpx.Response, number: int) -> list[Json]:
    """The first events of a stream."""
    assert stream.status_code == 200
    found: list[Json] = []
    for line in stream.iter_lines():
        if line.startswith("data: "):
            found.append(json.loads(line.removeprefix("data: ")))
        if len(found) == number:
            return found
    raise AssertionError(f"the stream ended after {len(found)} events")


def ended(client: httpx.Client, response_id: str) -> Json | None:
    """A response that has ended, None while it has not."""
    response: Json = client.get(f"/responses/{response_id}").json()
    return response if response["status"] not in ("queued", "in_progress") else None
