"""The `openai` package, unchanged: /v1/responses and /v1/conversations."""

import openai
import pytest
from pydantic import BaseModel

from tests.engine_double import Call, Reply
from tests.sockets.surface.asking import TEXT

WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": False}


class Key(BaseModel):
    key: int


async def test_create(client):
    response = await client.responses.create(model="double", input="Hello")
    assert (response.output_text, response.status) == (TEXT, "completed")
    assert response.usage.total_tokens == 21


async def test_create_in_a_stream(client):
    stream = await client.responses.create(model="double", input="Hello", stream=True)
    events = [event async for event in stream]
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert (text, events[-1].response.output_text) == (TEXT, TEXT)


async def test_stream_helper(client, engine):
    engine.replies.append(Reply("Sunny.", (Call("get_weather", '{"in": "Rome"}'),), reasoning="Look."))
    async with client.responses.stream(model="double", input="Hello", tools=[WEATHER]) as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()
    assert [item.type for item in final.output] == ["reasoning", "message", "function_call"]
    assert events[-1].type == "response.completed"
    assert [event.snapshot for event in events if event.type == "response.output_text.delta"][-1] == "Sunny."


async def test_parse(client, engine):
    engine.replies.append(Reply('{"key": 42}'))
    response = await client.responses.parse(model="double", input="Hello", text_format=Key)
    assert response.output_parsed == Key(key=42)
    assert engine.seen[-1].body["response_format"]["json_schema"]["name"] == "Key"


async def test_retrieve_and_delete(client):
    made = await client.responses.create(model="double", input="Hello")
    assert await client.responses.retrieve(made.id) == made
    await client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(made.id)


async def test_input_items(client):
    given = [{"role": "user", "content": str(n)} for n in range(5)]
    made = await client.responses.create(model="double", input=given)
    items = client.responses.input_items.list(made.id, limit=2, order="asc")  # which follows the pages
    assert [item.content[0].text async for item in items] == list("01234")


async def test_previous_response(client, engine):
    first = await client.responses.create(model="double", input="Hello")
    second = await client.responses.create(model="double", input="Again", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert len(engine.seen[-1].body["messages"]) == 3


async def test_what_came_out_goes_in_again(client, engine):
    engine.replies.append(Reply("Well.", (Call("get_weather"),), reasoning="Hm."))
    given = [{"role": "user", "content": "Hello"}]
    first = await client.responses.create(model="double", input=given, tools=[WEATHER])
    given += first.output
    given.append({"type": "function_call_output", "call_id": first.output[-1].call_id, "output": "sunny"})
    second = await client.responses.create(model="double", input=given, tools=[WEATHER])
    assert second.output_text == "The result is sunny."
    assert [message["role"] for message in engine.seen[-1].body["messages"]] == ["user", "assistant", "tool"]


async def test_conversations(client, engine):
    conversation = await client.conversations.create(metadata={"a": "b"}, items=[{"role": "user", "content": "1"}])
    await client.conversations.items.create(conversation.id, items=[{"role": "user", "content": "2"}])
    await client.responses.create(model="double", input="3", conversation=conversation.id)
    items = [item async for item in client.conversations.items.list(conversation.id, limit=3, order="asc")]
    assert [item.content[0].text for item in items] == ["1", "2", "3", TEXT]
    item = await client.conversations.items.retrieve(items[0].id, conversation_id=conversation.id)
    assert item == items[0]
    await client.conversations.items.delete(item.id, conversation_id=conversation.id)
    assert (await client.conversations.update(conversation.id, metadata={"c": "d"})).metadata == {"c": "d"}
    assert (await client.conversations.retrieve(conversation.id)).metadata == {"c": "d"}
    assert (await client.conversations.delete(conversation.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await client.conversations.retrieve(conversation.id)


async def test_errors(client):
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(model="double", input="Hello", temperature=5)
    assert refused.value.param == "temperature"
    with pytest.raises(openai.NotFoundError, match="resp_unknown"):
        await client.responses.create(model="double", input="Hello", previous_response_id="resp_unknown")


async def test_an_error_in_a_stream(client, engine):
    engine.replies.append(Reply("a b c d", fault="error_event", fault_after=3))
    stream = await client.responses.create(model="double", input="Hello", stream=True)
    events = [event async for event in stream]
    assert [event.type for event in events[-2:]] == ["error", "response.failed"]
    assert events[-1].response.error.message == "scripted"
