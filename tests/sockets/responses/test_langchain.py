"""LangChain's `ChatOpenAI`, unchanged, over /v1/responses."""

import httpx
import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from tests.engine_double import Call, Reply


class Key(BaseModel):
    """A key."""

    key: int


@tool
def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


@pytest.fixture
async def chat(orchestrator):
    async with httpx.AsyncClient() as http:  # its own is one for all, which nobody closes

        def make(**options) -> ChatOpenAI:
            return ChatOpenAI(
                model="double",
                base_url=f"{orchestrator.url}/v1",
                api_key=SecretStr("client-key"),
                http_async_client=http,
                use_responses_api=True,
                max_retries=0,
                **options,
            )

        yield make


def asked(engine):
    return [message["role"] for message in engine.seen[-1].body["messages"]]


async def test_invoke(chat, engine):
    engine.replies.append(Reply("Sunny."))
    answer = await chat().ainvoke([SystemMessage("Be brief."), HumanMessage("Rome?")])
    assert (answer.text, answer.usage_metadata["output_tokens"]) == ("Sunny.", 1)
    assert answer.response_metadata["id"].startswith("resp_")
    assert asked(engine) == ["system", "user"]


async def test_stream(chat, engine):
    engine.replies.append(Reply("It is sunny."))
    chunks = [chunk async for chunk in chat().astream("Rome?")]
    assert "".join(chunk.text for chunk in chunks) == "It is sunny."
    assert [chunk.usage_metadata["output_tokens"] for chunk in chunks if chunk.usage_metadata] == [3]


@pytest.mark.parametrize("stream", [False, True])
async def test_tools(chat, engine, stream):
    call = Call("get_weather", '{"city": "Rome"}')
    engine.replies += [Reply("Let me see.", (call,), reasoning="Hm."), Reply("Sunny.")]
    model = chat(streaming=stream).bind_tools([get_weather])
    question = HumanMessage("Rome?")
    called = await model.ainvoke([question])
    assert isinstance(called, AIMessage)
    (wanted,) = called.tool_calls
    assert (wanted["name"], wanted["args"]) == ("get_weather", {"city": "Rome"})
    result = await get_weather.ainvoke(wanted)
    assert isinstance(result, ToolMessage)
    assert (await model.ainvoke([question, called, result])).text == "Sunny."
    assert asked(engine) == ["user", "assistant", "tool"]
    assert engine.seen[-1].body["messages"][-1]["content"] == "sunny in Rome"


async def test_previous_response_id(chat, engine):
    engine.replies += [Reply("Hello Alice."), Reply("Alice.")]
    model = chat()
    first = await model.ainvoke("I am Alice.")
    second = await model.ainvoke("Who am I?", previous_response_id=first.response_metadata["id"])
    assert second.text == "Alice."
    assert asked(engine) == ["user", "assistant", "user"]


async def test_it_follows_the_previous_response_itself(chat, engine):
    engine.replies += [Reply("Hello Alice."), Reply("Alice.")]
    model = chat(use_previous_response_id=True)
    first = await model.ainvoke([HumanMessage("I am Alice.")])
    await model.ainvoke([HumanMessage("I am Alice."), first, HumanMessage("Who am I?")])
    assert asked(engine) == ["user", "assistant", "user"]


async def test_structured_output(chat, engine):
    engine.replies.append(Reply('{"key": 42}'))
    assert await chat().with_structured_output(Key).ainvoke("The key?") == Key(key=42)
    assert engine.seen[-1].body["response_format"]["type"] == "json_schema"
