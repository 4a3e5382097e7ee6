"""The tool loop over real sockets: blocking, streamed, mixed, bounded."""

import asyncio

import orjson
import pytest

from tests.engine_double import Call, Reply
from tests.sockets.open_meteo import OpenMeteo
from tests.sockets.running import MATH_TOOL, QUESTION, Orchestrator, config_for, question, until

WEATHER_TOOL = {
    "type": "function",
    "function": {"name": "get_current_weather", "parameters": {"type": "object", "properties": {}}},
}
CLIENT_TOOL = {"type": "function", "function": {"name": "book_table", "parameters": {"type": "object"}}}
ASK = [{"role": "user", "content": "Calculate 123 * 456"}]


def math(expression):
    return Call("calculate_math", orjson.dumps({"expression": expression}).decode())


@pytest.fixture(params=[False, True], ids=["blocking", "streamed"])
def ask(request, client):
    """Asks with the openai client and returns (text, tool calls, finish reason, usage), streamed or not."""

    async def blocking(**fields):
        answer = await client.chat.completions.create(**{"model": "double", "messages": ASK, **fields})
        choice = answer.choices[0]
        calls = [(call.function.name, call.function.arguments) for call in choice.message.tool_calls or ()]
        return choice.message.content or "", calls, choice.finish_reason, answer.usage

    async def streamed(**fields):
        options = {"stream": True, "stream_options": {"include_usage": True}}
        text, reason, usage, ids = "", None, None, set()
        calls: dict[int, tuple[str, str]] = {}
        async for chunk in await client.chat.completions.create(
            **{"model": "double", "messages": ASK, **options, **fields}
        ):
            ids.add(chunk.id)
            usage = chunk.usage or usage
            for choice in chunk.choices:
                text += choice.delta.content or ""
                for call in choice.delta.tool_calls or ():
                    name, arguments = calls.get(call.index, ("", ""))
                    new = call.function
                    calls[call.index] = name + (new.name or ""), arguments + (new.arguments or "")
                reason = choice.finish_reason or reason
        assert len(ids) == 1
        return text, list(calls.values()), reason, usage

    return streamed if request.param else blocking


async def test_a_calculation(ask, engine):
    text, calls, reason, usage = await ask(tools=[MATH_TOOL])
    assert (text, calls, reason) == ("The result is 56088.", [], "stop")
    first, second = engine.seen
    assert first.body["tools"] == [MATH_TOOL]
    called = second.body["messages"][1]
    assert called["tool_calls"][0]["function"] == {"name": "calculate_math", "arguments": '{"expression":"123 * 456"}'}
    result = {
        "role": "tool",
        "tool_call_id": called["tool_calls"][0]["id"],
        "name": "calculate_math",
        "content": "56088",
    }
    assert second.body["messages"] == [*ASK, called, result]
    assert usage.prompt_tokens == 7 * (1 + 3)
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


async def test_two_tools_in_one_turn_and_a_round_after(ask, engine):
    engine.replies += [Reply("", (math("2*3"), math("1/0"))), Reply("", (math("6+1"),)), Reply("Seven.")]
    assert (await ask(tools=[MATH_TOOL]))[0] == "Seven."
    contents = [message["content"] for message in engine.seen[2].body["messages"] if message["role"] == "tool"]
    assert contents == ["6", '{"error":"division by zero"}', "7"]


async def test_text_beside_a_call_is_kept_in_the_conversation(ask, engine):
    engine.replies += [Reply("Let me see.", (math("2*3"),)), Reply(" Six.")]
    await ask(tools=[MATH_TOOL])
    assert engine.seen[1].body["messages"][1]["content"] == "Let me see."


async def test_the_clients_tools_come_back_to_it(ask, engine):
    call = Call("book_table", '{"seats": 2}')
    engine.replies += [Reply("", (math("1+1"),)), Reply("", (call, math("3+3")))]
    _, calls, reason, _ = await ask(tools=[MATH_TOOL, CLIENT_TOOL])
    assert calls == [("book_table", '{"seats": 2}')]
    assert reason == "tool_calls"
    assert len(engine.seen) == 2


