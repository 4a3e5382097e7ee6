"""Answers by a JSON schema from an engine that has no such thing."""

import json
from typing import Any

import anthropic
import openai
import pytest
from prometheus_client import REGISTRY
from pydantic import BaseModel

from tests.engine_double import Call, EngineDouble, Reply
from tests.sockets.running import AT_ONCE, QUESTION, question
from tests.sockets.structured.conftest import COUNTED, FITS, MISSES, PERSON, by_schema

ASKED = by_schema(PERSON)
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


class Person(BaseModel):
    name: str
    age: int


def counted(outcome):
    return REGISTRY.get_sample_value(COUNTED, {"model": "double", "outcome": outcome}) or 0


def client_of(orchestrator):
    return openai.AsyncOpenAI(base_url=f"{orchestrator.url}/v1", api_key="k", max_retries=0)


def anthropic_client_of(orchestrator) -> Any:
    return anthropic.AsyncAnthropic(base_url=orchestrator.url, api_key="k", max_retries=0)


async def told(orchestrator, *, stream, **asked):
    """Text, tool calls and the reason for the end, as the client of the openai package reads them."""
    async with client_of(orchestrator) as client:
        answer = await client.chat.completions.create(model="double", messages=QUESTION, stream=stream, **asked)
        choices = [chunk.choices[0] async for chunk in answer] if stream else answer.choices
    parts = [choice.delta if stream else choice.message for choice in choices]
    calls = [(call.function.name, call.function.arguments) for part in parts for call in part.tool_calls or ()]
    return "".join(part.content or "" for part in parts), calls, choices[-1].finish_reason


async def test_an_answer_that_fits_is_given_as_it_is(start, engine):
    before = counted("valid")
    engine.says(FITS)
    status, answer = await (await start()).chat(response_format=ASKED, max_tokens=50, temperature=0)
    assert (status, answer["choices"][0]["message"]["content"]) == (200, FITS)
    (seen,) = engine.seen
    assert seen.body.keys() == {"model", "messages", "max_tokens", "temperature"}
    told, asked = seen.body["messages"]
    assert (told["role"], [asked]) == ("system", QUESTION)
    assert json.dumps(PERSON, separators=(",", ":")) in told["content"]
    assert counted("valid") == before + 1


@pytest.mark.parametrize(
    ("first", "problem"),
    [
        (MISSES, 'age: "many" is not of type "integer"'),
        ("Here you are: {}", "it is not JSON"),
        ('{"name": "Ada", "age": 1, "age": 2}', "an object has a name twice"),
        ('{"name": "\\ud800", "age": 1}', "it is not JSON"),
        ('{"name": "Ada", "age": NaN}', "it is not JSON"),
        ("[" * 5000 + "]" * 5000, "it is not JSON"),
        ("", "it is not JSON"),
    ],
)
async def test_one_that_does_not_is_put_right_once(start, engine, first, problem):
    before = counted("corrected")
    engine.says(first, f"\n```json\n{FITS}\n```\n")
    orchestrator = await start()
    status, answer = await orchestrator.chat(response_format=ASKED)
    assert (status, answer["choices"][0]["message"]["content"]) == (200, FITS), "without the fence"
    one, two = (seen.body["messages"] for seen in engine.seen)
    assert two[: len(one)] == one
    assert [message["role"] for message in two[len(one) :]] == ["assistant", "user"]
    assert two[-2]["content"] == (first or "…")
    assert problem in two[-1]["content"]
    tokens = 7 * len(one) + 7 * len(two)
    assert answer["usage"]["prompt_tokens"] == tokens
    assert answer["usage"]["total_tokens"] == tokens + answer["usage"]["completion_tokens"]
    assert counted("corrected") == before + 1


async def test_after_two_that_do_not_the_client_is_told_why(start, engine, lines):
    before = counted("invalid")
    engine.says(MISSES, '{"name": "Ada"}')
    status, answer = await (await start()).chat(response_format=ASKED)
    error = answer["error"]
    assert (status, error["type"], error["code"]) == (502, "engine_error", "structured_output_invalid")
    assert '"age" is a required property' in error["message"]
    assert len(engine.seen) == 2
    assert counted("invalid") == before + 1
    assert [line["prompt_tokens"] for line in lines if line.get("error")] == [7 * 2 + 7 * 4], "both are charged"


