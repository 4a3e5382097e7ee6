"""How a connection ends: its client leaves, its time or the server's is up, nobody answers pings."""

import asyncio
from typing import Any

import pytest
from tandem_orchestrator.responses import socket as responses_socket
from tandem_orchestrator.transport import websocket

from tests.engine_double import Reply
from tests.sockets.process import serving
from tests.sockets.responses_socket.asking import SocketClient
from tests.sockets.running import until

SLOW = Reply(" ".join("slow" for _ in range(500)), between_pieces=0.02)


async def status_of(orchestrator, response_id):
    async with orchestrator.client.get(f"/v1/responses/{response_id}") as stored:
        return (await stored.json()).get("status")


@pytest.mark.parametrize("politely", [True, False])
async def test_a_client_that_leaves_ends_the_engines_work(orchestrator, engine, lines, politely):
    engine.replies.append(SLOW)
    async with SocketClient(orchestrator) as client:
        await client.send(store=True)
        begun = await client.event()
        await until(lambda: engine.running == 1)
        if not politely:
            client.socket.transport.abort()
    await engine.until(lambda: engine.seen[0].outcome == "left")
    await until(lambda: not orchestrator.state.tasks)
    (line,) = [each for each in lines if each["request_id"].endswith("-1")]
    assert (line["status"], line["error"]) == (499, "client_left")
    async with asyncio.timeout(20):  # which makes the database
        while await status_of(orchestrator, begun["response"]["id"]) != "incomplete":
            pass


async def test_so_does_one_that_leaves_before_the_first_event(orchestrator, engine):
    engine.replies.append(Reply(before_first_byte=30))
    async with SocketClient(orchestrator) as client:
        await client.send()
        await client.send("never asked")
        await until(lambda: engine.running == 1)
    await engine.until(lambda: engine.seen[0].outcome == "left")
    assert len(engine.seen) == 1


async def test_a_response_that_takes_too_long_ends_and_the_connection_stays(start, engine):
    orchestrator = await start(timeouts={"requestSeconds": 0.2})
    engine.replies += [Reply(before_first_byte=30), SLOW]
    async with SocketClient(orchestrator) as client:
        assert (await client.ask()).error == (504, "request_timeout")
        late = await client.ask()
        assert (late.types[-1], late.events[-1]["status"]) == ("error", 504)
        assert (await client.ask()).text
    assert [seen.outcome for seen in engine.seen] == ["left", "left", "answered"]


async def test_after_its_time_a_connection_ends(orchestrator, monkeypatch):
    monkeypatch.setattr(responses_socket, "LIFE_SECONDS", 0.2)
    async with SocketClient(orchestrator) as client:
        assert (await client.ask()).text
        assert (await client.turn()).error == (400, "websocket_connection_limit_reached")
        assert await client.closed() == 1000


async def test_but_a_response_under_way_is_completed(orchestrator, engine, monkeypatch):
    monkeypatch.setattr(responses_socket, "LIFE_SECONDS", 0.1)
    engine.replies.append(Reply(before_first_byte=0.3))
    async with SocketClient(orchestrator) as client:
        await client.send()
        await client.send("too late")
        assert (await client.turn()).text
        assert (await client.turn()).error[1] == "websocket_connection_limit_reached"
        assert await client.closed() == 1000
    assert len(engine.seen) == 1


async def test_when_the_server_ends_an_idle_connection_is_closed(orchestrator):
    async with SocketClient(orchestrator) as client:
        await client.ask()
        orchestrator.shut_down()
        assert await client.closed() == 1001


async def test_and_one_with_a_response_after_that(orchestrator, engine):
    engine.replies.append(Reply(before_first_byte=0.2))
    async with SocketClient(orchestrator) as client:
        await client.send("under way")
        await client.send("waits")
        await until(lambda: engine.running == 1)
        orchestrator.shut_down()
        assert (await client.turn()).text
        assert (await client.turn()).error == (503, "shutting_down")
        assert await client.closed() == 1001
    assert len(engine.seen) == 1


async def test_no_response_begins_once_the_server_drains(orchestrator, engine):
    async with SocketClient(orchestrator) as client:
        orchestrator.app.services.state.draining = True
        assert (await client.ask()).error == (503, "shutting_down")
        assert await client.closed() == 1001
    assert not engine.seen


@pytest.mark.parametrize(("seconds", "pause", "ends"), [("30", 0.01, "response.completed"), ("1", 0.5, "error")])
async def test_a_process_that_is_told_to_end(engine, tmp_path, seconds, pause, ends):
    engine.replies.append(Reply("a few words of it " * 10, between_pieces=pause))
    settings = {"TANDEM_DRAIN_SECONDS": seconds, "TANDEM_DATABASE__URL": f"sqlite:///{tmp_path}/tandem.db"}
    async with serving(VLLM_URL=engine.url, **settings) as running:
        async with SocketClient(running.url) as client:
            await client.send()
            await client.event()
            running.terminate()
            turn = await client.turn()
            assert turn.types[-1] == ends
            if ends == "error":
                assert (turn.events[-1]["status"], turn.events[-1]["error"]["code"]) == (503, "shutting_down")
            assert await client.closed() == 1001
        status, _ = await running.ended()
    assert status == 0


async def test_a_peer_that_answers_no_ping_is_gone(orchestrator, monkeypatch):
    monkeypatch.setattr(websocket, "PING_SECONDS", 0.1)
    async with SocketClient(orchestrator) as client:
        monkeypatch.setattr(client.socket.protocol, "recv_frame", lambda _: None)
        await until(lambda: not any(isinstance(each, websocket.WebSocket) for each in orchestrator.state.connections))
        client.socket.transport.abort()


async def test_one_that_answers_stays(orchestrator, monkeypatch):
    monkeypatch.setattr(websocket, "PING_SECONDS", 0.05)
    async with SocketClient(orchestrator) as client:
        (server,) = [each for each in orchestrator.state.connections if isinstance(each, websocket.WebSocket)]
        pings: list[Any] = []
        monkeypatch.setattr(server, "handle_pong", _counting(server.handle_pong, pings))
        await until(lambda: len(pings) >= 4)
        assert (await client.ask()).text


def _counting(call, calls):
    def counted(*arguments):
        calls.append(arguments)
        return call(*arguments)

    return counted


async def test_a_client_that_reads_nothing_is_cut(start, engine):
    orchestrator = await start(timeouts={"idleSeconds": 0.3})
    engine.rule = lambda _: Reply("word " * 20_000)
    async with SocketClient(orchestrator) as client:
        client.socket.transport.pause_reading()
        for _ in range(5):
            await client.send()
        await until(lambda: engine.seen and engine.running == 0 and not orchestrator.state.tasks, 15)
        client.socket.transport.abort()
