"""A task with one input: checked, asked for, checked again, and asked for again where it does not fit."""

import pytest
from prometheus_client import REGISTRY

from tests.engine_double import Reply
from tests.engine_double.reply import plausible
from tests.sockets.running import AT_ONCE
from tests.sockets.tasks.conftest import FITS, GIVEN, MISSES, OUTPUT, PATH, TICKET, counted, says, with_tasks


async def test_a_task_is_a_chat_whose_answer_fits(served, engine, ask):
    before = counted("success")
    status, answer = await ask(served, input=GIVEN)
    assert status == 200, answer
    assert answer["id"].startswith("task_")
    del answer["id"], answer["created_at"]
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    head = {"object": "task.result", "task": "analyze", "version": "1", "model": "double"}
    assert answer == {**head, "output": FITS, "usage": usage}
    (seen,) = engine.seen
    schema = {"name": "analyze", "schema": OUTPUT, "strict": True}
    assert seen.body == {
        "model": "double",
        "messages": [{"role": "user", "content": "About: I was charged twice."}],
        "temperature": 0,
        "response_format": {"type": "json_schema", "json_schema": schema},
    }
    assert counted("success") == before + 1


async def test_at_its_own_path_an_input_comes_and_the_output_goes(served, ask):
    async with served.client.post("/analyze", json=GIVEN) as response:
        assert (response.status, await response.json()) == (200, FITS)
        assert response.headers["x-tandem-task-version"] == "1"
    status, answer = await ask(served, "/analyze", message=3)
    assert (status, answer["error"]["param"]) == (400, "message")


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"input": {}}, ("input.message", "required")),
        ({"input": {"message": 1}}, ("input.message", "not of type")),
        ({"input": {"message": "x" * 100_000}}, ("input.message", "longer than 1000")),
        ({"input": {**GIVEN, "more": 1}}, ("input.more", "unexpected")),
        ({"input": "text"}, ("input", "not of type")),
        ({"input": {"message": {"a": [[[[]]]]}}}, ("input.message", "not of type")),
        ({}, ("input", "either `input`")),
        ({"input": GIVEN, "inputs": [GIVEN]}, ("input", "either `input`")),
        ({"inputs": []}, ("inputs", "1 to 1000")),
        ({"inputs": {}}, ("inputs", "1 to 1000")),
        ({"inputs": [GIVEN] * 1001}, ("inputs", "has 1001")),
        ({"input": GIVEN, "stream": 1}, ("stream", "true or false")),
        ({"input": GIVEN, "version": 1}, ("version", "name of a version")),
        ({"input": GIVEN, "modl": "x"}, ("modl", "input, inputs, stream, version")),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_is_wrong_with_a_request_is_told(served, engine, ask, fields, found):
    status, answer = await ask(served, **fields)
    param, told = found
    assert (status, answer["error"]["param"]) == (400, param)
    assert told in answer["error"]["message"]
    assert len(answer["error"]["message"]) < 400
    assert not engine.seen


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b'{"input":' + b'{"a":' * 200 + b"1" + b"}" * 201])
async def test_bodies_that_are_no_requests(served, body):
    for path in (PATH, "/analyze"):
        async with served.client.post(path, data=body) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (400, "invalid_json")


async def test_an_output_that_does_not_fit_is_asked_for_again(served, engine, ask):
    retried = {"task": "analyze", "version": "1"}
    before = REGISTRY.get_sample_value("tandem_task_retries_total", retried) or 0
    engine.replies.extend([says(MISSES), says(FITS)])
    status, answer = await ask(served, input=GIVEN)
    assert (status, answer["output"]) == (200, FITS)
    assert answer["usage"]["prompt_tokens"] == 7 + 21, "of both passes"
    one, two = (seen.body["messages"] for seen in engine.seen)
    assert two[: len(one)] == one
    assert (two[1]["role"], two[1]["content"]) == ("assistant", says(MISSES).text)
    assert '"weather" is not one of' in two[2]["content"]
    assert engine.seen[1].body["response_format"] == engine.seen[0].body["response_format"]
    assert REGISTRY.get_sample_value("tandem_task_retries_total", retried) == before + 1


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        (says(MISSES), (502, "invalid_output", 2, "not one of")),
        (says("Sure!"), (502, "invalid_output", 2, "not JSON")),
        (says(""), (502, "invalid_output", 2, "not JSON")),
        (says("[" * 900 + "]" * 900), (502, "invalid_output", 2, "ecursion limit")),
        (says('{"category": "bil', finish_reason="length"), (502, "invalid_output", 1, "max_tokens")),
        (says("", finish_reason="content_filter"), (400, "content_filter", 1, "withheld")),
        (Reply(status=400), (400, None, 1, "scripted")),
        (Reply(fault="cut"), (502, "engine_cut", 1, "closed")),
    ],
    ids=["misfit", "words", "nothing", "deep", "cut", "withheld", "refused", "died"],
)
async def test_what_came_instead_of_an_output_is_told(serve, engine, ask, reply, found):
    orchestrator = await serve(with_tasks(engine, **AT_ONCE))
    engine.rule = lambda _: reply
    outcome = "invalid_output" if "invalid_output" in found else "error"
    before = counted(outcome)
    status, answer = await ask(orchestrator, input=GIVEN)
    *told, words = found
    assert [status, answer["error"]["code"], len(engine.seen)] == told, answer
    assert words in answer["error"]["message"]
    assert counted(outcome) == before + 1


