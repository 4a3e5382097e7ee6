"""Every way in which an engine fails, and what the client is told."""

import asyncio
import socket
from contextlib import ExitStack

import orjson
import pytest

from tests.engine_double import Reply
from tests.sockets.running import AT_ONCE, config_for, question, until


@pytest.fixture
async def orchestrator(serve, engine):
    return await serve(config_for(engine, **AT_ONCE))


async def failure(orchestrator, **fields):
    status, body = await orchestrator.chat(**fields)
    assert set(body["error"]) == {"message", "type", "param", "code"}
    await until(lambda: orchestrator.busy == 0)
    return status, body["error"]["code"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_refused_connection(orchestrator, engine, stream):
    engine.stop()
    assert await failure(orchestrator, stream=stream) == (502, "engine_unreachable")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "code"),
    [("close", "engine_cut"), ("not_http", "engine_malformed"), ("wrong_type", "engine_malformed")],
)
async def test_no_usable_answer(orchestrator, engine, fault, code, stream):
    engine.rule = lambda _: Reply(fault=fault)
    assert await failure(orchestrator, stream=stream) == (502, code)
    engine.rule = lambda _: Reply()
    assert (await orchestrator.chat())[0] == 200


@pytest.mark.parametrize(
    ("fault", "code"),
    [("cut", "engine_cut"), ("malformed_json", "engine_malformed"), ("error_event", "engine_failed")],
)
async def test_half_a_blocking_answer(orchestrator, engine, fault, code):
    engine.replies.append(Reply(fault=fault))
    assert await failure(orchestrator) == (502, code)


@pytest.fixture
def full_house():
    """URL of a server that lets nobody in any more: connections to it neither come about nor are refused."""
    with ExitStack() as sockets:
        server = sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(2):
            guest = sockets.enter_context(socket.socket())
            guest.settimeout(0)
            guest.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_connection_that_never_comes_about(serve, full_house, stream, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.engines.probe.CHECK_TIMEOUT", 0.05)
    upstreams = [{"name": "engine", "url": full_house, "model": "double"}]
    orchestrator = await serve(config_for(upstreams=upstreams, **AT_ONCE, timeouts={"connectSeconds": 0.1}))
    async with asyncio.timeout(3):
        assert await failure(orchestrator, stream=stream) == (504, "engine_timeout")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_slow_first_byte(serve, engine, stream):
    orchestrator = await serve(config_for(engine, **AT_ONCE, timeouts={"firstByteSeconds": 0.1}))
    engine.replies.append(Reply(before_first_byte=30))
    assert await failure(orchestrator, stream=stream) == (504, "engine_timeout")
    await until(lambda: engine.seen[0].outcome == "left")


async def test_a_hung_blocking_answer(serve, engine):
    orchestrator = await serve(config_for(engine, **AT_ONCE, timeouts={"idleSeconds": 0.1}))
    engine.replies.append(Reply(fault="hang"))
    assert await failure(orchestrator) == (504, "engine_timeout")


async def test_a_slow_but_living_stream_is_not_cut(serve, engine):
    orchestrator = await serve(config_for(engine, **AT_ONCE, timeouts={"idleSeconds": 0.15}))
    engine.replies.append(Reply("one two three four five six seven eight", between_pieces=0.05))
    assert (await orchestrator.stream()).endswith("data: [DONE]\n\n")


def events(text):
    lines = [line for line in text.splitlines() if line]
    assert all(line.startswith(("data: ", ":")) for line in lines)
    return [orjson.loads(line[6:]) for line in lines if line.startswith("data: ") and line != "data: [DONE]"]


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [("cut", 502, "engine_cut"), ("hang", 504, "engine_timeout"), ("no_done", 502, "engine_malformed")],
)
async def test_a_broken_stream_ends_in_an_error_event(serve, engine, fault, status, code):
    orchestrator = await serve(config_for(engine, **AT_ONCE, timeouts={"idleSeconds": 0.1}))
    engine.replies.append(Reply(fault=fault))
    text = await orchestrator.stream()
    assert "data: [DONE]" not in text
    *chunks, last = events(text)
    assert last["error"]["code"] == code
    assert chunks
    await until(lambda: orchestrator.busy == 0)


async def test_an_engines_error_event_passes(orchestrator, engine):
    engine.replies.append(Reply(fault="error_event"))
    last = events(await orchestrator.stream())[-1]
    assert last["error"]["message"] == "scripted"


@pytest.mark.parametrize(
    "refusal",
    [
        (
            (400, {"error": {"message": "no", "type": "BadRequestError", "param": "top_p", "code": 400}}),
            400,
            "BadRequestError",
        ),
        ((400, {"object": "error", "message": "no", "type": "BadRequestError", "code": 400}), 400, "BadRequestError"),
        ((422, {"detail": "no"}), 422, "engine_error"),
        ((429, {"error": {"message": "no", "type": "RateLimit"}}), 429, "RateLimit"),
        ((500, {"error": {"message": "no", "type": "InternalServerError", "code": 500}}), 502, "engine_error"),
        ((503, {"error": "no"}), 503, "engine_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_engines_refusal_is_handed_on(orchestrator, engine, refusal, stream):
    error, status, kind = refusal
    engine.replies.append(Reply(status=error[0], error=error[1], headers=(("retry-after", "7"),)))
    body = question(stream=stream)
    async with orchestrator.client.post("/v1/chat/completions", json=body) as response:
        told = (await response.json())["error"]
        assert response.status == status
        assert response.headers.get("retry-after") == (None if status == 502 else "7")
    assert (told["message"], told["type"]) == ("no", kind)


async def test_a_connection_that_the_engine_closed_meanwhile_costs_nothing(orchestrator, engine):
    for _ in range(3):
        assert (await orchestrator.chat())[0] == 200
        engine.drop_idle()
    assert [seen.outcome for seen in engine.seen] == ["answered"] * 3


async def test_a_stale_connection_is_tried_again_only_while_no_byte_came(orchestrator, engine):
    assert (await orchestrator.chat())[0] == 200
    engine.replies.append(Reply(fault="close"))
    assert (await orchestrator.chat())[0] == 200, "a reused connection that closes without a byte is stale"
    for broken in (Reply(fault="cut"), Reply(raw=b"HTTP/1.1 200 OK\r\ncontent-", fault="close")):
        engine.seen.clear()
        engine.replies.append(broken)
        assert await failure(orchestrator) == (502, "engine_cut")
        assert len(engine.seen) == 1
        assert (await orchestrator.chat())[0] == 200


async def test_a_kept_connection_that_was_good_for_a_while_was_not_stale(orchestrator, engine, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.transport.engine_connection.STALE_SECONDS", 0.01)
    assert (await orchestrator.chat())[0] == 200
    engine.seen.clear()
    engine.replies.append(Reply(before_first_byte=0.05, fault="close"))
    assert await failure(orchestrator) == (502, "engine_cut")
    assert len(engine.seen) == 1


async def test_an_engine_that_comes_back_serves_again(orchestrator, engine):
    engine.stop()
    assert (await orchestrator.chat())[0] == 502
    await engine.start()
    assert (await orchestrator.chat())[0] == 200