async def test_a_forced_tool_is_forced_once(ask, engine):
    choice = {"type": "function", "function": {"name": "calculate_math"}}
    assert (await ask(tools=[MATH_TOOL], tool_choice=choice))[0] == "The result is 56088."
    assert [seen.body["tool_choice"] for seen in engine.seen] == [choice, "auto"]


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (Call("calculate_math", '{"expression": "1+'), "not JSON"),
        (Call("calculate_math", '{"expresion": "1+1"}'), '"expression" is a required property'),
        (Call("calculate_math", '"1+1"'), "do not fit"),
        (Call("calculate_maths", "{}"), "there is no tool"),
    ],
)
async def test_a_broken_call_is_corrected_once(ask, engine, call, complaint):
    engine.replies += [Reply("", (call,)), Reply("", (math("1+1"),)), Reply("Two.")]
    assert (await ask(tools=[MATH_TOOL]))[0] == "Two."
    told = engine.seen[1].body["messages"][-1]["content"]
    assert complaint in orjson.loads(told)["error"]


async def test_a_call_that_stays_broken_is_an_error(orchestrator, engine):
    engine.rule = lambda _: Reply("", (Call("calculate_math", "{"),))
    status, body = await orchestrator.chat(tools=[MATH_TOOL])
    assert (status, body["error"]["code"]) == (502, "invalid_tool_arguments")
    assert len(engine.seen) == 2


async def test_a_call_that_stays_broken_ends_a_stream(orchestrator, engine):
    engine.rule = lambda _: Reply("", (Call("calculate_math", "{"),))
    text = await orchestrator.stream(tools=[MATH_TOOL])
    assert "[DONE]" not in text
    assert '"code":"invalid_tool_arguments"' in text.splitlines()[-2]


async def test_rounds_end_in_a_pass_without_tools(serve, engine):
    orchestrator = await serve(config_for(engine, tools={"maxRounds": 3}))
    engine.rule = lambda request: (
        Reply("Enough.") if request.get("tool_choice") == "none" else Reply("", (math("1+1"),))
    )
    status, body = await orchestrator.chat(tools=[MATH_TOOL])
    assert (status, body["choices"][0]["message"]["content"]) == (200, "Enough.")
    assert len(engine.seen) == 4


async def test_calls_are_bounded(serve, engine):
    orchestrator = await serve(config_for(engine, tools={"maxCalls": 3}))
    engine.rule = lambda _: Reply("", (math("1+1"), math("2+2")))
    status, body = await orchestrator.chat(tools=[MATH_TOOL])
    assert (status, body["error"]["code"]) == (502, "tool_limit")
    assert len([m for m in engine.seen[-1].body["messages"] if m["role"] == "tool"]) == 3


async def test_several_choices_and_tools_do_not_go_together(orchestrator):
    status, body = await orchestrator.chat(tools=[MATH_TOOL], n=2)
    assert (status, body["error"]["param"]) == (400, "n")