async def test_a_json_object_is_any(start, engine):
    engine.says("[1]", '{"a": 1}')
    status, answer = await (await start()).chat(response_format={"type": "json_object"})
    assert (status, answer["choices"][0]["message"]["content"]) == (200, '{"a": 1}')


@pytest.mark.parametrize(
    "fields", [{}, {"response_format": None}, {"response_format": {"type": "text"}}], ids=["none", "null", "text"]
)
async def test_other_chats_go_on_as_they_are(start, engine, fields):
    engine.rule = lambda _: Reply("Hello")
    orchestrator = await start()
    assert (await orchestrator.chat(**fields))[1]["choices"][0]["message"]["content"] == "Hello"
    assert "Hello" in await orchestrator.stream(**fields)
    assert [seen.body["messages"] for seen in engine.seen] == [QUESTION] * 2


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([{"role": "system", "content": "Be kind."}], lambda text: text.startswith("Be kind.\n\nAnswer with one JSON")),
        (
            [{"role": "developer", "content": [{"type": "text", "text": "Be kind."}]}],
            lambda parts: [part["text"][:8] for part in parts] == ["Be kind.", "Answer w"],
        ),
    ],
)
async def test_the_schema_is_told_among_the_instructions_that_there_are(start, engine, messages, told):
    engine.says(FITS)
    asked = by_schema(PERSON, description="Somebody")
    status, _ = await (await start()).chat(messages=[*messages, *QUESTION], response_format=asked)
    assert status == 200
    first, *rest = engine.seen[0].body["messages"]
    assert rest == QUESTION
    assert first["role"] == messages[0]["role"]
    assert told(first["content"])
    assert "Somebody" in str(first["content"])


@pytest.mark.parametrize(
    "reply",
    [
        Reply('{"name": "A', finish_reason="length"),
        Reply("I would rather", finish_reason="content_filter"),
        Reply("", (Call("look", '{"at": 1}'),)),
    ],
    ids=["cut", "filtered", "calls"],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_no_whole_document_by_its_own_word_passes(start, engine, reply, stream):
    engine.rule = lambda _: reply
    said, calls, reason = await told(await start(), stream=stream, response_format=ASKED, tools=[LOOK])
    assert (said, reason) == (reply.text, reply.finish_reason or "tool_calls")
    assert calls == [(call.name, call.arguments) for call in reply.calls]
    assert len(engine.seen) == 1
    assert engine.seen[0].body["messages"][0]["content"].startswith("Unless you call a tool, answer with one JSON")


async def test_a_stream_is_told_once_it_fits(start, engine):
    engine.rule = lambda request: Reply(FITS if len(request["messages"]) == 4 else MISSES, reasoning="Hm.")
    orchestrator = await start()
    async with client_of(orchestrator) as client:
        asked = {"model": "double", "messages": QUESTION, "stream_options": {"include_usage": True}}
        async with client.chat.completions.stream(**asked, response_format=Person) as events:
            answer = await events.get_final_completion()
    assert answer.choices[0].message.parsed == Person(name="Ada", age=36)
    assert answer.choices[0].message.reasoning == "Hm."
    assert answer.usage.prompt_tokens == 7 * 2 + 7 * 4
    text = await orchestrator.stream(response_format=ASKED)
    assert text.endswith("data: [DONE]\n\n")
    assert '"usage":{' not in text, "nobody asked for it"


async def test_a_stream_hears_that_it_goes_on(start, engine):
    engine.rule = lambda _: Reply(FITS, before_first_byte=0.2)
    text = await (await start(hold={"heartbeatSeconds": 0.05})).stream(response_format=ASKED)
    assert text.startswith(": ")
    assert text.endswith("data: [DONE]\n\n")


async def test_a_stream_that_fails_says_so(start, engine):
    engine.says(MISSES, MISSES)
    orchestrator = await start()
    asked = question(stream=True, response_format=ASKED)
    async with orchestrator.client.post("/v1/chat/completions", json=asked) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (502, "structured_output_invalid")


@pytest.mark.parametrize("stream", [False, True])
async def test_responses_and_messages_too(start, engine, stream):
    orchestrator = await start(responses={"store": False})
    async with client_of(orchestrator) as client:
        engine.says(MISSES, FITS)
        asked = {"model": "double", "input": "Hello", "text_format": Person}
        if stream:
            async with client.responses.stream(**asked) as events:
                response = await events.get_final_response()
        else:
            response = await client.responses.parse(**asked)
    assert response.output_parsed == Person(name="Ada", age=36)
    assert response.usage.input_tokens == 7 * 2 + 7 * 4
    engine.says(MISSES, FITS)
    asked = {"model": "double", "messages": QUESTION, "max_tokens": 50}
    form = {"output_config": {"format": {"type": "json_schema", "schema": PERSON}}}
    async with anthropic_client_of(orchestrator) as client:
        if stream:
            async with client.messages.stream(**asked, extra_body=form) as events:
                message = await events.get_final_message()
        else:
            message = await client.messages.create(**asked, extra_body=form)
    assert [block.text for block in message.content] == [FITS]
    assert message.usage.input_tokens == 7 * 2 + 7 * 4


@pytest.mark.parametrize("stream", [False, True])
async def test_the_servers_tools_run_before(start, engine, stream):
    calls = Reply("", (Call("calculate_math", '{"expression": "30 + 6"}'),))
    engine.rule = lambda request: Reply(FITS) if request["messages"][-1]["role"] == "tool" else calls
    orchestrator = await start(tools={"attach": "always"})
    said, _, reason = await told(orchestrator, stream=stream, response_format=ASKED)
    assert (said, reason) == (FITS, "stop")
    assert all("response_format" not in seen.body for seen in engine.seen)


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"response_format": by_schema(PERSON), "n": 2}, "n", "must be 1"),
        ({"response_format": {"type": "grammar"}}, "response_format", "text, json_object or json_schema"),
        ({"response_format": "json"}, "response_format", "text, json_object or json_schema"),
        ({"response_format": {"type": ["json_schema"]}}, "response_format", "text, json_object or json_schema"),
        ({"response_format": {"type": "json_schema"}}, "response_format", "must be a JSON schema"),
        ({"response_format": by_schema([1])}, "response_format", "must be a JSON schema"),
        ({"response_format": by_schema({"type": "person"})}, "response_format", "is no JSON schema that can be used"),
        ({"response_format": by_schema({"description": "x" * 270_000})}, "response_format", "262144 bytes"),
    ],
)
async def test_what_cannot_be_had_is_refused_before_the_engine_is_asked(start, engine, fields, param, says):
    status, answer = await (await start()).chat(**fields)
    assert (status, answer["error"]["param"]) == (400, param)
    assert says in answer["error"]["message"]
    assert not engine.seen


