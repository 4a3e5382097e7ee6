"""Tasks and guardrails on the real cluster: tickets that the demo model has not seen, schemas that would hurt an
engine, tasks that are changed while they are served, and what guardrails stop.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
import yaml

from tests.e2e.cluster import Json, Namespace, eventually
from tests.e2e.keys import API_KEY, POETS_KEY

TIMEOUT = 300.0
ROLL_OUT_SECONDS = 240
TAKEN_SECONDS = 150  # kubelets look at mounted ConfigMaps once a minute or two, unless something has them look
ORCHESTRATORS = "tandem.dev/llmservice=demo,tandem.dev/tier=orchestrator"
ENGINE = "tandem.dev/llmservice=demo,tandem.dev/tier=engine"
ALL_PODS = "tandem.dev/llmservice=demo"
AT_ONCE = 4
LEAST_RIGHT = 0.9
EXAMPLE = (Path(__file__).parents[2] / "examples" / "tasks" / "tickets.yaml").read_text()
TICKETS: list[dict[str, str]] = yaml.safe_load(Path(__file__).with_name("tickets.yaml").read_text())
INPUTS = [{name: ticket[name] for name in ("customer_id", "message")} for ticket in TICKETS]
ANALYSIS, REPLY = (jsonschema_rs.validator_for(task["output"]) for task in yaml.safe_load(EXAMPLE)["tasks"])
SECRET = "AKIA" + "QX7T2NDKWZ4PLM3B"  # of nobody, and written so that nobody looks for whose it is
GUARDRAILS = [
    {"name": "no-secrets", "at": ["input"], "tenants": ["e2e"], "secrets": {}},
    {"name": "hidden-secrets", "at": ["output"], "tenants": ["poets"], "action": "mask", "secrets": {}},
]
YES_OR_NO: Json = {
    "name": "yes-or-no",
    "path": "/yes-or-no",
    "prompt": "Hello",
    "output": {
        "type": "object",
        "properties": {"answer": {"type": "string", "enum": ["yes", "no"]}},
        "required": ["answer"],
        "additionalProperties": False,
    },
    "parameters": {"temperature": 0, "max_tokens": 64},
}
SHARED: list[Json] = [
    {**YES_OR_NO, "version": "old", "weight": 1},
    {**YES_OR_NO, "version": "new", "weight": 1},
]
HOSTILE: dict[str, Json] = {
    "deep": json.loads('{"items":' * 100 + "{}" + "}" * 100),
    "repeated": {"type": "string", "pattern": "^((a{1,1000}){1,1000}){1,1000}$"},
    "long": {"type": "array", "items": {"type": "string", "minLength": 1_000_000}, "minItems": 1_000_000},
    "many": {"enum": [f"value {n}" for n in range(5_000)]},
}


@pytest.fixture(scope="module")
def tasks(service: Namespace) -> Iterator[Namespace]:
    """The demo with two guardrails and the tickets' tasks, which go again; it has two orchestrators throughout."""
    service.apply(config_map())
    replicas: Json = (service.get("llmservice", "demo") or {})["spec"]["orchestrator"]["replicas"]
    config = {"tasksFrom": [{"configMapName": "tickets"}], "guardrails": GUARDRAILS}
    service.change("demo", {"orchestrator": {"replicas": {"min": 2, "max": 2}, "config": config}})
    eventually(lambda: rolled_out(service), within=ROLL_OUT_SECONDS, what="orchestrators have tasks")
    yield service
    gone = {"tasks": None, "tasksFrom": None, "guardrails": None}
    service.change("demo", {"orchestrator": {"replicas": replicas, "config": gone}})
    eventually(lambda: rolled_out(service), within=ROLL_OUT_SECONDS, what="the demo is as it was")


@pytest.fixture(scope="module")
def url(tasks: Namespace) -> Iterator[str]:
    with tasks.forward("service/demo", 80) as base:
        yield base


