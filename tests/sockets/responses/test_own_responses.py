"""A model that speaks Harmony is asked by its engine's own /v1/responses."""

import pytest

from tests.engine_double import Call, EngineDouble, Reply
from tests.sockets.responses.asking import says, text_of, types_of

STREAMED = pytest.mark.parametrize("stream", [False, True])
LOOK = {"type": "function", "name": "look", "description": "Look", "parameters": {"type": "object"}}
MODEL = {"model": "openai/gpt-oss-20b"}


@pytest.fixture
async def engine():
    async with EngineDouble(MODEL["model"]) as double:
        yield double


@STREAMED
async def test_it_answers_and_thinks(ask, engine, stream):
    engine.replies.append(Reply("It is Paris.", reasoning="France, so"))
    response = await ask.either("Which?", stream=stream, instructions="Be brief", **MODEL)
    assert types_of(response["output"]) == ["reasoning", "message"]
    assert (response["output"][0]["content"][0]["text"], text_of(response)) == ("France, so", "It is Paris.")
    assert response["usage"]["input_tokens_details"]["cached_tokens"] == 2
    assert response["usage"]["output_tokens_details"]["reasoning_tokens"] == 3
    asked = engine.seen[-1]
    assert asked.path == "/v1/responses"
    assert (asked.body["instructions"], asked.body["store"]) == ("Be brief", False)
    assert asked.body["input"] == [{"type": "message", "role": "user", "content": "Which?"}]


@STREAMED
async def test_it_goes_on_with_all_that_came_before(ask, engine, stream):
    engine.replies += [
        Reply("", (Call("calculate_math", '{"expression": "2+2"}'),), reasoning="Let me see"),
        Reply("", (Call("look", '{"at": "it"}'),)),
        Reply("Four."),
    ]
    fields = {"tools": [LOOK], "tandem": {"tools": ["calculate_math"]}, "reasoning": {"effort": "low"}, **MODEL}
    first = await ask.either("2+2?", stream=stream, **fields)
    assert types_of(first["output"]) == ["reasoning", "mcp_call", "function_call"]
    asked = engine.seen[-1].body
    assert types_of(asked["input"]) == ["message", "reasoning", "function_call", "function_call_output"]
    assert {tool["name"] for tool in asked["tools"]} == {"look", "calculate_math"}
    assert asked["reasoning"] == {"effort": "low"}
    output = {"type": "function_call_output", "call_id": first["output"][-1]["call_id"], "output": "seen"}
    second = await ask.either([output], stream=stream, previous_response_id=first["id"], **fields)
    assert text_of(second) == "Four."
    assert types_of(engine.seen[-1].body["input"])[-2:] == ["function_call", "function_call_output"]


@STREAMED
async def test_its_other_fields_go_along(ask, engine, stream):
    form = {"type": "json_schema", "name": "answer", "schema": {"type": "object"}}
    choice = {"type": "function", "name": "look"}
    await ask.either(
        [says("Hello")],
        stream=stream,
        text={"format": form},
        tools=[LOOK],
        tool_choice=choice,
        max_output_tokens=9,
        temperature=0.5,
        **MODEL,
    )
    asked = engine.seen[-1].body
    assert asked["text"] == {"format": form}
    assert asked["tool_choice"] == choice
    assert (asked["max_output_tokens"], asked["temperature"]) == (9, 0.5)
    assert not asked.keys() & {"messages", "max_tokens", "response_format", "stream_options"}


@STREAMED
async def test_a_cut_answer_is_incomplete(ask, engine, stream):
    engine.replies.append(Reply("one two", finish_reason="length"))
    response = await ask.either(stream=stream, **MODEL)
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})


async def test_failures_in_its_stream_are_told(ask, engine):
    for fault in ("cut", "error_event"):
        engine.replies.append(Reply("one two three", fault=fault, fault_after=3, between_pieces=0.05))
        stream = await ask.stream(**MODEL)
        assert stream.names[-2:] == ["error", "response.failed"]


async def test_a_model_with_a_fallback_is_asked_by_chat(asking, engine):
    ask = await asking(models=[{"name": MODEL["model"], "fallback": "other"}])
    await ask.create(**MODEL)
    assert engine.seen[-1].path == "/v1/chat/completions"
