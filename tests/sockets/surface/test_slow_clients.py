"""Clients that send or read slowly, or too much, hold nothing for ever."""

import asyncio

import orjson
import pytest

from tests.engine_double import Reply
from tests.sockets.running import config_for, question, until
from tests.sockets.surface.raw import CHAT_HEAD, RawClient

BODY = orjson.dumps(question())
CHAT = CHAT_HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY


@pytest.fixture
async def impatient(serve, engine, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.transport.client_connection.UNREAD_BODY_SECONDS", 0.1)
    timeouts = {"bodySeconds": 0.15, "keepAliveSeconds": 0.3, "idleSeconds": 0.2}
    return await serve(config_for(engine, timeouts=timeouts, limits={"maxHeaderBytes": 2000}))


def error_in(answer: bytes) -> tuple[int, dict]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    return int(head.split()[1]), orjson.loads(body)["error"]


async def drip(client: RawClient, data: bytes) -> None:
    """Sends a byte now and then, until the server has had enough."""
    for byte in data:
        client.send(bytes((byte,)))
        await asyncio.sleep(0.01)


async def test_headers_that_drip(impatient):
    async with RawClient(impatient) as client:
        dripping = asyncio.create_task(drip(client, CHAT_HEAD + b"x-padding: " + b"x" * 500))
        status, error = error_in(await client.until_closed())
        dripping.cancel()
    assert (status, error["code"]) == (408, "request_timeout")
    assert "headers" in error["message"]


@pytest.mark.parametrize("path", [b"/v1/chat/completions", b"/v1/embeddings", b"/chat", b"/v1/nothing"])
async def test_a_body_that_drips(impatient, engine, path):
    async with RawClient(impatient) as client:
        client.send(CHAT_HEAD.replace(b"/v1/chat/completions", path) + b"content-length: 900\r\n\r\n")
        dripping = asyncio.create_task(drip(client, BODY + b" " * 800))
        answer = await client.until_closed()
        dripping.cancel()
    assert answer.startswith(b"HTTP/1.1 404" if path == b"/v1/nothing" else b"HTTP/1.1 408")
    assert not engine.seen


@pytest.mark.parametrize("path", [b"/v1/chat/completions", b"/v1/embeddings", b"/chat", b"/admin/keys"])
async def test_a_body_is_not_waited_for_without_a_key(serve, engine, path):
    orchestrator = await serve(config_for(engine, keys={"values": ["one:secret"]}))
    async with RawClient(orchestrator) as client:
        client.send(CHAT_HEAD.replace(b"/v1/chat/completions", path) + b"content-length: 900\r\n\r\n")
        head, _ = await client.answer()
    assert head.startswith(b"HTTP/1.1 404" if path == b"/admin/keys" else b"HTTP/1.1 401")


async def test_a_slow_body_within_its_time(impatient):
    async with RawClient(impatient) as client:
        half = len(CHAT) // 2
        client.send(CHAT[:half])
        await asyncio.sleep(0.05)
        client.send(CHAT[half:])
        head, _ = await client.answer()
    assert head.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("before", [b"", b"\r\n", CHAT, CHAT + b"\r\n"])
async def test_an_idle_connection_is_closed(impatient, before):
    async with RawClient(impatient) as client:
        client.send(before)
        answer = await client.until_closed(2)
    assert answer.startswith(b"HTTP/1.1 200" if CHAT in before else b"")


async def test_a_connection_in_use_is_kept(impatient):
    async with RawClient(impatient) as client:
        for _ in range(4):
            client.send(CHAT)
            head, _ = await client.answer()
            assert head.startswith(b"HTTP/1.1 200")
            await asyncio.sleep(0.12)


async def test_a_long_answer_is_no_idleness(impatient, engine):
    engine.replies.append(Reply("word " * 8, between_pieces=0.05))
    text = await impatient.stream()
    assert text.endswith("data: [DONE]\n\n")


async def test_requests_in_one_go_are_answered_in_their_order(impatient):
    async with RawClient(impatient) as client:
        client.send(CHAT * 3)
        for _ in range(3):
            head, _ = await client.answer()
            assert head.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "headers",
    [b"x-padding: " + b"x" * 2000 + b"\r\n", b"".join(b"x-%d: y\r\n" % n for n in range(400))],
    ids=["one", "many"],
)
async def test_headers_beyond_the_limit(impatient, engine, headers):
    for end in (b"", b"content-length: %d\r\n\r\n" % len(BODY) + BODY):
        async with RawClient(impatient) as client:
            client.send(CHAT_HEAD + headers + end)
            status, error = error_in(await client.until_closed())
        assert (status, error["code"]) == (431, "headers_too_large")
    assert not engine.seen


async def test_a_large_body_is_no_large_header(impatient):
    status, _ = await impatient.chat(padding="x" * 100_000)
    assert status == 200


async def test_what_is_no_http(impatient):
    async with RawClient(impatient) as client:
        client.send(b"HELLO\r\n\r\n")
        status, error = error_in(await client.until_closed())
    assert (status, error["code"]) == (400, "invalid_http")


async def test_a_client_that_stops_reading_a_stream_frees_the_engine(impatient, engine):
    engine.replies.append(Reply(" ".join(["x" * 10_000] * 3_000)))
    body = orjson.dumps(question(stream=True))
    async with RawClient(impatient, small_buffer=True) as client:
        client.send(CHAT_HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)
        await engine.until(lambda: engine.running == 1)
        await engine.until(lambda: engine.seen[0].outcome == "left")
        await until(lambda: impatient.busy == 0)


async def test_a_client_that_reads_slowly_gets_its_whole_answer(serve, engine):
    orchestrator = await serve(config_for(engine, timeouts={"idleSeconds": 0.8}))  # the kernel takes a megabyte at once
    engine.replies.append(Reply("x" * 12_000_000))
    async with RawClient(orchestrator, small_buffer=True) as client:
        client.send(CHAT)
        received, last = bytearray(), 0
        async with asyncio.timeout(10):
            while data := await client.reader.read(65_536):
                received += data
                if len(received) - last > 400_000:
                    last = len(received)
                    await asyncio.sleep(0.03)
                if received.endswith(b"}"):
                    break
    assert received.count(b"x") > 12_000_000
