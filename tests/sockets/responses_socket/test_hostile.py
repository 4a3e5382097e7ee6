"""Handshakes and frames that no client should send."""

import asyncio
import os
import struct

import orjson
import pytest
from tandem_orchestrator.transport import websocket

from tests.engine_double import Reply
from tests.sockets.responses_socket.asking import asked
from tests.sockets.running import until
from tests.sockets.surface.raw import CHAT_HEAD, RawClient

CONT, TEXT, CLOSE, PING, PONG = 0, 1, 8, 9, 10
OFFER = (
    b"GET /v1/responses HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
END = b"\r\n"


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True, length: int | None = None
) -> bytes:
    """A frame; `length` is what it says of its payload."""
    size = len(payload) if length is None else length
    head = bytes([opcode | (0x80 if fin else 0)])
    mark = 0x80 if masked else 0
    if size < 126:
        head += bytes([mark | size])
    elif size < 65_536:
        head += bytes([mark | 126]) + struct.pack("!H", size)
    else:
        head += bytes([mark | 127]) + struct.pack("!Q", size)
    return head + (bytes(4) if masked else b"") + payload  # a mask of nothing changes nothing


async def opened(client: RawClient) -> None:
    client.send(OFFER + END)
    head = await client.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 "), head


def code_in(data: bytes) -> int:
    """The code of the frame that closes a connection, at the end of what came."""
    start = data.index(bytes([0x80 | CLOSE]))
    return int.from_bytes(data[start + 2 : start + 4])


@pytest.fixture
async def client(orchestrator):
    async with RawClient(orchestrator) as client:
        yield client


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, b"{}", masked=False), 1002),
        (frame(TEXT, b"", length=12_000_000), 1009),
        (frame(TEXT, b"", length=2**62), 1009),
        (frame(TEXT, b"x", fin=False) + frame(CONT, b"", length=12_000_000), 1009),
        (frame(CONT, b"x"), 1002),
        (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(PING, b"x", fin=False), 1002),
        (frame(3), 1002),
        (bytes([0xC1]) + frame(TEXT, b"{}")[1:], 1002),
        (frame(TEXT, b"\xff\xfe"), 1007),
        (frame(CLOSE, b"\x00"), 1002),
    ],
)
async def test_a_frame_that_is_none_ends_the_connection(client, orchestrator, engine, data, code):
    await opened(client)
    client.send(data)
    assert code_in(await client.until_closed()) == code
    await until(lambda: not orchestrator.state.tasks)
    assert not engine.seen


async def test_a_flood_of_empty_fragments(client, monkeypatch):
    monkeypatch.setattr(websocket, "MOST_FRAGMENTS", 1000)
    await opened(client)
    client.send(frame(TEXT, b"", fin=False) + frame(CONT, b"", fin=False) * 1000)
    assert code_in(await client.until_closed()) == 1009


async def test_some_fragments_are_a_message(client, engine):
    await opened(client)
    text = orjson.dumps(asked())
    client.send(frame(TEXT, text[:5], fin=False) + frame(PING) + frame(CONT, text[5:9], fin=False))
    client.send(frame(CONT, text[9:]))
    await engine.until(lambda: len(engine.seen) == 1)


@pytest.mark.parametrize("data", [frame(TEXT, b"{", length=50), frame(TEXT, b"{", fin=False), b"\x81"])
async def test_a_message_that_does_not_go_on(start, data):
    orchestrator = await start(timeouts={"bodySeconds": 0.2})
    async with RawClient(orchestrator) as client:
        await opened(client)
        client.send(data)
        assert code_in(await client.until_closed()) == 1008


async def test_and_one_that_drips(start):
    orchestrator = await start(timeouts={"bodySeconds": 0.3})
    async with RawClient(orchestrator) as client:
        await opened(client)
        client.send(frame(TEXT, b"{", fin=False))
        closing = asyncio.ensure_future(client.until_closed())
        while not closing.done():
            client.send(frame(CONT, b" ", fin=False) + frame(PONG))
            await asyncio.sleep(0.01)
        assert code_in(closing.result()) == 1008


def socket_of(orchestrator):
    (found,) = [each for each in orchestrator.state.connections if isinstance(each, websocket.WebSocket)]
    return found


async def test_a_ping_in_two_pieces_is_no_message_that_does_not_go_on(orchestrator, client):
    await opened(client)
    server = socket_of(orchestrator)
    ping = frame(PING, b"x")
    client.send(ping[:3])
    await until(lambda: server._unfinished is not None)
    client.send(ping[3:])
    await until(lambda: server._unfinished is None)


async def test_a_message_that_takes_longer_than_a_ping_may(orchestrator, client, engine, monkeypatch):
    monkeypatch.setattr(websocket, "PING_SECONDS", 0.02)
    await opened(client)
    text = frame(TEXT, orjson.dumps(asked()))
    client.send(text[:50])
    server = socket_of(orchestrator)
    timers = set()

    def waited_for_pongs() -> bool:
        timers.add(id(server.pong_timer))
        return len(timers) > 5

    await until(waited_for_pongs)  # in the midst of a frame none can come
    client.send(text[50:])
    await engine.until(lambda: len(engine.seen) == 1)


