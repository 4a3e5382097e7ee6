"""The `openai` package, unchanged, against every endpoint."""

import openai
import openai.types.chat
import pytest

from tests.engine_double import Reply
from tests.sockets.running import MATH_TOOL, QUESTION, config_for, until
from tests.sockets.surface.asking import TEXT

BOOKING = {"type": "function", "function": {"name": "book_table", "parameters": {"type": "object"}}}


@pytest.fixture
def connect():
    def make(orchestrator, **options):
        settings = {"api_key": "any", "max_retries": 0, **options}
        return openai.AsyncOpenAI(base_url=f"{orchestrator.url}/v1", **settings)

    return make


async def test_chat(client):
    answer = await client.chat.completions.create(model="double", messages=QUESTION)
    assert answer.choices[0].message.content == TEXT
    assert answer.usage.completion_tokens == 14


async def test_chat_stream(client):
    stream = await client.chat.completions.create(model="double", messages=QUESTION, stream=True)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    assert all(chunk.usage is None for chunk in chunks), "nobody asked for the usage"


async def test_chat_stream_with_usage(client):
    stream = await client.chat.completions.create(
        model="double", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert (chunks[-1].choices, chunks[-1].usage.completion_tokens) == ([], 14)


async def test_stream_helper(client):
    async with client.chat.completions.stream(model="double", messages=QUESTION) as stream:
        final = await stream.get_final_completion()
    assert final.choices[0].message.content == TEXT


async def test_the_clients_own_tools_come_back(client, engine):
    engine.replies.append(Reply.from_json({"text": "", "calls": [{"name": "book_table", "arguments": '{"seats": 2}'}]}))
    answer = await client.chat.completions.create(model="double", messages=QUESTION, tools=[BOOKING])
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.tool_calls[0].function.arguments == '{"seats": 2}'


async def test_the_servers_tools_run(client):
    messages = [{"role": "user", "content": "Calculate 15 * 7"}]
    answer = await client.chat.completions.create(model="double", messages=messages, tools=[MATH_TOOL])
    assert "105" in answer.choices[0].message.content


async def test_completions(client):
    answer = await client.completions.create(model="double", prompt="Once upon")
    assert (answer.object, answer.choices[0].text, answer.usage.total_tokens) == ("text_completion", TEXT, 21)


async def test_completions_stream(client):
    stream = await client.completions.create(model="double", prompt="Once upon", stream=True)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].text for chunk in chunks) == TEXT
    assert chunks[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize("form", [{}, {"encoding_format": "float"}])
async def test_embeddings(client, form):
    answer = await client.embeddings.create(model="double", input=["Hello", "Bye"], **form)
    assert [list(item.embedding) for item in answer.data] == [[5.0, 0.5, -1.0], [3.0, 0.5, -1.0]]
    assert answer.usage.prompt_tokens == 14


async def test_models(client):
    assert [model.id for model in (await client.models.list()).data] == ["double"]
    assert (await client.models.retrieve("double")).id == "double"


async def test_a_synchronous_client_works_too(orchestrator):
    import asyncio

    with openai.OpenAI(base_url=f"{orchestrator.url}/v1", api_key="any", max_retries=0) as client:
        question: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]
        answer = await asyncio.to_thread(lambda: client.chat.completions.create(model="double", messages=question))
    assert answer.choices[0].message.content == TEXT


@pytest.mark.parametrize(
    ("request_fields", "kind", "param"),
    [
        ({"messages": []}, openai.BadRequestError, "messages"),
        ({"n": 1000}, openai.BadRequestError, "n"),
        ({"model": "gpt-9"}, openai.NotFoundError, "model"),
    ],
)
async def test_refusals_are_the_clients_exceptions(client, request_fields, kind, param):
    with pytest.raises(kind) as caught:
        await client.chat.completions.create(**{"model": "double", "messages": QUESTION, **request_fields})
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(status=400), openai.BadRequestError),
        (Reply(status=422), openai.UnprocessableEntityError),
        (Reply(status=429), openai.RateLimitError),
        (Reply(status=500), openai.InternalServerError),
        (Reply(status=503), openai.InternalServerError),
        (Reply(fault="cut"), openai.InternalServerError),
    ],
)
async def test_failures_are_the_clients_exceptions(serve, engine, connect, reply, kind):
    orchestrator = await serve(config_for(engine, routing={"retries": 0}))
    engine.replies.append(reply)
    async with connect(orchestrator) as client:
        with pytest.raises(kind):
            await client.chat.completions.create(model="double", messages=QUESTION)


async def test_an_error_in_a_stream_is_the_clients_exception(client, engine):
    engine.replies.append(Reply(fault="error_event"))
    stream = await client.chat.completions.create(model="double", messages=QUESTION, stream=True)
    with pytest.raises(openai.APIError, match="scripted"):
        [chunk async for chunk in stream]


async def test_keys_and_limits_are_the_clients_exceptions(serve, engine, connect):
    orchestrator = await serve(
        config_for(engine, keys={"values": ["right"]}, rateLimits={"defaults": {"requestsPerMinute": 1}})
    )
    async with connect(orchestrator, api_key="wrong") as client:
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()
        with pytest.raises(openai.AuthenticationError):
            await client.chat.completions.create(model="double", messages=QUESTION)
    async with connect(orchestrator, api_key="right") as client:
        await client.chat.completions.create(model="double", messages=QUESTION)
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model="double", messages=QUESTION)
    assert int(caught.value.response.headers["retry-after"]) > 0
    assert len(engine.seen) == 1


async def test_a_client_that_stops_reading_a_stream_frees_the_engine(client, orchestrator, engine):
    engine.replies.append(Reply(fault="hang"))
    stream = await client.chat.completions.create(model="double", messages=QUESTION, stream=True)
    async for _ in stream:
        break
    await stream.close()
    await until(lambda: orchestrator.busy == 0)
    await engine.until(lambda: engine.seen[0].outcome == "left")
