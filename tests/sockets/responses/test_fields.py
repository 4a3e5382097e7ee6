"""The fields of a request for a response."""

from typing import Any

import pytest

from tests.engine_double import Call, Reply
from tests.sockets.responses.asking import says, text_of

STREAMED = pytest.mark.parametrize("stream", [False, True])
SCHEMA = {"type": "object", "properties": {"key": {"type": "integer"}}}
FORMAT = {"type": "json_schema", "name": "keys", "schema": SCHEMA, "strict": True}
FUNCTION = {"type": "function", "name": "look", "parameters": {"type": "object"}}


@STREAMED
async def test_an_answer_that_was_cut_is_incomplete(ask, engine, stream):
    engine.replies.append(Reply("Once upon a", finish_reason="length"))
    response = await ask.either(stream=stream, max_output_tokens=3)
    assert engine.seen[-1].body["max_tokens"] == 3
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert response["output"][-1]["status"] == "incomplete"
    assert text_of(response) == "Once upon a"


@STREAMED
async def test_a_call_that_was_cut_is_incomplete(ask, engine, stream):
    engine.replies.append(Reply("", (Call("look", '{"at": "'),), finish_reason="length"))
    response = await ask.either(stream=stream, tools=[FUNCTION])
    (call,) = response["output"]
    assert (response["status"], call["status"], call["arguments"]) == ("incomplete", "incomplete", '{"at": "')


@STREAMED
async def test_only_what_comes_last_was_cut(ask, engine, stream):
    calls = (Call("look", '{"at": "it"}'), Call("look", '{"at": "'))
    engine.replies.append(Reply("Let me see.", calls, finish_reason="length"))
    response = await ask.either(stream=stream, tools=[FUNCTION])
    assert [item["status"] for item in response["output"]] == ["completed", "completed", "incomplete"]


async def test_a_filter_makes_it_incomplete_too(ask, engine):
    engine.replies.append(Reply("Once", finish_reason="content_filter"))
    assert (await ask.create())["incomplete_details"] == {"reason": "content_filter"}


async def test_a_schema_reaches_the_engine(ask, engine):
    engine.replies.append(Reply('{"key": 42}'))
    response = await ask.create(text={"format": FORMAT})
    schema = {"name": "keys", "schema": SCHEMA, "strict": True}
    assert engine.seen[-1].body["response_format"] == {"type": "json_schema", "json_schema": schema}
    assert response["text"]["format"] == {**FORMAT, "description": None}


async def test_any_json_reaches_the_engine(ask, engine):
    response = await ask.create(text={"format": {"type": "json_object"}})
    assert engine.seen[-1].body["response_format"] == {"type": "json_object"}
    assert response["text"] == {"format": {"type": "json_object"}}


async def test_plain_text_needs_no_format(ask, engine):
    response = await ask.create(text={"verbosity": "low"})
    assert "response_format" not in engine.seen[-1].body
    assert response["text"] == {"format": {"type": "text"}, "verbosity": "low"}


async def test_sampling_reaches_the_engine(ask, engine):
    wanted = {"temperature": 0, "top_p": 0.5, "presence_penalty": 1, "frequency_penalty": -1}
    response = await ask.create(**wanted)
    assert wanted.items() <= engine.seen[-1].body.items()
    assert wanted.items() <= response.items()


async def test_what_is_left_out_is_left_to_the_engine(ask, engine):
    await ask.create()
    assert set(engine.seen[-1].body) == {"model", "messages"}


async def test_what_only_the_engine_knows_goes_on_to_it(ask, engine):
    await ask.create(top_k=5, repetition_penalty=1.1)
    assert (engine.seen[-1].body["top_k"], engine.seen[-1].body["repetition_penalty"]) == (5, 1.1)


async def test_every_field_is_echoed(ask):
    wanted = {
        "instructions": "Be brief.",
        "max_output_tokens": 100,
        "max_tool_calls": 3,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "prompt_cache_key": "key",
        "safety_identifier": "somebody",
        "tool_choice": "none",
        "top_logprobs": 2,
        "truncation": "auto",
    }
    assert wanted.items() <= (await ask.create(**wanted)).items()


async def test_metadata_up_to_its_bounds(ask):
    metadata = {f"{n:064d}": "x" * 512 for n in range(16)}
    response = await ask.create(metadata=metadata)
    assert response["metadata"] == metadata
    assert (await ask.get(response["id"]))["metadata"] == metadata


