"""What a client hears when a response cannot be made."""

import asyncio

import pytest

from tests.engine_double import Call, Reply
from tests.sockets.responses.asking import ResponsesClient, types_of
from tests.sockets.running import AT_ONCE, until
from tests.sockets.tools.service import Says

STREAMED = pytest.mark.parametrize("stream", [False, True])
FAULTS = pytest.mark.parametrize("fault", ["cut", "malformed_json", "error_event", "no_done"])
LOOK = {"type": "function", "name": "look", "parameters": {"type": "object"}}


@pytest.fixture
async def ask(asking):
    return await asking(**AT_ONCE)


@STREAMED
async def test_an_engine_that_says_no_at_once(ask, engine, stream):
    error = {"error": {"message": "too long", "type": "BadRequestError", "param": "input", "code": 400}}
    engine.replies.append(Reply(status=400, error=error))
    assert (await ask.refused(400, stream=stream))["message"] == "too long"


@STREAMED
async def test_an_engine_that_dies_at_once(ask, engine, stream):
    engine.replies.append(Reply(fault="close"))
    assert (await ask.refused(502, stream=stream))["code"] == "engine_cut"


@FAULTS
@pytest.mark.parametrize("standard", [False, True])
async def test_an_engine_that_fails_in_the_stream(asking, engine, fault, standard):
    ask = await asking(standard=standard, **AT_ONCE)
    engine.replies.append(Reply("a b c d", fault=fault, fault_after=3))
    stream = await ask.stream()
    assert stream.names[-2:] == ["error", "response.failed"]
    assert stream.events[-2]["message"] == stream.response["error"]["message"]
    assert stream.response["output"][0]["content"][0]["text"] == "a b"
    assert stream.response["output"][0]["status"] == "incomplete"
    assert await ask.get(stream.response["id"]) == stream.response


@FAULTS
async def test_an_engine_that_fails_while_it_thinks(ask, engine, fault):
    engine.replies.append(Reply("a b c d", fault=fault, fault_after=2, reasoning="Hm."))
    stream = await ask.stream()
    assert types_of(stream.response["output"]) == ["reasoning"]
    assert stream.response["output"][0]["status"] == "incomplete"


@FAULTS
async def test_an_engine_that_fails_within_a_call(ask, engine, fault):
    engine.replies.append(Reply("", (Call("look", '{"at": "it"}'),), fault=fault, fault_after=3))
    stream = await ask.stream(tools=[LOOK])
    (call,) = stream.response["output"]
    assert (call["status"], call["arguments"]) == ("incomplete", '{"at":')
    assert await ask.get(stream.response["id"]) == stream.response


@STREAMED
async def test_an_engine_that_fails_after_a_tool(ask, engine, stream):
    engine.replies += [Reply("", (Call("calculate_math", '{"expression": "2+2"}'),)), Reply(status=500)]
    tandem = {"tools": ["calculate_math"]}
    if not stream:
        assert (await ask.refused(502, tandem=tandem))["code"] == "engine_failed"
        return
    told = await ask.stream(tandem=tandem)
    assert told.names[-2:] == ["error", "response.failed"]
    assert types_of(told.response["output"]) == ["mcp_call"]


async def test_a_conversation_that_goes_meanwhile(start, engine, service):
    service.says["/search"] = Says({"results": []})
    orchestrator = await start(tools={"webSearch": {"provider": "searxng", "url": service.url}})
    ask = ResponsesClient(orchestrator.client)
    conversation = await ask.converse()
    engine.replies += [Reply("", (Call("web_search", '{"query": "x"}'),)), Reply("Found.")]
    service.hold.clear()

    async def delete():
        await until(lambda: service.waiting)
        await ask.delete_conversation(conversation["id"])
        service.hold.set()

    asked = ask.stream(tools=[{"type": "web_search"}], conversation=conversation["id"])
    stream, _ = await asyncio.gather(asked, delete())
    assert stream.names[-2:] == ["error", "response.failed"]
    assert stream.events[-2]["code"] == "conversation_not_found"
    assert await ask.call("GET", f"/responses/{stream.response['id']}") == stream.response


async def test_a_client_that_leaves_is_not_answered(start, engine):
    orchestrator = await start()
    engine.replies.append(Reply("a b c d e f g h", fault="hang", fault_after=3))
    body = {"model": "double", "input": "Hello", "stream": True}
    async with orchestrator.client.post("/v1/responses", json=body) as response:
        await response.content.readany()
    await until(lambda: engine.seen[-1].outcome == "left")
    await until(lambda: not orchestrator.busy)
