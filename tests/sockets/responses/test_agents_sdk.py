"""The OpenAI Agents SDK (`agents`), unchanged, over /v1/responses."""

import agents
import pytest

from tests.engine_double import Call, Reply


@pytest.fixture(autouse=True)
def _no_traces():
    agents.set_tracing_disabled(disabled=True)  # they would go to OpenAI


@pytest.fixture
def model(client):
    return agents.OpenAIResponsesModel(model="double", openai_client=client)


@agents.function_tool
def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


@pytest.fixture
def agent(model):
    return agents.Agent("Weather", instructions="Be brief.", model=model, tools=[get_weather])


ROME = Call("get_weather", '{"city": "Rome"}')


def asked(engine):
    return [message["role"] for message in engine.seen[-1].body["messages"]]


async def test_a_run_with_tools(agent, engine):
    engine.replies += [Reply("", (ROME,), reasoning="Look."), Reply("Sunny.")]
    result = await agents.Runner.run(agent, "Rome?")
    assert result.final_output == "Sunny."
    messages = engine.seen[-1].body["messages"]
    assert asked(engine) == ["system", "user", "assistant", "tool"]
    assert (messages[2]["reasoning"], messages[3]["content"]) == ("Look.", "sunny in Rome")


async def test_a_streamed_run(agent, engine):
    engine.replies += [Reply("", (ROME,)), Reply("It is sunny.")]
    run = agents.Runner.run_streamed(agent, "Rome?")
    deltas, items = [], []
    async for event in run.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            deltas.append(event.data.delta)
        elif event.type == "run_item_stream_event":
            items.append(event.name)
    assert (run.final_output, "".join(deltas)) == ("It is sunny.", "It is sunny.")
    assert items == ["tool_called", "tool_output", "message_output_created"]


async def test_turns_over_previous_response_id(agent, engine):
    engine.replies += [Reply("", (ROME,)), Reply("Sunny."), Reply("", (ROME,)), Reply("Still.")]
    first = await agents.Runner.run(agent, "Rome?")
    second = await agents.Runner.run(agent, "And now?", previous_response_id=first.last_response_id)
    assert second.final_output == "Still."
    assert len(second.to_input_list()) == 4  # the server has the rest
    turn = ["user", "assistant", "tool"]
    assert asked(engine) == ["system", *turn, "assistant", *turn]


async def test_the_sdk_follows_the_previous_response_itself(agent, engine):
    engine.replies += [Reply("", (ROME,)), Reply("", (ROME,)), Reply("Sunny.")]
    await agents.Runner.run(agent, "Rome?", auto_previous_response_id=True)
    assert asked(engine) == ["system", "user", "assistant", "tool", "assistant", "tool"]


async def test_a_session_in_a_conversation(agent, client, engine):
    engine.replies += [Reply("", (ROME,)), Reply("Sunny."), Reply("Still.")]
    session = agents.OpenAIConversationsSession(openai_client=client)
    await agents.Runner.run(agent, "Rome?", session=session)
    result = await agents.Runner.run(agent, "And now?", session=session)
    assert result.final_output == "Still."
    assert asked(engine) == ["system", "user", "assistant", "tool", "assistant", "user"]
    kept = await session.get_items()
    assert [item.get("type") for item in kept] == [
        "message",
        "function_call",
        "function_call_output",
        "message",
        "message",
        "message",
    ]
    assert await session.pop_item() == kept[-1]
    await session.clear_session()


async def test_turns_in_a_conversation(agent, client, engine):
    engine.replies += [Reply("", (ROME,)), Reply("Sunny."), Reply("Still.")]
    conversation = await client.conversations.create()
    await agents.Runner.run(agent, "Rome?", conversation_id=conversation.id)
    await agents.Runner.run(agent, "And now?", conversation_id=conversation.id)
    assert asked(engine) == ["system", "user", "assistant", "tool", "assistant", "user"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_handoff(agent, model, engine, stream):
    engine.replies += [Reply("", (Call("transfer_to_weather"),)), Reply("", (ROME,)), Reply("Sunny.")]
    desk = agents.Agent("Desk", instructions="Hand on.", model=model, handoffs=[agent])
    result: agents.RunResultBase
    if stream:
        result = streamed = agents.Runner.run_streamed(desk, "Rome?")
        assert [event async for event in streamed.stream_events()]
    else:
        result = await agents.Runner.run(desk, "Rome?")
    assert (result.final_output, result.last_agent.name) == ("Sunny.", "Weather")
    assert engine.seen[-1].body["messages"][0]["content"] == "Be brief."
    assert asked(engine) == ["system", "user", "assistant", "tool", "assistant", "tool"]


async def test_calls_of_one_turn(agent, engine):
    engine.replies += [Reply("", (ROME, Call("get_weather", '{"city": "Oslo"}'))), Reply("Both.")]
    await agents.Runner.run(agent, "Rome, Oslo?")
    _, _, called, rome, oslo = engine.seen[-1].body["messages"]
    assert len(called["tool_calls"]) == 2
    assert [rome["content"], oslo["content"]] == ["sunny in Rome", "sunny in Oslo"]