async def test_what_there_is_can_be_listed_and_the_rest_is_unknown(serve, engine, ask):
    second = {**TICKET, "version": "2", "weight": 0, "description": "Newer"}
    private = {**TICKET, "name": "private", "path": None, "tenants": ["blue"]}
    keys = {"values": ["red:red", "blue:blue"]}
    orchestrator = await serve(with_tasks(engine, TICKET, second, private, keys=keys))
    red, blue = ({"Authorization": f"Bearer {key}"} for key in ("red", "blue"))
    status, listed = await orchestrator.get("/v1/tasks", **blue)
    assert (status, [task["name"] for task in listed["data"]]) == (200, ["analyze", "private"])
    status, shown = await orchestrator.get(PATH, **red)
    assert (status, shown["path"]) == (200, "/analyze")
    assert [(each["version"], each["weight"]) for each in shown["versions"]] == [("1", 1), ("2", 0)]
    assert shown["versions"][0]["output"] == OUTPUT
    assert shown["versions"][0]["input"]["additionalProperties"] is False
    assert (await orchestrator.get(PATH))[0] == 401
    for path, headers in (("/v1/tasks/private", red), ("/v1/tasks/nothing", red)):
        status, answer = await orchestrator.get(path, **headers)
        assert (status, answer["error"]["code"]) == (404, "task_not_found")
        async with orchestrator.client.post(path, json={"input": GIVEN}, headers=headers) as response:
            error = (await response.json())["error"]
            assert (response.status, error["code"]) == (404, "task_not_found")
            assert "there are: analyze" in error["message"]
            assert "private" not in error["message"].partition("there are")[2]
    engine.rule = lambda _: says(FITS)
    async with orchestrator.client.post("/v1/tasks/private", json={"input": GIVEN}, headers=blue) as response:
        assert response.status == 200
    async with orchestrator.client.post(PATH, json={"input": GIVEN, "version": "2"}, headers=red) as response:
        assert (response.status, (await response.json())["version"]) == (200, "2")
    async with orchestrator.client.post(PATH, json={"input": GIVEN, "version": "3"}, headers=red) as response:
        error = (await response.json())["error"]
        assert (response.status, error["code"], error["param"]) == (404, "task_version_not_found", "version")
    async with orchestrator.client.get("/analyze", headers=red) as response:
        assert (response.status, response.headers["allow"]) == (405, "POST")
    async with orchestrator.client.delete(PATH, headers=red) as response:
        assert response.status == 405


async def test_tools_run_before_an_output_that_is_made_to_fit(serve, engine, ask):
    task = {**TICKET, "tools": ["calculate_math"], "prompt": "{{ message }}", "retries": 0}
    orchestrator = await serve(with_tasks(engine, task, tools={"enabled": ["calculate_math"]}))
    engine.rule = lambda request: says(FITS) if "response_format" in request else plausible(request)
    status, answer = await ask(orchestrator, input={"message": "What is 6 * 7?"})
    assert (status, answer["output"]) == (200, FITS)
    call, result, last = (seen.body for seen in engine.seen)
    assert [tool["function"]["name"] for tool in call["tools"]] == ["calculate_math"]
    assert "JSON schema" in call["messages"][0]["content"]
    assert result["messages"][-1]["role"] == "tool"
    assert "tools" not in last
    assert "The result is" in last["messages"][-2]["content"]


async def test_tools_that_are_attached_to_all_chats_are_not_to_tasks(serve, engine, ask):
    tools = {"enabled": ["calculate_math"], "attach": "always"}
    assert (await ask(await serve(with_tasks(engine, tools=tools)), input=GIVEN))[0] == 200
    assert "tools" not in engine.seen[0].body


async def test_a_model_that_nobody_serves_is_told_at_once(serve, engine, ask):
    orchestrator = await serve(with_tasks(engine, {**TICKET, "model": "absent"}))
    for fields in ({"input": GIVEN}, {"inputs": [GIVEN]}, {"input": GIVEN, "stream": True}):
        status, answer = await ask(orchestrator, **fields)
        assert (status, answer["error"]["code"]) == (404, "model_not_found")
