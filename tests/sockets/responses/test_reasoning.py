"""What a model thinks before it answers."""

import orjson
import pytest

from tests.engine_double import Call, Reply
from tests.engine_double.canned import CannedEngine, streamed, whole
from tests.sockets.responses.asking import ResponsesClient, types_of
from tests.sockets.running import config_for

STREAMED = pytest.mark.parametrize("stream", [False, True])
EFFORT = pytest.mark.parametrize("effort", ["minimal", "high"])


def thought(response):
    return response["output"][0]["content"]


@STREAMED
async def test_it_is_an_item_before_the_answer(ask, engine, stream):
    engine.replies.append(Reply("Four.", reasoning="Two and two."))
    response = await ask.either(stream=stream)
    assert types_of(response["output"]) == ["reasoning", "message"]
    assert thought(response) == [{"type": "reasoning_text", "text": "Two and two."}]
    assert response["output"][0]["summary"] == []


@pytest.mark.parametrize("standard", [False, True])
async def test_its_events_have_openais_names_or_the_standards(asking, engine, standard):
    ask = await asking(standard=standard)
    engine.replies.append(Reply("Four.", reasoning="Two and two."))
    stream = await ask.stream()
    name = "response.reasoning" if standard else "response.reasoning_text"
    assert (stream.text(name), stream.text()) == ("Two and two.", "Four.")
    assert len(stream.of(f"{name}.done")) == 1


@STREAMED
@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
async def test_engines_have_two_names_for_it(serve, tmp_path, stream, name):
    said = {name: "Hm.", "content": "Well."}
    if stream:
        choices = [*({"delta": {key: text}} for key, text in said.items()), {"delta": {}, "finish_reason": "stop"}]
        answer = streamed(*(b"data: %b\n\n" % orjson.dumps({"choices": [choice]}) for choice in choices))
    else:
        answer = [whole(orjson.dumps({"choices": [{"message": said, "finish_reason": "stop"}]}))]
    async with CannedEngine(answer) as engine:
        upstreams = [{"name": "canned", "url": engine.url, "model": engine.model}]
        database = {"url": f"sqlite:///{tmp_path}/tandem.db"}
        orchestrator = await serve(config_for(upstreams=upstreams, database=database))
        response = await ResponsesClient(orchestrator.client).either(stream=stream)
    assert types_of(response["output"]) == ["reasoning", "message"]
    assert thought(response)[0]["text"] == "Hm."


async def test_the_engine_gets_it_back_with_what_was_said_next(ask, engine):
    engine.replies += [Reply("", (Call("look"),), reasoning="I should look."), Reply("Seen.")]
    tools = [{"type": "function", "name": "look"}]
    first = await ask.create("Look.", tools=tools)
    output = {"type": "function_call_output", "call_id": first["output"][1]["call_id"], "output": "there"}
    await ask.create([output], previous_response_id=first["id"], tools=tools)
    _, called, _ = engine.seen[-1].body["messages"]
    assert called["reasoning"] == "I should look."
    assert called["tool_calls"][0]["function"]["name"] == "look"


@pytest.mark.parametrize(("make", "name"), [("vllm", "reasoning"), ("openai", "reasoning_content")])
async def test_each_engine_gets_it_back_by_its_own_name(serve, engine, tmp_path, make, name):
    upstreams = [{"name": "engine", "url": engine.url, "model": "double", "type": make}]
    database = {"url": f"sqlite:///{tmp_path}/tandem.db"}
    ask = ResponsesClient((await serve(config_for(upstreams=upstreams, database=database))).client)
    engine.replies.append(Reply("Four.", reasoning="Two and two."))
    first = await ask.create("2+2?")
    await ask.create("Sure?", previous_response_id=first["id"])
    assert engine.seen[-1].body["messages"][1] == {"role": "assistant", "content": "Four.", name: "Two and two."}


async def test_a_client_may_send_it_itself(ask, engine):
    given = [
        {"role": "user", "content": "2+2?"},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Two and two."}]},
        {"role": "assistant", "content": "Four."},
        {"role": "user", "content": "Sure?"},
    ]
    await ask.create(given)
    assert engine.seen[-1].body["messages"][1] == {"role": "assistant", "content": "Four.", "reasoning": "Two and two."}


@EFFORT
async def test_the_engine_hears_of_the_effort(ask, engine, effort):
    response = await ask.create(reasoning={"effort": effort})
    assert engine.seen[-1].body["reasoning_effort"] == effort
    assert response["reasoning"] == {"effort": effort, "summary": None}


async def test_the_rounds_of_tools_each_have_their_own(ask, engine):
    math = Call("calculate_math", '{"expression": "2+2"}')
    engine.replies += [Reply("", (math,), reasoning="Count."), Reply("Four.", reasoning="Say it.")]
    response = await ask.create(tandem={"tools": ["calculate_math"]})
    assert types_of(response["output"]) == ["reasoning", "mcp_call", "reasoning", "message"]
    assert [item["content"][0]["text"] for item in response["output"][::2][:2]] == ["Count.", "Say it."]
