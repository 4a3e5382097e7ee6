"""The orchestrator under servers that are not its own: what any ASGI server does must be enough."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from tandem_orchestrator.app import App

from tests.engine_double.reply import Call, Reply
from tests.sockets.running import MATH_TOOL, config_for, question, until

CHAT = "/v1/chat/completions"
SUM = Call("calculate_math", '{"expression": "6*7"}')


@asynccontextmanager
async def in_process(app: App) -> AsyncIterator[httpx.AsyncClient]:
    """No server at all: a client that calls the application; it has no lifespan, so nothing watches the engine."""
    watching = [asyncio.create_task(part.watch()) for part in app.parts]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app.asgi), base_url="http://test") as client:
        yield client
    for task in watching:
        task.cancel()
    await asyncio.wait(watching)
    for part in reversed(app.parts):
        await part.close()


@asynccontextmanager
async def under_uvicorn(app: App) -> AsyncIterator[httpx.AsyncClient]:
    """uvicorn with its own protocol."""
    server = uvicorn.Server(uvicorn.Config(app.asgi, port=0, log_config=None, ws="none"))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        yield client
    server.should_exit = True
    await serving


@pytest.fixture(params=[in_process, under_uvicorn])
async def client(request, engine) -> AsyncIterator[httpx.AsyncClient]:
    app = App(config_for(engine))
    async with request.param(app) as client:
        await until(lambda: app.services.upstreams.checked)
        yield client


async def test_a_blocking_chat(client):
    answer = await client.post(CHAT, json=question())
    assert (answer.status_code, answer.json()["object"]) == (200, "chat.completion")
    refused = await client.post(CHAT, json={"model": 3})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "messages")


async def test_a_large_body(client):
    content = "word " * 40_000
    answer = await client.post(CHAT, json=question(messages=[{"role": "user", "content": content}]))
    assert answer.status_code == 200


async def test_a_stream(client):
    answer = await client.post(CHAT, json=question(stream=True))
    lines = answer.text.split("\n\n")
    assert lines[0].startswith("data: {")
    assert lines[-2:] == ["data: [DONE]", ""]


async def test_tools_run(client, engine):
    engine.replies += [Reply("", (SUM,)), Reply("It is 42.")]
    answer = await client.post(CHAT, json=question(tools=[MATH_TOOL]))
    assert answer.json()["choices"][0]["message"]["content"] == "It is 42."
    engine.replies += [Reply("", (SUM,)), Reply("It is 42.")]
    streamed = (await client.post(CHAT, json=question(tools=[MATH_TOOL], stream=True))).text
    assert "tools calculate_math started" in streamed
    assert "42." in streamed


async def test_the_simple_chat(client):
    answer: Any = await client.post("/chat", json={"messages": [{"role": "user", "content": "Hello"}]})
    assert answer.json()["content"]


async def test_a_client_that_leaves_ends_the_engines_work(engine):
    app = App(config_for(engine))
    engine.rule = lambda _: Reply(before_first_byte=30)
    async with under_uvicorn(app) as client:
        await until(lambda: app.services.upstreams.checked)
        asking = asyncio.create_task(client.post(CHAT, json=question()))
        await until(lambda: engine.running == 1)
        asking.cancel()
        await until(lambda: engine.running == 0)
