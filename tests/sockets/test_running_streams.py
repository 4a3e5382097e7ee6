"""Streams that have run for a while: what happens to them, and that tokens go out in the calls that bring them."""

import asyncio
import socket
import sys
from urllib.parse import urlsplit

import orjson
import pytest
from tandem_orchestrator.transport.engine_connection import Connection
from tandem_orchestrator.transport.exchange import Exchange

from tests.engine_double import Reply
from tests.sockets.running import AT_ONCE, config_for, question, until

WORDS = " ".join(map(str, range(20)))
STEADY = Reply(WORDS, between_pieces=0.003)
PAGE = "https://chat.example.com"


@pytest.fixture
def at_once(monkeypatch):
    """The pieces that went out in the calls that brought them."""
    sent: list[bytes] = []
    original = Exchange.send_at_once

    def watched(self, body):
        done = original(self, body)
        if done:
            sent.append(body)
        return done

    monkeypatch.setattr(Exchange, "send_at_once", watched)
    return sent


def content(text):
    events = [orjson.loads(line[6:]) for line in text.splitlines() if line.startswith('data: {"id"')]
    return "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])


async def test_tokens_do_not_wait_for_a_turn(orchestrator, engine, at_once, lines):
    engine.replies.append(STEADY)
    text = await orchestrator.stream()
    assert content(text) == WORDS
    assert text.endswith("data: [DONE]\n\n")
    assert '"usage":{' not in text, "which was not asked for"
    assert len(at_once) >= 15
    await until(lambda: lines)
    assert lines[0]["completion_tokens"] == 20
    assert lines[0]["first_byte_ms"] < lines[0]["duration_ms"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems decide it alone")
async def test_the_engine_gets_no_packet_for_each_token(engine):
    loop = asyncio.get_running_loop()
    address = urlsplit(engine.url)
    transport, _ = await loop.create_connection(  # type: ignore[type-var] # a protocol by its methods
        lambda: Connection(lambda _: None, lambda _: None), address.hostname, address.port
    )
    assert transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK) == 0
    transport.abort()


async def test_where_answers_are_logged_they_are_whole(serve, engine, at_once, lines):
    orchestrator = await serve(config_for(engine, logging={"prompts": True}))
    engine.replies.append(STEADY)
    text = await orchestrator.stream()
    await until(lambda: lines)
    assert lines[0]["answer_body"] == text
    assert not at_once


async def test_a_page_of_another_origin_reads_them_too(serve, engine, at_once):
    orchestrator = await serve(config_for(engine, server={"cors": {"allowOrigins": [PAGE]}}))
    engine.replies.append(STEADY)
    body = question(stream=True)
    async with orchestrator.client.post("/v1/chat/completions", json=body, headers={"Origin": PAGE}) as response:
        assert response.headers["access-control-allow-origin"] == PAGE
        assert content(await response.text()) == WORDS
    assert len(at_once) >= 15


async def test_heartbeats_come_before_them(serve, engine, at_once):
    engine.loading = True
    orchestrator = await serve(config_for(engine, hold={"heartbeatSeconds": 0.05}))
    engine.replies.append(STEADY)
    body = question(stream=True)
    async with orchestrator.client.post("/v1/chat/completions", json=body) as response:
        received = await response.content.readany()
        engine.loading = False
        received += await response.content.read()
    assert received.startswith(b": waiting for an engine\n\n")
    assert content(received.decode()) == WORDS
    assert len(at_once) >= 15


@pytest.mark.parametrize(
    "failure", [("cut", 502, "engine_cut"), ("hang", 504, "engine_timeout"), ("no_done", 502, "engine_malformed")]
)
async def test_one_that_breaks_ends_in_an_error_event(serve, engine, at_once, lines, failure):
    fault, status, code = failure
    orchestrator = await serve(config_for(engine, **AT_ONCE, timeouts={"idleSeconds": 0.15}))
    engine.replies.append(Reply(WORDS, between_pieces=0.003, fault=fault, fault_after=12))
    text = await orchestrator.stream()
    assert WORDS.startswith(content(text))
    assert content(text).startswith("0 1 2 3 4 5 6 7 8 9")
    assert orjson.loads(text.splitlines()[-2].removeprefix("data: "))["error"]["code"] == code
    assert len(at_once) >= 8
    await until(lambda: lines)
    assert (lines[0]["status"], lines[0]["error"]) == (status, code)
    await until(lambda: orchestrator.busy == 0)


async def test_a_client_that_leaves_frees_the_engine_at_once(orchestrator, engine, at_once):
    engine.replies.append(Reply(WORDS * 50, between_pieces=0.003))
    response = await orchestrator.client.post("/v1/chat/completions", json=question(stream=True))
    await until(lambda: len(at_once) > 5)
    left = asyncio.get_running_loop().time()
    response.close()
    await engine.until(lambda: engine.seen[0].outcome == "left")
    assert asyncio.get_running_loop().time() - left < 1
    assert orchestrator.busy == 0


async def test_one_that_takes_too_long_is_ended(serve, engine, at_once):
    orchestrator = await serve(config_for(engine, timeouts={"requestSeconds": 0.2}))
    engine.replies.append(Reply(WORDS * 50, between_pieces=0.003))
    text = await orchestrator.stream()
    assert "error" in orjson.loads(text.splitlines()[-2].removeprefix("data: "))
    assert len(at_once) > 5
    await engine.until(lambda: engine.seen[0].outcome == "left")


async def test_a_client_that_stops_reading_frees_the_engine(serve, engine, at_once):
    orchestrator = await serve(config_for(engine, timeouts={"idleSeconds": 0.3}))
    engine.replies.append(Reply(" ".join(["x" * 10_000] * 3_000)))
    response = await orchestrator.client.post("/v1/chat/completions", json=question(stream=True))
    await response.content.readany()
    await engine.until(lambda: engine.seen[0].outcome == "left")
    await until(lambda: orchestrator.busy == 0)
    assert at_once
    response.close()