async def test_completions_have_none(start, engine):
    orchestrator = await start()
    asked = {"model": "double", "prompt": "Hello", "response_format": ASKED}
    async with orchestrator.client.post("/v1/completions", json=asked) as response:
        assert (response.status, (await response.json())["error"]["param"]) == (400, "response_format")
    assert not engine.seen


async def test_a_fallback_that_has_it_gets_the_request_as_it_is(start, engine):
    engine.says(MISSES, MISSES)
    async with EngineDouble("able") as able:
        able.rule = lambda _: Reply(FITS)
        orchestrator = await start(able, models=[{"name": "double", "fallback": "able"}])
        status, answer = await orchestrator.chat(response_format=ASKED)
        assert (status, answer["model"]) == (200, "able")
        assert able.seen[0].body["messages"] == QUESTION
        assert able.seen[0].body["response_format"] == ASKED


async def test_a_fallback_that_has_none_is_told_in_words(start, engine):
    engine.says(MISSES, FITS)
    async with EngineDouble("able") as able:
        able.rule = lambda _: Reply(status=500)
        settings = {"models": [{"name": "able", "fallback": "double"}], **AT_ONCE}
        status, answer = await (await start(able, **settings)).chat(model="able", response_format=ASKED)
        assert (status, answer["choices"][0]["message"]["content"]) == (200, FITS)
        assert len(engine.seen) == 2


async def test_an_engine_that_dies_between_the_two_costs_one_more(start, engine):
    replies = [Reply(MISSES), Reply(fault="cut"), Reply(FITS)]
    engine.rule = lambda _: replies.pop(0)
    status, answer = await (await start()).chat(response_format=ASKED)
    assert (status, answer["choices"][0]["message"]["content"]) == (200, FITS)
    assert len(engine.seen) == 3
