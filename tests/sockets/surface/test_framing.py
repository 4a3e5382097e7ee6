"""Where a request ends, over real sockets; the unit tests of the client connection cut each shape at every byte."""

import asyncio
import re

import orjson
import pytest
from tandem_orchestrator.observability import metrics

from tests.sockets.running import config_for, question, until
from tests.sockets.surface.raw import CHAT_HEAD, RawClient

BODY = orjson.dumps(question())
LIVE = b"GET /live HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"
OFFER = b"connection: Upgrade, HTTP2-Settings\r\nhttp2-settings: AAEAAEAAAAIAAAAA\r\nupgrade: h2c\r\n"
CHUNKED = CHAT_HEAD + b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(BODY), BODY)


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", answers)]


async def test_a_body_after_an_offer_of_http2_comes_when_it_likes(orchestrator, engine):
    head = CHAT_HEAD + OFFER + b"content-length: %d\r\n\r\n" % len(BODY)
    async with RawClient(orchestrator) as client:
        for _ in range(3):
            client.send(head)
            await until(lambda: metrics.REQUESTS_IN_FLIGHT._value.get() == 1)
            client.send(BODY)
            answer, _ = await client.answer()
            assert answer.startswith(b"HTTP/1.1 200")
        client.send(LIVE)
        assert statuses(await client.until_closed()) == [200]
    assert [seen.body for seen in engine.seen] == [orjson.loads(BODY)] * 3


async def test_a_key_in_a_trailer_opens_nothing(serve, engine, lines):
    orchestrator = await serve(config_for(engine, keys={"values": ["one:secret"]}))
    for head in (CHUNKED, CHUNKED.replace(b"host", b"authorization: Bearer secret\r\nhost")):
        async with RawClient(orchestrator) as client:
            client.send(head + b"0\r\nauthorization: Bearer secret\r\nx-api-key: secret\r\n\r\n" + LIVE)
            (status,) = statuses(await client.until_closed())
        assert status in (400, 401)
    assert not engine.seen
    assert all(line["path"] != "/live" for line in lines)


async def test_trailers_without_end_are_not_kept(orchestrator, engine):
    async with RawClient(orchestrator) as client:
        client.send(CHUNKED + b"0\r\nx: ")
        sent = 0
        while not client.writer.transport.is_closing():
            client.send(b"x" * 65_536)
            sent += 65_536
            assert sent < 50_000_000
            await asyncio.sleep(0)
    await until(lambda: orchestrator.busy == 0)
    assert not engine.seen


@pytest.mark.parametrize(
    "raw",
    [
        LIVE.replace(b"host: test\r\n", b""),
        LIVE.replace(b"host: test\r\n", b"host: test\r\nHost: test\r\n"),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT test:443 HTTP/1.1\r\nhost: test:443\r\n\r\n",
    ],
    ids=["no host", "two hosts", "HTTP/2", "CONNECT"],
)
async def test_what_is_refused_is_told(orchestrator, raw):
    async with RawClient(orchestrator) as client:
        client.send(raw)
        answer = await client.until_closed()
    assert statuses(answer) == [400]
    error = orjson.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    assert (error["code"], error["type"]) == ("invalid_http", "invalid_request_error")