async def test_pings_of_one_that_reads_nothing_take_no_memory(orchestrator):
    async with RawClient(orchestrator, small_buffer=True) as client:
        await opened(client)
        server = socket_of(orchestrator)
        client.pause()
        sent, largest = 0, 0
        flood = frame(PING, b"x" * 125) * 100
        while sent < 20_000_000:
            client.send(flood)
            sent += len(flood)
            await client.writer.drain()
            largest = max(largest, server.transport.get_write_buffer_size())
        assert largest < 1_000_000


async def test_a_header_that_is_too_large_is_refused(client):
    client.send(OFFER + b"x: " + b"a" * 70_000 + b"\r\n" + END)
    assert (await client.until_closed()).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("extra", [b"x: " + b"a" * 10_000 + b"\r\n", b"x: y\r\n" * 300])
async def test_so_are_headers_that_only_a_websocket_has_no_room_for(client, extra):
    client.send(OFFER + extra + END)
    assert (await client.until_closed()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("broken", "status"),
    [
        (OFFER.replace(b"version: 13", b"version: 8"), b"400"),
        (OFFER.partition(b"sec-websocket-key")[0], b"400"),
        (OFFER.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"short"), b"400"),
        (OFFER + b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b"400"),
        (OFFER.replace(b"host: test\r\n", b""), b"400"),
        (OFFER + b"host: test\r\n", b"400"),
    ],
)
async def test_a_handshake_that_is_none(client, broken, status):
    client.send(broken + END)
    answer = await client.until_closed()
    assert answer.startswith(b"HTTP/1.1 " + status), answer


@pytest.mark.parametrize(
    ("offer", "behind", "status"),
    [
        (OFFER.replace(b"GET", b"POST"), b"", b"400"),
        (OFFER.replace(b"upgrade: websocket", b"upgrade: h2c"), b"", b"405"),
        (OFFER.replace(b"upgrade: websocket", b"upgrade: websocket, h2c"), b"", b"405"),
        (OFFER + b"content-length: 6\r\n", frame(TEXT), b"405"),
        (OFFER + b"transfer-encoding: chunked\r\n", b"6\r\n" + frame(TEXT) + b"\r\n0\r\n\r\n", b"405"),
        (OFFER.replace(b"/v1/responses", b"/v1/chat/completions"), b"", b"405"),
        (OFFER.replace(b"/v1/responses", b"/live"), b"", b"200"),
    ],
)
async def test_an_offer_that_is_not_taken_is_read_as_if_it_were_not_there(client, offer, behind, status):
    if offer.startswith(b"POST"):
        offer += b"content-length: 0\r\n"
    client.send(offer + END + behind)
    head, _ = await client.answer()
    assert head.startswith(b"HTTP/1.1 " + status), head
    client.send(b"GET /live HTTP/1.1\r\nhost: test\r\n\r\n")  # nothing is left of the body
    head, _ = await client.answer()
    assert head.startswith(b"HTTP/1.1 200 ")


async def test_http_1_0_has_no_websockets(client):
    client.send(OFFER.replace(b"HTTP/1.1", b"HTTP/1.0") + END)
    assert (await client.until_closed()).startswith(b"HTTP/1.1 405 ")


async def test_nothing_may_follow_the_offer(client, engine):
    client.send(OFFER + END + frame(TEXT, b"{}"))
    answer = await client.until_closed()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"invalid_http" in answer


async def test_an_offer_behind_a_request_that_is_under_way_is_not_taken(client, engine):
    engine.replies.append(Reply(before_first_byte=0.1))
    body = b'{"model":"double","messages":[{"role":"user","content":"hi"}]}'
    client.send(CHAT_HEAD + b"content-length: %d\r\n\r\n" % len(body) + body + OFFER + END)
    heads = [(await client.answer())[0].split(b"\r\n")[0] for _ in range(2)]
    assert heads == [b"HTTP/1.1 200 OK", b"HTTP/1.1 405 Method Not Allowed"]


async def test_one_behind_an_answered_request_is(client, orchestrator):
    client.send(b"GET /live HTTP/1.1\r\nhost: test\r\n\r\n")
    assert (await client.answer())[0].startswith(b"HTTP/1.1 200 ")
    await opened(client)
    (connection,) = orchestrator.state.connections
    assert isinstance(connection, websocket.WebSocket)


async def test_what_strangers_send_does_not_fill_the_log(orchestrator, capsys, caplog):
    for data in (OFFER.partition(b"sec-websocket-key")[0] + END, OFFER + b"x: " + b"a" * 10_000 + b"\r\n" + END):
        async with RawClient(orchestrator) as client:
            client.send(data)
            await client.until_closed()
    async with RawClient(orchestrator) as client:
        await opened(client)
        client.send(frame(TEXT, b"\xff" + os.urandom(3)))
        await client.until_closed()
    assert "Traceback" not in "".join(capsys.readouterr())
    assert not caplog.records
