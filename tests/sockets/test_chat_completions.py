"""Relayed chat: what a client sends and sees, and what the engine gets."""

import io

import openai
import orjson
import pytest

from tests.engine_double import EngineDouble, Reply
from tests.sockets.running import AT_ONCE, QUESTION, config_for, question


async def test_openai_client_chats(client, engine):
    answer = await client.chat.completions.create(model="double", messages=QUESTION)
    assert answer.choices[0].message.content == Reply().text
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


async def test_openai_client_streams_with_usage(client):
    stream = await client.chat.completions.create(
        model="double", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == Reply().text
    assert chunks[-1].usage.completion_tokens > 0


async def test_openai_client_gets_its_own_tool_calls(client, engine):
    tool = {"type": "function", "function": {"name": "book_table", "parameters": {"type": "object"}}}
    engine.replies.append(Reply.from_json({"text": "", "calls": [{"name": "book_table", "arguments": '{"seats": 2}'}]}))
    answer = await client.chat.completions.create(model="double", messages=QUESTION, tools=[tool])
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.tool_calls[0].function.arguments == '{"seats": 2}'


async def test_proxies_are_told_to_hand_streams_on_at_once(orchestrator):
    async with orchestrator.client.post("/v1/chat/completions", json=question(stream=True)) as response:
        await response.read()
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (response.headers["cache-control"], response.headers["x-accel-buffering"]) == ("no-cache", "no")


@pytest.mark.parametrize("stream", [False, True])
async def test_answer_bytes_reach_the_client_as_they_came(orchestrator, engine, stream):
    body = b'{"choices": [ {"odd":1.0} ] , "usage":null}'
    kind = b"application/json"
    if stream:
        body, kind = b'data: {"choices":[ ] }\r\n\r\n: note\n\ndata: [DONE]\n\n', b"text/event-stream"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (kind, len(body))
    engine.replies.append(Reply(raw=head + body))
    async with orchestrator.client.post("/v1/chat/completions", json=question(stream=stream)) as response:
        assert await response.read() == body


async def test_a_request_without_a_model_gets_the_first_engines(orchestrator, engine):
    body = question()
    del body["model"]
    async with orchestrator.client.post("/v1/chat/completions", json=body) as response:
        assert response.status == 200
    assert engine.seen[0].body["model"] == "double"


async def test_models_are_routed_to_their_engines(serve):
    async with EngineDouble("small") as small, EngineDouble("large") as large:
        orchestrator = await serve(config_for(small, large))
        assert (await orchestrator.chat(model="large"))[0] == 200
        assert (len(small.seen), len(large.seen)) == (0, 1)


async def test_an_unknown_model_is_named_with_those_there_are(client, engine):
    with pytest.raises(openai.NotFoundError) as caught:
        await client.chat.completions.create(model="gpt-9", messages=QUESTION)
    assert "'gpt-9'" in caught.value.message
    assert "double" in caught.value.message
    assert caught.value.code == "model_not_found"
    assert not engine.seen


@pytest.mark.parametrize(
    ("body", "param", "word"),
    [
        (b"{", None, "not JSON"),
        (b"[]", None, "JSON object"),
        (b'{"model":"double"}', "messages", "messages"),
        (b'{"model":"double","messages":[]}', "messages", "messages"),
        (b'{"model":"double","messages":["hi"]}', "messages", "messages"),
        (b'{"model":1,"messages":[{}]}', "model", "model"),
        (b'{"model":"double","messages":[{}],"stream":"yes"}', "stream", "stream"),
        (b'{"model":"double","messages":[{}],"tools":"all"}', "tools", "tools"),
        (b'{"model":"double","messages":[{"content":' + b"[" * 200 + b"]" * 200 + b"}]}", None, "nested"),
        (b"[" * 50_000, None, "not JSON"),
        (b"[" * 100_000, None, "JSON values"),
    ],
)
async def test_bad_bodies_are_refused_in_openais_shape(orchestrator, engine, body, param, word):
    async with orchestrator.client.post("/v1/chat/completions", data=body) as response:
        assert response.status == 400
        error = (await response.json())["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert word in error["message"]
    assert not engine.seen


async def test_a_body_beyond_the_limit_is_refused(serve, engine):
    orchestrator = await serve(config_for(engine, limits={"maxBodyBytes": 2000}))
    for path in ("/v1/chat/completions", "/chat"):
        async with orchestrator.client.post(path, json=question(padding="x" * 3000)) as response:
            assert response.status == 413
    assert (await orchestrator.chat(padding="x" * 1500))[0] == 200


async def test_a_large_body_passes(orchestrator, engine):
    body = orjson.dumps(question(padding="x" * 5_000_000))
    async with orchestrator.client.post("/v1/chat/completions", data=io.BytesIO(body)) as response:
        assert response.status == 200
    assert engine.seen[0].raw == body


async def test_the_clients_key_stays_here(client, engine):
    await client.chat.completions.create(model="double", messages=QUESTION)
    assert "authorization" not in engine.seen[0].headers


async def test_the_engines_key_is_read_again_when_it_changes(serve, engine, tmp_path, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.engines.credentials.LOOK_EVERY", 0.0)
    key = tmp_path / "api-key"
    key.write_text("first\n")
    engine.api_key = "first"
    orchestrator = await serve(
        config_for(upstreams=[{"name": "e", "url": engine.url, "model": "double", "apiKeyFile": str(key)}], **AT_ONCE)
    )
    assert (await orchestrator.chat())[0] == 200
    engine.api_key = "second"
    status, body = await orchestrator.chat()
    assert (status, body["error"]["code"]) == (502, "engine_key_refused")
    renewed = tmp_path / "renewed"
    renewed.write_text("second")
    renewed.rename(key)
    assert (await orchestrator.chat())[0] == 200


@pytest.mark.parametrize("content", [None, "", "two words", "a\nx-header: b"])
async def test_an_unusable_key_file_is_an_error_and_named_to_those_who_run_the_service(
    serve, engine, tmp_path, content
):
    file = tmp_path / "api-key"
    if content is not None:
        file.write_text(content)
    orchestrator = await serve(
        config_for(upstreams=[{"name": "e", "url": engine.url, "model": "double", "apiKeyFile": str(file)}], **AT_ONCE)
    )
    status, body = await orchestrator.chat()
    assert status == 502
    assert body["error"]["message"].startswith("the engine's key ")
    assert str(file) not in body["error"]["message"]
    _, ready = await orchestrator.get("/ready")
    assert str(file) in ready["degraded"][0]
    assert not engine.seen


async def test_an_engine_below_a_path_is_called_there(serve, engine):
    orchestrator = await serve(config_for(upstreams=[{"name": "e", "url": f"{engine.url}/below/v1", "model": "m"}]))
    status, body = await orchestrator.chat(model="m")
    assert (status, body["error"]["code"]) == (404, "endpoint_not_supported")
