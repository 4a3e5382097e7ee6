"""Many inputs in one request: in order, each with its own end, and none of it goes on for a client that has left."""

import asyncio
import json
from collections import Counter
from dataclasses import replace

import aiohttp
import pytest

from tests.engine_double import Reply
from tests.sockets.running import AT_ONCE, until
from tests.sockets.tasks.conftest import FITS, MISSES, PATH, TICKET, counted, read, says, with_tasks

BAD = {"message": 1}


def number(request):
    """Which input it is for."""
    return int(request["messages"][0]["content"].removeprefix("About: "))


def echo(request):
    """The number in the message, as an output."""
    return says({**FITS, "summary": str(number(request))})


def inputs(count, *bad):
    return [BAD if n in bad else {"message": str(n)} for n in range(count)]


async def test_a_thousand_with_ten_that_are_wrong(serve, engine, ask):
    orchestrator = await serve(with_tasks(engine))
    engine.rule, engine.remember = echo, False
    wrong = [0, 1, 2, 99, 100, 500, 501, 502, 998, 999]
    before = counted("success"), counted("invalid_input")
    status, answer = await ask(orchestrator, inputs=inputs(1000, *wrong))
    assert status == 200
    results = answer.pop("results")
    assert [each["index"] for each in results] == list(range(1000))
    assert [n for n, each in enumerate(results) if "error" in each] == wrong
    assert all(each["output"]["summary"] == str(n) for n, each in enumerate(results) if n not in wrong)
    error = results[99]["error"]
    assert (error["code"], error["param"], error["type"]) == (
        "invalid_input",
        "inputs.99.message",
        "invalid_request_error",
    )
    assert answer["object"] == "task.results"
    assert answer["usage"]["prompt_tokens"] == 7 * 990
    assert (counted("success") - before[0], counted("invalid_input") - before[1]) == (990, 10)


async def test_streamed_items_come_as_they_are_done(serve, engine):
    orchestrator = await serve(with_tasks(engine, limits={"maxConcurrentInputs": 3}))
    engine.rule = lambda request: says(FITS, before_first_byte=0.3 * ("About: 0" in str(request)))
    async with orchestrator.client.post(PATH, json={"inputs": inputs(6, 4), "stream": True}) as response:
        assert response.content_type == "text/event-stream"
        events = read(await response.text())
    assert [kind for kind, _ in events] == ["task.item"] * 6 + ["task.completed"]
    items = [data for _, data in events[:-1]]
    assert items[-1]["index"] == 0, "the slow one, which nobody waited for"
    assert {item["index"]: item.get("output") for item in items} == {n: None if n == 4 else FITS for n in range(6)}
    result = events[-1][1]["result"]
    assert (result["object"], result["usage"]["prompt_tokens"]) == ("task.results", 35)


@pytest.mark.parametrize("stream", [False, True])
async def test_all_of_it_ends_when_the_client_leaves(serve, engine, stream):
    orchestrator = await serve(with_tasks(engine))
    engine.gate = asyncio.Semaphore(10)
    before = counted("cancelled")
    async with orchestrator.client.post(PATH, json={"inputs": inputs(1000), "stream": stream}) as response:
        await response.content.readany()
        await engine.until(lambda: engine.running == 8 and len(engine.seen) == 18)
        response.close()
    await engine.until(lambda: engine.running == 0, 10)
    await until(lambda: counted("cancelled") == before + 8)
    assert Counter(seen.outcome for seen in engine.seen) == {"answered": 10, "left": 8}
    assert orchestrator.busy == 0


async def test_a_client_that_does_not_read_holds_up_its_own_work(serve, engine):
    """So that no more of its results are kept than a few."""
    orchestrator = await serve(with_tasks(engine))
    large = says({**FITS, "summary": "x" * 400_000})
    engine.rule = lambda _: large
    _, writer = await asyncio.open_connection("127.0.0.1", int(orchestrator.url.rpartition(":")[2]), limit=1024)
    body = json.dumps({"inputs": inputs(300)}).encode()
    writer.write(b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (PATH.encode(), len(body)) + body)
    seen = -1
    while seen != len(engine.seen) or engine.running or not seen:  # until nothing moves any more
        seen = len(engine.seen)
        await asyncio.sleep(0.2)
    assert seen < 100
    writer.close()


async def test_a_limit_refuses_inputs_one_by_one(serve, engine, ask):
    keys = {"values": ["team:k"]}
    limits = {"defaults": {"requestsPerMinute": 3}}
    orchestrator = await serve(with_tasks(engine, keys=keys, rateLimits=limits))
    engine.rule = echo
    orchestrator.client.headers["authorization"] = "Bearer k"
    status, answer = await ask(orchestrator, inputs=inputs(5))
    assert status == 200
    codes = [each.get("error", {}).get("code") for each in answer["results"]]
    assert codes == [None, None, None, "rate_limit_exceeded", "rate_limit_exceeded"]


async def test_a_key_with_few_requests_at_a_time_gets_its_inputs_answered_in_turn(serve, engine, ask):
    keys = {"values": ["team:k"]}
    orchestrator = await serve(with_tasks(engine, keys=keys, rateLimits={"defaults": {"concurrentRequests": 1}}))
    most = 0

    def rule(request):
        nonlocal most
        most = max(most, engine.running)
        return replace(echo(request), before_first_byte=0.005)

    engine.rule = rule
    orchestrator.client.headers["authorization"] = "Bearer k"
    status, answer = await ask(orchestrator, inputs=inputs(6, 2))
    assert status == 200
    assert ["error" in each for each in answer["results"]] == [n == 2 for n in range(6)]
    assert most == 1


async def test_what_goes_wrong_with_one_is_told_at_its_place(serve, engine, ask, lines):
    replies = {"0": says(MISSES), "1": Reply(status=400), "2": Reply(fault="cut"), "3": says(FITS)}
    task = {**TICKET, "retries": 0}
    orchestrator = await serve(with_tasks(engine, task, **AT_ONCE))
    engine.rule = lambda request: replies[request["messages"][0]["content"][-1]]
    status, answer = await ask(orchestrator, inputs=[*inputs(4), None, [], "x", {}])
    assert status == 200
    codes = [each.get("error", {}).get("code") for each in answer["results"]]
    assert codes == ["invalid_output", None, "engine_cut", None, *["invalid_input"] * 4]
    assert answer["results"][1]["error"]["type"] == "ScriptedError"
    assert answer["results"][3]["output"] == FITS
    told = {line["request_id"].rpartition("-")[2]: line["status"] for line in lines if line["path"] == PATH}
    assert [told[str(n)] for n in range(8)] == [502, 400, 502, 200, 400, 400, 400, 400]


@pytest.mark.parametrize(("stream", "answered"), [(False, 0), (False, 3), (True, 3)])
async def test_what_takes_too_long_ends_and_the_client_can_tell(serve, engine, stream, answered):
    orchestrator = await serve(with_tasks(engine, timeouts={"requestSeconds": 0.5}))
    engine.rule = lambda request: says(FITS, before_first_byte=0 if number(request) < answered else 60)
    async with orchestrator.client.post(PATH, json={"inputs": inputs(20), "stream": stream}) as response:
        if stream:
            assert read(await response.text())[-1][1]["error"]["code"] == "request_timeout"
        elif answered:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        else:
            assert (response.status, (await response.json())["error"]["code"]) == (504, "request_timeout")
    await engine.until(lambda: engine.running == 0)
