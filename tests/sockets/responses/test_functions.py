"""The client's own tools, and the choice among tools."""

from typing import Any

import orjson
import pytest

from tests.engine_double import Call, Reply
from tests.engine_double.canned import CannedEngine, streamed
from tests.sockets.responses.asking import ResponsesClient, text_of, types_of
from tests.sockets.running import config_for

STREAMED = pytest.mark.parametrize("stream", [False, True])
LOOK = {"type": "function", "name": "look", "parameters": {"type": "object"}}
JUMP = {"type": "function", "name": "jump", "description": "Jump high.", "parameters": {"type": "object"}}
MATH = Call("calculate_math", '{"expression": "2+2"}')
SHELL = {"type": "custom", "name": "shell", "description": "Run it."}


def offered(engine):
    return sorted(tool["function"]["name"] for tool in engine.seen[-1].body.get("tools") or ())


@STREAMED
async def test_calls_of_one_turn(ask, engine, stream):
    engine.replies.append(Reply("Both.", (Call("look", '{"at": 1}'), Call("jump", "{}"))))
    response = await ask.either(stream=stream, tools=[LOOK, JUMP])
    assert types_of(response["output"]) == ["message", "function_call", "function_call"]
    assert [call["arguments"] for call in response["output"][1:]] == ['{"at": 1}', "{}"]
    assert len({call["call_id"] for call in response["output"][1:]}) == 2
    assert response["tools"] == [{**LOOK, "description": None, "strict": None}, {**JUMP, "strict": None}]


@STREAMED
async def test_several_rounds_of_a_chain(ask, engine, stream):
    engine.replies += [Reply("", (Call("look"),)), Reply("", (Call("jump"),)), Reply("Done.")]
    given: Any = "Look, then jump."
    last = None
    for _ in range(2):
        response = await ask.either(given, stream=stream, tools=[LOOK, JUMP], previous_response_id=last)
        last, call = response["id"], response["output"][-1]
        given = [{"type": "function_call_output", "call_id": call["call_id"], "output": f"{call['name']} ok"}]
    assert text_of(await ask.either(given, stream=stream, tools=[LOOK, JUMP], previous_response_id=last)) == "Done."
    roles = [message["role"] for message in engine.seen[-1].body["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "tool"]


async def test_a_result_with_parts(ask, engine):
    engine.replies += [Reply("", (Call("look"),)), Reply("Red.")]
    first = await ask.create(tools=[LOOK])
    image = {"type": "input_image", "image_url": "data:image/gif;base64,AA=="}
    parts = [{"type": "input_text", "text": "it is"}, image]
    output = {"type": "function_call_output", "call_id": first["output"][0]["call_id"], "output": parts}
    second = await ask.create([output], previous_response_id=first["id"], tools=[LOOK])
    content = engine.seen[-1].body["messages"][-1]["content"]
    assert [part["type"] for part in content] == ["text", "image_url"]
    (kept,) = (await ask.input_items(second["id"]))["data"]
    assert kept["output"] == [parts[0], {**image, "detail": "auto"}]


@STREAMED
async def test_a_custom_tool_takes_a_text(ask, engine, stream):
    engine.replies += [Reply("", (Call("shell", '{"input": "ls -l\\n"}'),)), Reply("Two files.")]
    first = await ask.either(stream=stream, tools=[SHELL])
    (call,) = first["output"]
    assert (call["type"], call["name"], call["input"]) == ("custom_tool_call", "shell", "ls -l\n")
    output = {"type": "custom_tool_call_output", "call_id": call["call_id"], "output": "a b"}
    second = await ask.either([output], stream=stream, previous_response_id=first["id"], tools=[SHELL])
    assert text_of(second) == "Two files."
    _, called, result = engine.seen[-1].body["messages"]
    assert called["tool_calls"][0]["function"] == {"name": "shell", "arguments": '{"input":"ls -l\\n"}'}
    assert (result["role"], result["content"]) == ("tool", "a b")
    assert types_of((await ask.input_items(second["id"]))["data"]) == ["custom_tool_call_output"]


async def test_a_custom_tools_grammar_reaches_the_model(ask, engine):
    grammar = {"type": "grammar", "syntax": "lark", "definition": 'start: "a"+'}
    await ask.create(tools=[{**SHELL, "format": grammar}])
    assert 'start: "a"+' in engine.seen[-1].body["tools"][0]["function"]["description"]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("none", "none"),
        ("required", "required"),
        ({"type": "function", "name": "look"}, {"type": "function", "function": {"name": "look"}}),
    ],
)
async def test_the_choice_reaches_the_engine(ask, engine, choice, sent):
    response = await ask.create(tools=[LOOK, JUMP], tool_choice=choice)
    assert engine.seen[-1].body["tool_choice"] == sent
    assert response["tool_choice"] == choice