MESSAGE = says("Hello")
BAD: list[tuple[dict[str, Any], str]] = [
    ({"input": None}, "input"),
    ({"input": ""}, "input"),
    ({"input": []}, "input"),
    ({"input": 5}, "input"),
    ({"input": ["x"]}, "input.0"),
    ({"input": [{"type": "unheard_of"}]}, "input.0.type"),
    ({"input": [MESSAGE, {**MESSAGE, "role": "king"}]}, "input.1.role"),
    ({"input": [{**MESSAGE, "content": 5}]}, "input.0.content"),
    ({"input": [{**MESSAGE, "content": [{"type": "smell"}]}]}, "input.0.content.0.type"),
    ({"input": [{**MESSAGE, "content": [{"type": "input_text"}]}]}, "input.0.content.0.text"),
    ({"input": [{**MESSAGE, "content": [{"type": "input_image"}]}]}, "input.0.content.0.image_url"),
    ({"input": [{**MESSAGE, "content": [{"type": "input_image", "file_id": "f"}]}]}, "input.0.content.0.file_id"),
    ({"input": [{**MESSAGE, "content": [{"type": "input_file", "file_url": "f"}]}]}, "input.0.content.0.file_url"),
    ({"input": [{"type": "function_call", "call_id": "c", "name": "n"}]}, "input.0.arguments"),
    ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input.0.output"),
    ({"input": [{"type": "function_call_output", "output": "o"}]}, "input.0.call_id"),
    ({"input": [{"type": "reasoning", "summary": "x"}]}, "input.0.summary"),
    ({"input": [{"type": "compaction_trigger"}, MESSAGE]}, "input.0"),
    ({"input": [{"type": "mcp_approval_response", "approval_request_id": "r"}]}, "input.0.approve"),
    ({"model": 5}, "model"),
    ({"model": ""}, "model"),
    ({"instructions": 5}, "instructions"),
    ({"previous_response_id": ""}, "previous_response_id"),
    ({"conversation": 5}, "conversation"),
    ({"conversation": {}}, "conversation"),
    ({"store": "yes"}, "store"),
    ({"stream": 1}, "stream"),
    ({"background": True, "store": False}, "background"),
    ({"conversation": "conv_x", "store": False}, "conversation"),
    ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
    ({"include": ["everything"]}, "include"),
    ({"max_output_tokens": 0}, "max_output_tokens"),
    ({"max_output_tokens": 1.5}, "max_output_tokens"),
    ({"max_tool_calls": True}, "max_tool_calls"),
    ({"temperature": 2.1}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"top_p": -0.1}, "top_p"),
    ({"presence_penalty": 3}, "presence_penalty"),
    ({"frequency_penalty": -3}, "frequency_penalty"),
    ({"top_logprobs": 21}, "top_logprobs"),
    ({"reasoning": "hard"}, "reasoning"),
    ({"reasoning": {"effort": "heroic"}}, "reasoning.effort"),
    ({"text": "plain"}, "text"),
    ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
    ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
    ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
    ({"tools": {}}, "tools"),
    ({"tools": [FUNCTION, {}]}, "tools.1"),
    ({"tools": [{"type": "crystal_ball"}]}, "tools.0.type"),
    ({"tools": [{"type": "function"}]}, "tools.0.name"),
    ({"tools": [{"type": "custom"}]}, "tools.0.name"),
    ({"tools": [{"type": "web_search"}]}, "tools.0"),
    ({"tools": [{"type": "mcp", "server_label": "x"}]}, "tools.0.server_label"),
    ({"tools": [{"type": "file_search"}]}, "tools.0.vector_store_ids"),
    ({"tools": [FUNCTION], "tool_choice": "maybe"}, "tool_choice"),
    ({"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "other"}}, "tool_choice"),
    ({"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools"}}, "tool_choice.tools"),
    ({"truncation": "hard"}, "truncation"),
    ({"context_management": {}}, "context_management"),
    ({"context_management": [{"type": "x"}]}, "context_management.0.type"),
    ({"metadata": "x"}, "metadata"),
    ({"metadata": {str(n): "x" for n in range(17)}}, "metadata"),
    ({"metadata": {"x" * 65: "x"}}, f"metadata.{'x' * 64}"),
    ({"metadata": {"x": "x" * 513}}, "metadata.x"),
    ({"metadata": {"x": 5}}, "metadata.x"),
    ({"prompt": {"id": "p"}}, "prompt"),
    ({"moderation": {"model": "m"}}, "moderation"),
]


async def test_every_bad_field_is_named(ask, engine):
    for fields, param in BAD:
        for stream in (False, True):
            error = await ask.refused(400, None, **{"input": "Hello", "stream": stream, **fields})
            assert (error["param"], error["type"]) == (param, "invalid_request_error"), fields
    assert not engine.seen


async def test_the_body_has_to_be_an_object(ask):
    for body in (b"", b"[]", b"{", b'"x"'):
        await ask.call("POST", "/responses", 400, data=body)


async def test_an_unknown_model(ask):
    assert (await ask.refused(404, model="unheard-of"))["code"] == "model_not_found"


async def test_the_default_model(ask):
    assert (await ask.create(model=None))["model"] == "double"


@STREAMED
async def test_an_empty_answer_is_an_empty_message(ask, engine, stream):
    engine.replies.append(Reply(""))
    (message,) = (await ask.either(stream=stream))["output"]
    assert message["content"][0]["text"] == ""
