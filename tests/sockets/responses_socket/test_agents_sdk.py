"""The OpenAI Agents SDK, unchanged, over its own WebSocket transport."""

import agents
import openai
import pytest

from tests.engine_double import Call, Reply
from tests.sockets.responses_socket.shared import heard

ROME = Call("get_weather", '{"city": "Rome"}')


@pytest.fixture
async def model(orchestrator):
    agents.set_tracing_disabled(disabled=True)  # they would go to OpenAI
    client = openai.AsyncOpenAI(base_url=f"{orchestrator.url}/v1", api_key="any", max_retries=0)
    provider = agents.OpenAIProvider(openai_client=client, use_responses=True, use_responses_websocket=True)
    yield provider.get_model("double")
    await provider.aclose()
    await client.close()


def agent_with(model, *, store):
    @agents.function_tool
    def get_weather(city: str) -> str:
        """Tell the weather."""
        return f"sunny in {city}"

    settings = agents.ModelSettings(store=store)
    return agents.Agent("Weather", instructions="Be brief.", model=model, tools=[get_weather], model_settings=settings)


@pytest.mark.parametrize("store", [True, False])
async def test_runs_with_tools_go_on_from_each_other(model, engine, store):
    engine.replies += [Reply("", (ROME,)), Reply("Sunny."), Reply("Yes.")]
    agent = agent_with(model, store=store)
    first = await agents.Runner.run(agent, "Rome?", auto_previous_response_id=True)
    assert first.final_output == "Sunny."
    second = await agents.Runner.run(agent, "Sure?", previous_response_id=first.last_response_id)
    assert second.final_output == "Yes."
    assert heard(engine.seen[-1])[-3:] == ["sunny in Rome", "Sunny.", "Sure?"]
    assert type(model).__name__ == "OpenAIResponsesWSModel"


async def test_a_streamed_run(model, engine):
    engine.replies += [Reply("", (ROME,)), Reply("It is sunny.")]
    run = agents.Runner.run_streamed(agent_with(model, store=False), "Rome?")
    names = [event.name async for event in run.stream_events() if event.type == "run_item_stream_event"]
    assert (run.final_output, names) == ("It is sunny.", ["tool_called", "tool_output", "message_output_created"])


async def test_what_is_not_there_to_be_continued(model):
    with pytest.raises(RuntimeError, match="previous_response_not_found"):
        await agents.Runner.run(agent_with(model, store=False), "Go on", previous_response_id="resp_missing")
