"""Who may open a WebSocket, and ask by it: keys, limits, hosts, pages of other origins; and what is told of it."""

import asyncio

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.sockets.responses_socket.asking import SocketClient
from tests.sockets.running import until

RIGHT = {"Authorization": "Bearer right"}
PAGE = "https://chat.example.com"


async def refused(orchestrator, path="/v1/responses", **options):
    with pytest.raises(InvalidStatus) as caught:
        async with SocketClient(orchestrator, path, **options):
            pass
    response = caught.value.response
    assert response.headers["x-request-id"]
    assert response.headers["content-type"] == "application/json"
    return response.status_code, response.body


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
async def test_without_a_key_there_is_no_upgrade(start, headers, lines):
    orchestrator = await start(keys={"values": ["team:right"]})
    status, body = await refused(orchestrator, additional_headers=headers)
    assert (status, b"invalid_api_key" in body) == (401, True)
    (line,) = [each for each in lines if each["path"] == "/v1/responses"]
    assert (line["method"], line["status"], line["error"]) == ("GET", 401, "invalid_api_key")


@pytest.mark.parametrize("headers", [RIGHT, {"X-API-Key": "right"}])
async def test_with_a_key_there_is(start, headers):
    orchestrator = await start(keys={"values": ["team:right"]})
    async with SocketClient(orchestrator, additional_headers=headers) as client:
        assert (await client.ask()).text


async def test_each_response_has_a_line_in_the_log_and_counts_in_metrics(start, engine, lines):
    orchestrator = await start(keys={"values": ["team:right"]})
    async with SocketClient(orchestrator, additional_headers={**RIGHT, "X-Request-Id": "mine"}) as client:
        await client.ask()
        failed = await client.ask(model="nobody")
        assert failed.events[0]["request_id"] == "mine-2"
    told = [each for each in lines if each["path"] == "/v1/responses"]
    assert [(each["request_id"], each["status"]) for each in told] == [("mine", 101), ("mine-1", 200), ("mine-2", 404)]
    assert told[1]["tenant"] == told[2]["tenant"] == "team"
    assert (told[1]["model"], told[1]["completion_tokens"], told[1]["stream"]) == ("double", 14, True)
    assert 0 < told[1]["first_byte_ms"] <= told[1]["duration_ms"]
    async with orchestrator.client.get("/metrics", headers=RIGHT) as response:
        text = await response.text()
    assert 'request_latency_seconds_count{route="/v1/responses",status="404"}' in text


async def test_limits_hold_for_each_response_and_the_connection_stays(start, engine):
    orchestrator = await start(keys={"values": ["team:right"]}, rateLimits={"defaults": {"requestsPerMinute": 2}})
    async with SocketClient(orchestrator, additional_headers=RIGHT) as client:
        assert [bool((await client.ask()).text) for _ in range(2)] == [True, True]
        assert orchestrator.app._sockets.memories.size > 0
        turn = await client.ask()
        assert turn.error == (429, "rate_limit_exceeded")
        assert orchestrator.app._sockets.memories.size == 0  # a continuation that failed evicts what it continues
        assert 0 < int(turn.events[0]["headers"]["retry-after"]) <= 61
        assert (await client.ask()).error[0] == 429
    assert len(engine.seen) == 2


async def test_tokens_of_a_response_count(start, engine):
    orchestrator = await start(rateLimits={"defaults": {"tokensPerMinute": 20}})
    async with SocketClient(orchestrator) as client:
        assert (await client.ask()).text  # of 21 tokens
        assert (await client.ask()).error[0] == 429


async def test_a_key_that_is_taken_away_ends_its_connection(start, tmp_path):
    file = tmp_path / "keys.yaml"
    file.write_text("- {key: right, tenant: team}\n- {key: other, tenant: team}\n")
    orchestrator = await start(keys={"files": [{"file": str(file)}]})
    async with SocketClient(orchestrator, additional_headers=RIGHT) as client:
        assert (await client.ask()).text
        file.write_text("- {key: other, tenant: team}\n")
        async with asyncio.timeout(10):
            while (turn := await client.ask()).types[-1] == "response.completed":
                pass
        assert turn.error == (401, "invalid_api_key")
        assert await client.closed() == 1008


async def test_a_key_that_goes_to_another_tenant_does_too(start, tmp_path):
    file = tmp_path / "keys.yaml"
    file.write_text("- {key: right, tenant: team}\n")
    orchestrator = await start(keys={"files": [{"file": str(file)}]})
    async with SocketClient(orchestrator, additional_headers=RIGHT) as client:
        assert (await client.ask()).text
        file.write_text("- {key: right, tenant: others}\n")
        async with asyncio.timeout(10):
            while (turn := await client.ask()).types[-1] == "response.completed":
                pass
        assert turn.error[0] == 401
        assert await client.closed() == 1008


@pytest.mark.parametrize(
    ("settings", "headers", "origin", "status"),
    [
        ({}, {}, None, 101),
        ({}, {}, "own", 101),
        ({}, {}, PAGE, 403),
        ({}, {}, "null", 403),
        ({"keys": {"values": ["right"]}}, RIGHT, PAGE, 101),
        ({"keys": {"values": ["right"], "required": False}}, {}, PAGE, 403),
        ({"server": {"cors": {"allowOrigins": [PAGE]}}}, {}, PAGE, 101),
        ({"server": {"cors": {"allowOrigins": [PAGE]}}}, {}, PAGE.upper(), 101),
        ({"server": {"cors": {"allowOrigins": ["*"]}}}, {}, PAGE, 101),
        ({"server": {"cors": {"allowOrigins": [PAGE]}}}, {}, "own", 101),
        ({"server": {"cors": {"allowOrigins": [PAGE]}}, "keys": {"values": ["right"]}}, RIGHT, f"{PAGE}.org", 403),
    ],
)
async def test_pages_of_other_origins(start, settings, headers, origin, status):
    orchestrator = await start(**settings)
    options = {"additional_headers": headers, "origin": orchestrator.url if origin == "own" else origin}
    if status == 101:
        async with SocketClient(orchestrator, **options) as client:
            assert (await client.ask()).text
    else:
        assert (await refused(orchestrator, **options))[0] == status


async def test_only_trusted_hosts(start):
    orchestrator = await start(server={"trustedHosts": ["good.example.com"]})
    status, body = await refused(orchestrator)
    assert (status, b"untrusted_host" in body) == (400, True)


async def test_there_is_no_other_websocket(orchestrator):
    for path in ("/v1/chat/completions", "/v1/responses/", "/metrics"):
        with pytest.raises(InvalidStatus) as caught:
            async with SocketClient(orchestrator, path):
                pass
        assert caught.value.response.status_code in (200, 404, 405)


async def test_while_the_server_drains_there_is_none(orchestrator):
    orchestrator.app.services.state.draining = True
    assert (await refused(orchestrator))[0] == 503


async def test_bodies_are_logged_where_that_is_wanted(start, lines):
    orchestrator = await start(logging={"prompts": True})
    async with SocketClient(orchestrator) as client:
        await client.ask("what is asked")
    (line,) = [each for each in lines if each.get("request_body")]
    assert "what is asked" in line["request_body"]
    assert "response.completed" in line["answer_body"]


async def test_a_closed_connection_answers_nothing_more(orchestrator):
    async with SocketClient(orchestrator) as client:
        await client.ask()
    with pytest.raises(ConnectionClosed):
        await client.ask()
    await until(lambda: not orchestrator.state.tasks)
