"""The cases of Open Responses' compliance suite that are about HTTP, by their names there."""

import pytest

from tests.engine_double import Call, Reply
from tests.sockets.responses.asking import says, text_of, types_of

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the current weather for a location",
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string"}},
        "required": ["location"],
    },
}
CALL = Call("get_weather", '{"location": "San Francisco, CA"}')
PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="
STREAMED = pytest.mark.parametrize("stream", [False, True])


def asked(engine):
    return engine.seen[-1].body["messages"]


@STREAMED
async def test_basic_response(ask, engine, stream):
    engine.replies.append(Reply("Hello to you!"))
    response = await ask.either([says("Say hello in exactly 3 words.")], stream=stream)
    assert (response["status"], text_of(response)) == ("completed", "Hello to you!")
    assert response["usage"]["output_tokens"] == 3


async def test_assistant_phase(ask, engine):
    given = [
        {**says("I should answer with the saved number.", "assistant"), "phase": "commentary"},
        {**says("The number is four.", "assistant"), "phase": "final_answer"},
        says("Repeat only the number."),
    ]
    response = await ask.create(given)
    assert [message["role"] for message in asked(engine)] == ["assistant", "assistant", "user"]
    kept = (await ask.input_items(response["id"], order="asc"))["data"]
    assert [item.get("phase") for item in kept] == ["commentary", "final_answer", None]


async def test_streaming_response(ask, engine):
    engine.replies.append(Reply("1 2 3 4 5"))
    stream = await ask.stream([says("Count from 1 to 5.")])
    assert stream.names == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * 5,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert stream.text() == "1 2 3 4 5"
    assert stream.response["usage"]["output_tokens"] == 5


@pytest.mark.parametrize("role", ["system", "developer"])
async def test_system_prompt(ask, engine, role):
    await ask.create([says("You are a pirate.", role), says("Say hello.")])
    assert asked(engine) == [
        {"role": "system", "content": "You are a pirate."},
        {"role": "user", "content": "Say hello."},
    ]


@STREAMED
async def test_tool_calling(ask, engine, stream):
    engine.replies.append(Reply("", (CALL,)))
    response = await ask.either("What's the weather like in San Francisco?", stream=stream, tools=[WEATHER])
    (call,) = response["output"]
    assert (call["type"], call["name"], call["arguments"]) == ("function_call", CALL.name, CALL.arguments)
    assert response["tools"] == [{**WEATHER, "strict": None}]
    assert [tool["function"]["name"] for tool in engine.seen[-1].body["tools"]] == ["get_weather"]


async def test_tool_calling_streaming(ask, engine):
    engine.replies.append(Reply("Let me see.", (CALL, CALL)))
    stream = await ask.stream("What's the weather like?", tools=[WEATHER])
    assert types_of(stream.response["output"]) == ["message", "function_call", "function_call"]
    done = stream.of("response.function_call_arguments.done")
    assert [(event["arguments"], event["name"]) for event in done] == [(CALL.arguments, CALL.name)] * 2
    assert len(stream.of("response.function_call_arguments.delta")) == 4  # as they come, not at the end


@STREAMED
async def test_function_call_roundtrip(ask, engine, stream):
    engine.replies += [Reply("", (CALL,)), Reply("It is sunny.")]
    question = says("What's the weather like?")
    (call,) = (await ask.either([question], stream=stream, tools=[WEATHER]))["output"]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
    response = await ask.either([question, call, output], stream=stream, tools=[WEATHER])
    assert text_of(response) == "It is sunny."
    _, called, result = asked(engine)
    assert called["tool_calls"][0] == {
        "id": call["call_id"],
        "type": "function",
        "function": {"name": CALL.name, "arguments": CALL.arguments},
    }
    assert result == {"role": "tool", "tool_call_id": call["call_id"], "content": "sunny"}


@STREAMED
async def test_image_input(ask, engine, stream):
    parts = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": PIXEL}]
    await ask.either([{"type": "message", "role": "user", "content": parts}], stream=stream)
    text, image = asked(engine)[0]["content"]
    assert text == {"type": "text", "text": "What is this?"}
    assert image == {"type": "image_url", "image_url": {"url": PIXEL}}


async def test_file_input(ask, engine):
    note = {"type": "input_file", "filename": "note.txt", "file_data": "data:text/plain;base64,VGhlIGtleSBpcyA0Mi4="}
    paper = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}
    question = {"type": "input_text", "text": "What is the key?"}
    response = await ask.create([{"role": "user", "content": [note, paper, question]}])
    read, handed_on, _ = asked(engine)[0]["content"]
    assert read == {"type": "text", "text": "note.txt:\nThe key is 42."}
    assert handed_on == {"type": "file", "file": {"filename": "a.pdf", "file_data": paper["file_data"]}}
    (kept,) = (await ask.input_items(response["id"]))["data"]
    assert kept["content"] == [note, paper, question]


async def test_multi_turn(ask, engine):
    await ask.create([says("My name is Alice."), says("Hello Alice!", "assistant"), says("What is my name?")])
    assert asked(engine) == [
        {"role": "user", "content": "My name is Alice."},
        {"role": "assistant", "content": "Hello Alice!"},
        {"role": "user", "content": "What is my name?"},
    ]


@STREAMED
async def test_previous_response_id(ask, engine, stream):
    engine.replies += [Reply("Hello Alice!"), Reply("Alice.")]
    first = await ask.either("My name is Alice.", stream=stream)
    second = await ask.either("What is my name?", stream=stream, previous_response_id=first["id"])
    assert second["previous_response_id"] == first["id"]
    assert asked(engine) == [
        {"role": "user", "content": "My name is Alice."},
        {"role": "assistant", "content": "Hello Alice!"},
        {"role": "user", "content": "What is my name?"},
    ]


@pytest.mark.parametrize("text", ["x" * 300_000, 'Say: 100 %d "é" \u2028 \r\n\r\ndata: [DONE] %s'])
async def test_events_stay_whole(ask, engine, text):
    engine.replies.append(Reply(text))
    assert (await ask.stream()).text() == text
