"""What is one request, and what is none: each shape in two pieces, cut at every byte."""

import asyncio
import re
from types import SimpleNamespace
from typing import Any

import pytest
from tandem_contract.config import OrchestratorConfig
from tandem_orchestrator.transport.client_connection import MOST_AHEAD, Protocol
from uvicorn.server import ServerState

from tests.unit.orchestrator.transport.line import Line

LIMIT = 2000
CONFIG = OrchestratorConfig.model_validate(
    {"upstreams": [{"name": "engine", "url": "http://engine"}], "limits": {"maxHeaderBytes": LIMIT}}
)
HIDDEN = b"GET /hidden HTTP/1.1\r\nhost: test\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nhost: test\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: test\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
JDK = (
    b"POST / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: %d\r\nHost: 127.0.0.1:8001\r\n"
    b"HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA\r\nUpgrade: h2c\r\n"
    b"User-Agent: Java-http-client/17.0.15\r\nContent-Type: application/json\r\n\r\n" % len(HIDDEN)
)


class Connection:
    """A client's connection to an application that answers each request with its path and its body."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes, dict[bytes, bytes]]] = []
        self.answered = asyncio.Event()
        self.answered.set()
        self.line = Line()
        self.server = ServerState()
        self.protocol = Protocol(
            CONFIG,
            config=SimpleNamespace(loaded_app=self.app),  # type: ignore[arg-type]
            server_state=self.server,
            app_state={},
        )
        self.protocol.connection_made(self.line)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            more = message["more_body"]
        self.asked.append((scope["path"], body, dict(scope["headers"])))
        await self.answered.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            if not self.line.closed:
                self.protocol.data_received(piece)
                await self.turns()

    async def turns(self) -> None:
        for _ in range(8):
            await asyncio.sleep(0)

    @property
    def statuses(self) -> list[int]:
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", b"".join(self.line.writes))]

    @property
    def paths(self) -> list[str]:
        return [path for path, _, _ in self.asked]

    def close(self) -> None:
        self.protocol.connection_lost(None)


async def sent(raw: bytes, at: int) -> Connection:
    connection = Connection()
    await connection.send(raw[:at], raw[at:])
    connection.close()
    await connection.turns()
    return connection


def with_length(head: bytes, body: bytes) -> bytes:
    return head + b"content-length: %d\r\n\r\n" % len(body) + body


ONE = {
    "length": (with_length(POST, HIDDEN), HIDDEN),
    "chunks": (CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN), HIDDEN),
    "chunks with extensions": (CHUNKED + b'%x;a="b"\r\n%b\r\n0;c\r\n\r\n' % (len(HIDDEN), HIDDEN), HIDDEN),
    "offer of HTTP/2 as JDKs make it": (JDK + HIDDEN, HIDDEN),
    "offer of HTTP/2 and chunks": (
        POST + b"connection: upgrade\r\nupgrade: h2c\r\ntransfer-encoding: chunked\r\n\r\n"
        b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN),
        HIDDEN,
    ),
    "offer of a web socket": (POST + b"connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n", b""),
    "two offers": (with_length(POST + b"upgrade: a\r\nupgrade: b\r\nconnection: upgrade\r\n", b"body"), b"body"),
    "upgrade without connection": (with_length(POST + b"upgrade: h2c\r\n", HIDDEN), HIDDEN),
    "empty lines before": (b"\r\n\r\n" + with_length(POST, b"body"), b"body"),
    "expectation": (with_length(POST + b"expect: 100-continue\r\n", b"body"), b"body"),
    "absolute target without a path": (with_length(POST.replace(b"/ ", b"http://test ", 1), b"body"), b"body"),
    "target with an empty query": (with_length(POST.replace(b"/ ", b"/? ", 1), b"body"), b"body"),
    "absolute target": (with_length(POST.replace(b"/ ", b"http://test/ ", 1), b"body"), b"body"),
}


@pytest.mark.parametrize(("raw", "body"), ONE.values(), ids=ONE)
async def test_one_request_wherever_it_is_cut(raw, body):
    for at in range(len(raw) + 1):
        connection = await sent(raw + NEXT, at)
        assert [asked[:2] for asked in connection.asked] == [("/", body), ("/next", b"")], at
        assert [status for status in connection.statuses if status != 100] == [200, 200], at


async def test_offers_one_after_the_other():
    raw = JDK + HIDDEN
    for at in range(len(raw)):
        connection = await sent(raw * 3 + NEXT, len(raw) + at)
        assert connection.paths == ["/", "/", "/", "/next"], at


async def test_an_offer_is_not_shown_to_the_application():
    connection = await sent(JDK + HIDDEN, len(JDK))
    headers = connection.asked[0][2]
    assert b"upgrade" not in headers
    assert (headers[b"host"], headers[b"content-type"]) == (b"127.0.0.1:8001", b"application/json")


NONE = {
    "trailers": CHUNKED + b"2\r\n{}\r\n0\r\nauthorization: Bearer key\r\n\r\n",
    "a trailer without end": CHUNKED + b"2\r\n{}\r\n0\r\nx: " + b"x" * LIMIT,
    "an extension without end": CHUNKED + b"2;x=" + b"x" * LIMIT,
    "no host": b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
    "no host, offering": b"POST / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 0\r\n\r\n",
    "two hosts": with_length(POST + b"host: test\r\n", b""),
    "two hosts in HTTP/1.0": b"GET / HTTP/1.0\r\nhost: test\r\nhost: test\r\n\r\n",
    "HTTP/2 at once": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/2.0 in words": b"GET / HTTP/2.0\r\nhost: test\r\n\r\n",
    "HTTP/0.9": b"GET / HTTP/0.9\r\nhost: test\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "a proxy's work": b"CONNECT test:443 HTTP/1.1\r\nhost: test:443\r\n\r\n",
    "two lengths": POST + b"content-length: 4\r\ncontent-length: 4\r\n\r\nbody",
    "two lengths in one": POST + b"content-length: 4, 4\r\n\r\nbody",
    "two lengths, offering": POST
    + b"connection: upgrade\r\nupgrade: x\r\ncontent-length: 4\r\ncontent-length: 0\r\n\r\n",
    "a signed length": POST + b"content-length: +4\r\n\r\nbody",
    "length and chunks": POST + b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": POST + b"transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n",
    "chunks and length, offering": POST
    + b"connection: upgrade\r\nupgrade: x\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n",
    "chunks twice": POST + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and something else": POST + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "nearly chunks": POST + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "no chunks": POST + b"transfer-encoding: identity\r\n\r\n0\r\n\r\n",
    "a space before the colon": POST + b"content-length : 4\r\n\r\nbody",
    "a folded header": POST + b"x: a\r\n content-length: 4\r\n\r\nbody",
    "a line that ends in LF": POST + b"x: a\ncontent-length: 4\r\n\r\nbody",
    "a head that ends in LF": b"POST / HTTP/1.1\nhost: test\n\n",
    "a CR in a header": POST + b"x: a\rcontent-length: 4\r\n\r\nbody",
    "a NUL in a header": POST + b"x: a\x00b\r\n\r\n",
    "a chunk size that ends in LF": CHUNKED + b"4\nbody\r\n0\r\n\r\n",
    "a chunk size with a prefix": CHUNKED + b"0x4\r\nbody\r\n0\r\n\r\n",
    "a chunk size with a space": CHUNKED + b"4 \r\nbody\r\n0\r\n\r\n",
    "a chunk size beyond 64 bits": CHUNKED + b"1" * 17 + b"\r\nbody\r\n0\r\n\r\n",
    "a chunk longer than it says": CHUNKED + b"4\r\nbodyX\r\n0\r\n\r\n",
    "LF in an extension": CHUNKED + b"4;\n\r\nbody\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("raw", NONE.values(), ids=NONE)
async def test_what_is_refused_and_all_that_follows_it(raw):
    for at in range(len(raw) + 1):
        connection = await sent(raw + HIDDEN, at)
        assert connection.asked == [], at
        assert connection.line.closed, at
        assert len(connection.statuses) == 1, at
        assert connection.statuses[0] in (400, 431), at
        assert connection.server.tasks == set(), at


async def test_old_clients_need_no_host():
    connection = await sent(b"GET / HTTP/1.0\r\n\r\n", 0)
    assert connection.paths == ["/"]
    assert connection.line.closed


async def test_an_error_is_no_answer_to_the_request_before():
    for follows in (b"HELLO\r\n\r\n", CHUNKED + b"0\r\nx: y\r\n\r\n", NONE["HTTP/2 at once"]):
        connection = Connection()
        connection.answered.clear()
        await connection.send(NEXT, follows)
        assert connection.line.closed
        assert connection.line.writes == []
        connection.close()
        connection.answered.set()
        await connection.turns()


async def test_requests_ahead_are_bounded():
    connection = Connection()
    connection.answered.clear()
    await connection.send(NEXT * (MOST_AHEAD + 1))
    assert not connection.line.closed
    await connection.send(NEXT)
    assert connection.line.closed
    connection.close()
    connection.answered.set()
    await connection.turns()
    assert connection.paths == ["/next"]


async def test_a_body_that_nobody_asked_for_ends_the_connection():
    connection = Connection()

    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    connection.protocol._app = refuse
    await connection.send(POST + b"expect: 100-continue\r\ncontent-length: 4\r\n\r\n")
    assert connection.statuses == [401]
    assert connection.line.closed, "the client may send the body or leave it out, and what comes next is either"
    connection.close()


async def test_large_bodies_are_no_headers():
    connection = Connection()
    body = b"x" * 100 * LIMIT
    await connection.send(with_length(POST, body), CHUNKED, *([b"1\r\nx\r\n"] * LIMIT), b"0\r\n\r\n")
    assert [len(body) for _, body, _ in connection.asked] == [100 * LIMIT, LIMIT]
    connection.close()