@pytest.fixture(scope="module")
def analyses(url: str) -> list[Json]:
    """What the model says of each ticket."""
    return at_once(lambda ticket: answered(posted(url, "analyze-ticket", ticket)), INPUTS)


def config_map(*more: Json) -> Json:
    data = {"tickets.yaml": EXAMPLE, "more.yaml": yaml.safe_dump({"tasks": more})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tickets"}, "data": data}


def rolled_out(service: Namespace) -> bool:
    return service.is_ready("demo") and len(service.names("pods", ORCHESTRATORS)) == 2  # the former ones are gone


def posted(url: str, path: str, body: Json, key: str = API_KEY) -> httpx.Response:
    return httpx.post(f"{url}/{path}", json=body, headers={"x-api-key": key}, timeout=TIMEOUT)


def answered(response: httpx.Response) -> Json:
    assert response.status_code == 200, response.text
    body: Json = response.json()
    return body


def at_once[Item, Found](ask: Callable[[Item], Found], items: list[Item]) -> list[Found]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(ask, items))


def lives(service: Namespace, selector: str) -> set[tuple[str, int]]:
    """The pods that a selector matches, by uid, each with how often its containers were started again."""
    found = service.pods(selector)
    return {
        (pod["metadata"]["uid"], sum(each["restartCount"] for each in pod["status"]["containerStatuses"]))
        for pod in found
    }


def test_tickets_are_analyzed(analyses: list[Json], capsys: pytest.CaptureFixture[str]) -> None:
    assert [[error.message for error in ANALYSIS.iter_errors(each)] for each in analyses] == [[]] * len(TICKETS)
    wrong = [
        (ticket["message"], ticket["category"], analysis["category"])
        for ticket, analysis in zip(TICKETS, analyses, strict=True)
        if analysis["category"] != ticket["category"]
    ]
    right = len(TICKETS) - len(wrong)
    with capsys.disabled():
        sys.stdout.write(f"\ntickets in the right category: {right} of {len(TICKETS)}")
    assert right >= LEAST_RIGHT * len(TICKETS), wrong


def test_replies_are_written(url: str, analyses: list[Json]) -> None:
    asked = [{"request": ticket, "analysis": each} for ticket, each in zip(INPUTS, analyses, strict=True)]
    replies = at_once(lambda body: answered(posted(url, "generate-response", body)), asked)
    assert [[error.message for error in REPLY.iter_errors(each)] for each in replies] == [[]] * len(TICKETS)


def test_parts_of_an_analysis_are_streamed(url: str) -> None:
    events = streamed(posted(url, "v1/tasks/analyze-ticket", {"input": INPUTS[0], "stream": True}))
    *parts, last = [event for event in events if event["type"] != "task.retry"]
    assert {part["type"] for part in parts} == {"task.partial"}
    assert len(parts) > 3, "it came in one piece"
    known = yaml.safe_load(EXAMPLE)["tasks"][0]["output"]["properties"].keys()
    assert all(part["output"].keys() <= known for part in parts)
    assert last["type"] == "task.completed"
    ANALYSIS.validate(last["result"]["output"])


def streamed(response: httpx.Response) -> list[Json]:
    """The events of a stream, of which each one parses."""
    assert response.status_code == 200, response.text
    return [json.loads(line.removeprefix("data: ")) for line in response.text.splitlines() if line[:6] == "data: "]


def test_hostile_schemas_are_refused_and_the_engine_lives_on(tasks: Namespace, url: str) -> None:
    before = lives(tasks, ENGINE)
    for name, schema in HOSTILE.items():
        response = posted(url, "v1/chat/completions", asking_for(schema))
        assert response.status_code == 400, (name, response.text)
        assert "response_format" in str(response.json()["error"]["param"]), name
    fine = answered(posted(url, "v1/chat/completions", asking_for(YES_OR_NO["output"])))
    assert json.loads(fine["choices"][0]["message"]["content"])["answer"] in ("yes", "no")
    assert lives(tasks, ENGINE) == before