@STREAMED
@pytest.mark.parametrize("mode", ["auto", "required"])
async def test_allowed_tools_bound_what_is_offered(ask, engine, stream, mode):
    engine.replies.append(Reply("", (Call("look"),)))
    choice = {"type": "allowed_tools", "mode": mode, "tools": [{"type": "function", "name": "look"}]}
    response = await ask.either(stream=stream, tools=[LOOK, JUMP], tool_choice=choice)
    assert types_of(response["output"]) == ["function_call"]
    assert offered(engine) == ["look"]
    assert engine.seen[-1].body.get("tool_choice", "auto") == mode
    assert response["tool_choice"] == choice
    assert [tool["name"] for tool in response["tools"]] == ["look", "jump"]


@STREAMED
async def test_a_function_outside_the_allowed_ones_is_not_called(ask, engine, stream):
    engine.replies += [Reply("", (Call("jump"),)), Reply("I may not.")]
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]}
    response = await ask.either(stream=stream, tools=[LOOK, JUMP], tool_choice=choice)
    assert "function_call" not in types_of(response["output"])
    assert text_of(response) == "I may not."


@STREAMED
async def test_a_tool_of_the_server_outside_the_allowed_ones_does_not_run(ask, engine, stream):
    engine.replies += [Reply("", (MATH,)), Reply("I may not.")]
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]}
    tandem = {"tools": ["calculate_math"]}
    response = await ask.either(stream=stream, tools=[LOOK], tandem=tandem, tool_choice=choice)
    assert offered(engine) == ["look"]
    assert text_of(response) == "I may not."
    result = engine.seen[-1].body["messages"][-1]
    assert result["role"] == "tool"
    assert "4" not in result["content"]


async def test_a_custom_tool_may_be_chosen(ask, engine):
    choice = {"type": "custom", "name": "shell"}
    response = await ask.create(tools=[LOOK, SHELL], tool_choice=choice)
    assert offered(engine) == ["shell"]
    assert engine.seen[-1].body["tool_choice"] == {"type": "function", "function": {"name": "shell"}}
    assert response["tool_choice"] == choice


async def test_calls_one_by_one(ask, engine):
    await ask.create(tools=[LOOK], parallel_tool_calls=False)
    assert engine.seen[-1].body["parallel_tool_calls"] is False


async def test_an_engine_may_number_its_calls_otherwise(serve, tmp_path):
    first, second = ({"index": n, "id": f"call-{n}", "function": {"name": "look", "arguments": "{}"}} for n in (3, 7))
    choices: list[dict] = [{"delta": {"tool_calls": [call]}} for call in (first, second)]
    choices.append({"delta": {}, "finish_reason": "tool_calls"})
    answer = streamed(*(b"data: %b\n\n" % orjson.dumps({"choices": [choice]}) for choice in choices))
    async with CannedEngine(answer) as engine:
        upstreams = [{"name": "canned", "url": engine.url, "model": engine.model}]
        database = {"url": f"sqlite:///{tmp_path}/tandem.db"}
        ask = ResponsesClient((await serve(config_for(upstreams=upstreams, database=database))).client)
        output = (await ask.stream(tools=[LOOK])).response["output"]
    assert [(call["type"], call["call_id"]) for call in output] == [
        ("function_call", "call-3"),
        ("function_call", "call-7"),
    ]