async def test_a_disabled_tool_is_the_clients(serve, engine):
    orchestrator = await serve(config_for(engine, tools={"enabled": ["get_current_weather"]}))
    _, body = await orchestrator.chat(tools=[MATH_TOOL], messages=ASK)
    assert body["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "calculate_math"


async def test_what_is_said_before_a_call_reaches_client_and_next_pass(ask, engine):
    engine.replies += [
        Reply("Let me see.", (math("1+1"),), reasoning="Add."),
        Reply(" So:", (math("2+2"),), reasoning="Again."),
        Reply(" Two and four."),
    ]
    assert (await ask(tools=[MATH_TOOL]))[0] == "Let me see. So: Two and four."
    _, first, _, second, _ = engine.seen[2].body["messages"]
    assert [(turn["content"], turn["reasoning"]) for turn in (first, second)] == [
        ("Let me see.", "Add."),
        (" So:", "Again."),
    ]


async def test_whole_answers_and_streams_say_the_same(orchestrator, engine):
    said = []
    for stream in (False, True):
        engine.replies += [Reply("One", (math("1+1"),), reasoning="Hm."), Reply(" two", reasoning=" Well.")]
        if stream:
            text = await orchestrator.stream(tools=[MATH_TOOL])
            events = [orjson.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
            deltas = [choice["delta"] for event in events for choice in event["choices"]]
            said.append(["".join(delta.get(name) or "" for delta in deltas) for name in ("content", "reasoning")])
        else:
            message = (await orchestrator.chat(tools=[MATH_TOOL]))[1]["choices"][0]["message"]
            said.append([message["content"], message["reasoning"]])
    assert said == [["One two", "Hm. Well."]] * 2


async def test_text_goes_with_the_clients_own_calls(ask, engine):
    engine.replies += [Reply("One.", (math("1+1"),)), Reply(" Two.", (Call("book_table"),))]
    text, calls, _, _ = await ask(tools=[MATH_TOOL, CLIENT_TOOL])
    assert (text, calls) == ("One. Two.", [("book_table", "{}")])


OWN_MATH = {
    "type": "function",
    "function": {
        "name": "calculate_math",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
            "required": ["a", "b"],
        },
    },
}
OWN_CALL = Call("calculate_math", '{"a": 1, "b": 2}')


async def test_a_tool_of_the_clients_own_is_the_clients_whatever_its_name(ask, engine):
    engine.replies.append(Reply("", (OWN_CALL,)))
    text, calls, reason, _ = await ask(tools=[OWN_MATH])
    assert (text, calls, reason) == ("", [("calculate_math", '{"a": 1, "b": 2}')], "tool_calls")
    engine.replies += [Reply("", (place("Tokyo"), OWN_CALL))]
    _, calls, reason, _ = await ask(tools=[OWN_MATH, WEATHER_TOOL])
    assert (calls, reason) == ([("calculate_math", '{"a": 1, "b": 2}')], "tool_calls")
    assert len(engine.seen) == 2


async def test_an_attached_tool_takes_the_place_of_the_clients(ask, engine):
    engine.replies += [Reply("", (math("1+1"),)), Reply("Two.")]
    wish = {"extra_body": {"tandem": {"tools": ["calculate_math"]}}}
    assert (await ask(tools=[OWN_MATH, CLIENT_TOOL], **wish))[0] == "Two."
    book, offered = engine.seen[0].body["tools"]
    assert book == CLIENT_TOOL
    assert list(offered["function"]["parameters"]["properties"]) == ["expression"]
    assert orjson.loads(engine.seen[1].body["messages"][-1]["content"]) == 2


async def test_a_stream_shows_text_at_once_and_tools_as_comments(orchestrator, engine):
    engine.replies += [Reply("Let me see.", (math("2*3"),)), Reply("Six.")]
    lines = [line for line in (await orchestrator.stream(tools=[MATH_TOOL])).splitlines() if line]
    kinds = [line if line.startswith(":") or "DONE" in line else "data" for line in lines]
    assert kinds == [
        *["data"] * 4,
        ": tools calculate_math started",
        ": tool calculate_math success",
        *["data"] * 2,
        "data: [DONE]",
    ]
    assert '"usage"' not in "".join(lines)
    assert sum('"role"' in line for line in lines) == 1


@pytest.mark.parametrize("fault", ["cut", "malformed_json", "error_event", "no_done"])
@pytest.mark.parametrize("before", [[], [Reply("", (math("1+1"),))]])
async def test_a_fault_in_a_streamed_pass_ends_in_an_error_event(orchestrator, engine, fault, before):
    engine.replies += [*before, Reply(fault=fault)]
    text = await orchestrator.stream(tools=[MATH_TOOL])
    assert "data: [DONE]" not in text
    assert text.splitlines()[-2].startswith('data: {"error"')
    await until(lambda: orchestrator.busy == 0)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_engine_that_is_gone_has_a_status_of_its_own(serve, engine, stream):
    orchestrator = await serve(config_for(engine, hold={"maxRequests": 0}))
    engine.stop()
    assert (await orchestrator.chat(tools=[MATH_TOOL], stream=stream))[0] == 502


@pytest.fixture
async def weather():
    async with OpenMeteo() as service:
        yield service


def place(location, **more):
    return Call("get_current_weather", orjson.dumps({"location": location, **more}).decode())


async def results(orchestrator, engine, *calls):
    engine.replies += [Reply("", calls), Reply("Done.")]
    status, _ = await orchestrator.chat(tools=[WEATHER_TOOL], messages=QUESTION)
    assert status == 200
    return [orjson.loads(m["content"]) for m in engine.seen[-1].body["messages"] if m["role"] == "tool"]


async def test_weather(serve, engine, weather):
    orchestrator = await serve(config_for(engine, tools={"weather": weather.settings}))
    found = await results(
        orchestrator, engine, place("Tokyo"), place("Paris, France", unit="fahrenheit"), place("Nowhere")
    )
    assert found == [
        {"location": "Tokyo", "temperature": 21.4, "unit": "celsius", "condition": "partly cloudy"},
        {"location": "Paris", "temperature": 70.5, "unit": "fahrenheit", "condition": "partly cloudy"},
        {"error": "unknown location 'Nowhere'"},
    ]


async def test_calls_of_one_turn_run_side_by_side(serve, engine, weather):
    orchestrator = await serve(config_for(engine, tools={"weather": weather.settings}))
    weather.delay = 0.05
    await results(orchestrator, engine, *(place("Tokyo") for _ in range(5)))
    assert weather.most == 5


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        ({"status": 503}, "the weather service answered 503"),
        ({"body": b"<html>"}, "the weather service did not answer in JSON"),
        ({"body": b"[1]"}, "the weather service answered 200 without an object"),
        (
            {"redirect": "http://127.0.0.2:1/"},
            "the weather service cannot be reached: it leads to an address that is not public",
        ),
        ({"delay": 30.0}, "get_current_weather gave no result within 0.2 s"),
        ({"body": b"[" + b" " * 2_000_000 + b"]"}, "the weather service answered with more than 1048576 bytes"),
    ],
)
async def test_weather_troubles_are_told_to_the_model(serve, engine, weather, trouble, error):
    orchestrator = await serve(config_for(engine, tools={"weather": weather.settings, "timeoutSeconds": 0.2}))
    for name, value in trouble.items():
        setattr(weather, name, value)
    assert await results(orchestrator, engine, place("Tokyo")) == [{"error": error}]


