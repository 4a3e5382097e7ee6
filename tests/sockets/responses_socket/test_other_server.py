"""The same under a server that is not ours."""

import asyncio
from contextlib import asynccontextmanager

import pytest
import uvicorn
from tandem_orchestrator.app import App
from websockets.exceptions import InvalidStatus

from tests.engine_double import Reply
from tests.sockets.responses_socket.asking import SocketClient
from tests.sockets.responses_socket.shared import heard
from tests.sockets.running import config_for, until


@asynccontextmanager
async def under_uvicorn(app: App):
    server = uvicorn.Server(uvicorn.Config(app.asgi, port=0, log_config=None, ws="websockets-sansio"))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started and app.services.upstreams.checked)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


async def test_responses_limits_and_leaving(engine):
    engine.replies += [Reply("OK"), Reply("cobalt"), Reply(before_first_byte=30)]
    async with under_uvicorn(App(config_for(engine, limits={"maxBodyBytes": 5000}))) as url:
        async with SocketClient(url) as client:
            first = (await client.ask("The word is cobalt.")).response
            assert (await client.ask("Which?", previous_response_id=first["id"])).text == "cobalt"
            assert (await client.say(b"{}")).error[0] == 400
            await client.send()
            await until(lambda: engine.running == 1)
        await engine.until(lambda: engine.seen[-1].outcome == "left", 10)
        async with SocketClient(url) as client:
            await client.send("a" * 6000)
            assert await client.closed() == 1009
    assert heard(engine.seen[1]) == ["The word is cobalt.", "OK", "Which?"]


@pytest.mark.parametrize(("path", "status"), [("/v1/responses", 401), ("/v1/chat/completions", 404)])
async def test_refusals(engine, path, status):
    async with under_uvicorn(App(config_for(engine, keys={"values": ["right"]}))) as url:
        with pytest.raises(InvalidStatus) as caught:
            async with SocketClient(url, path):
                pass
    assert caught.value.response.status_code == status
    assert b'"error"' in caught.value.response.body