def asking_for(schema: Json, **more: Any) -> Json:
    form = {"type": "json_schema", "json_schema": {"name": "wanted", "schema": schema}}
    question = [{"role": "user", "content": "Hello"}]
    return {"model": "tandem-demo", "messages": question, "response_format": form, "max_tokens": 64, **more}


@pytest.mark.parametrize("place", ["ConfigMap", "LLMService"])
def test_a_new_version_has_a_share_and_is_rolled_back_without_a_restart(tasks: Namespace, url: str, place: str) -> None:
    def put(*declared: Json) -> None:
        if place == "ConfigMap":
            tasks.apply(config_map(*declared))
        else:
            tasks.change("demo", {"orchestrator": {"config": {"tasks": declared}}})
        wanted = {task["version"] for task in declared}
        eventually(lambda: taken(tasks) == wanted, within=TAKEN_SECONDS, what=f"all pods know {wanted}")

    before = lives(tasks, ALL_PODS)
    put(SHARED[0])
    assert answering(url) == {"old"}
    put(*SHARED)
    assert answering(url) == {"old", "new"}
    put(SHARED[0])
    assert answering(url) == {"old"}
    gone = posted(url, "v1/tasks/yes-or-no", {"input": {}, "version": "new"})
    assert gone.status_code == 404, gone.text
    put()
    assert lives(tasks, ALL_PODS) == before


def taken(service: Namespace) -> set[str] | None:
    """The versions of the task that every orchestrator has; None while they differ."""
    # has the kubelet look at mounted ConfigMaps at once: Kubernetes' own documentation of them
    service.kubectl("annotate", "pods", f"--selector={ORCHESTRATORS}", f"test={time.monotonic()}", "--overwrite")
    found = []
    for pod in service.names("pods", ORCHESTRATORS):
        with service.forward(pod, 8001) as base:
            response = httpx.get(f"{base}/v1/tasks/yes-or-no", headers={"x-api-key": API_KEY}, timeout=TIMEOUT)
        found.append({each["version"] for each in response.json().get("versions", [])})
    return found[0] if all(each == found[0] for each in found) else None


def answering(url: str) -> set[str]:
    """The versions that answer some requests: by chance one of two alone once in 4,096 times."""
    responses = at_once(lambda _: posted(url, "yes-or-no", {}), [*range(13)])
    assert {answered(response)["answer"] for response in responses} <= {"yes", "no"}
    return {response.headers["x-tandem-task-version"] for response in responses}


def test_a_secret_is_kept_from_the_model(url: str) -> None:
    chat = {"model": "tandem-demo", "messages": [{"role": "user", "content": f"My key is {SECRET}"}]}
    ticket = {"customer_id": "CUST1", "message": f"My key is {SECRET}"}
    for path, body in (("v1/chat/completions", chat), ("analyze-ticket", ticket)):
        response = posted(url, path, body)
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (400, "content_filter"), response.text
        assert error["guardrail"]["name"] == "no-secrets"
        assert SECRET not in response.text


@pytest.mark.parametrize("stream", [False, True])
def test_a_secret_of_the_models_is_masked(url: str, stream: bool) -> None:  # noqa: FBT001
    schema = {"type": "object", "properties": {"key": {"enum": [SECRET]}}, "required": ["key"]}
    response = posted(url, "v1/chat/completions", asking_for(schema, stream=stream, temperature=0), POETS_KEY)
    assert response.status_code == 200, response.text
    assert SECRET not in response.text
    text = said(response.text) if stream else response.json()["choices"][0]["message"]["content"]
    assert "[AWS_ACCESS_KEY]" in text
    assert "hidden-secrets" in response.text


def said(stream: str) -> str:
    """The text of a streamed chat."""
    lines = [line.removeprefix("data: ") for line in stream.splitlines() if line.startswith("data: ")]
    chunks = [json.loads(line) for line in lines if line != "[DONE]"]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