@pytest.mark.parametrize("ask", [Orchestrator.chat, Orchestrator.stream])
async def test_a_client_that_leaves_ends_the_tools_work(serve, engine, weather, ask):
    orchestrator = await serve(config_for(engine, tools={"weather": weather.settings, "timeoutSeconds": 30}))
    weather.delay = 30.0
    engine.replies.append(Reply("", (place("Tokyo"),)))
    asking = asyncio.create_task(ask(orchestrator, tools=[WEATHER_TOOL]))
    await until(lambda: weather.running)
    asking.cancel()
    await until(lambda: not weather.running)


async def test_outcomes_are_counted(orchestrator, engine):
    async def counted(status):
        async with orchestrator.client.get("/metrics") as response:
            wanted = f'tool_calls_total{{status="{status}",tool_name="calculate_math"}} '
            lines = [line for line in (await response.text()).splitlines() if line.startswith(wanted)]
        return float(lines[0].rpartition(" ")[2]) if lines else 0.0

    before = await counted("success"), await counted("error")
    engine.replies += [Reply("", (math("1+1"), math("1/0"))), Reply("Done.")]
    await orchestrator.chat(tools=[MATH_TOOL])
    assert (await counted("success"), await counted("error")) == (before[0] + 1, before[1] + 1)


async def test_time_in_tools_is_measured_apart_from_the_engines(serve, engine, weather):
    orchestrator = await serve(config_for(engine, tools={"weather": weather.settings}))

    async def seconds():
        async with orchestrator.client.get("/metrics") as response:
            lines = [line.rpartition(" ") for line in (await response.text()).splitlines()]
        found = {name: float(value) for name, _, value in lines if "_seconds_sum" in name}
        tools = found.get('tandem_tool_seconds_sum{tool_name="get_current_weather"}', 0.0)
        return tools, found.get('tandem_engine_seconds_sum{upstream="engine-0"}', 0.0)

    before = await seconds()
    weather.delay = 0.2
    engine.replies += [Reply("", (place("Tokyo"),), before_first_byte=0.05), Reply("Done.", before_first_byte=0.05)]
    await orchestrator.chat(tools=[WEATHER_TOOL])
    in_tools, in_engine = (now - then for now, then in zip(await seconds(), before, strict=True))
    assert in_tools >= 0.2
    assert 0.1 <= in_engine < in_tools + 0.1


async def test_a_request_may_say_question_without_tools(orchestrator, engine):
    raw = orjson.dumps(question(tools=[]))
    async with orchestrator.client.post("/v1/chat/completions", data=raw) as response:
        assert response.status == 200
    assert engine.seen[0].raw == raw
