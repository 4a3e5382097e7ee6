"""Answers as they leave, piece by piece."""

import asyncio
import sys

import pytest
from tandem_orchestrator.transport.outbox import FEW, Outbox

from tests.unit.orchestrator.transport.line import Client


def exchange(method="GET", *, keep_alive=True):
    client = Client(Outbox(), method, keep_alive=keep_alive)
    return client.exchange, client.line, client


def start(*headers, status=200):
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data=b"", *, more=False):
    return {"type": "http.response.body", "body": data, "more_body": more}


async def send_all(answer, messages):
    for message in messages:
        await answer.send(message)


async def turn():
    """Lets the loop go on to its next turn."""
    await asyncio.sleep(0)


async def test_a_whole_answer_leaves_in_one_piece():
    answer, line, client = exchange()
    await answer.send(start((b"content-length", b"2")))
    assert line.writes == []
    await answer.send(body(b"ok"))
    await turn()
    assert line.writes == [b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 2\r\n\r\nok"]
    assert client.completed
    assert answer.complete
    assert not line.closed


async def test_a_stream_leaves_as_it_comes_its_head_with_the_first_piece():
    answer, line, client = exchange()
    await answer.send(start())
    await answer.send(body(b"one", more=True))
    await answer.send(body(b"", more=True))
    await turn()
    await answer.send(body(b"two"))
    await turn()
    head = b"HTTP/1.1 200 OK\r\ndate: today\r\ntransfer-encoding: chunked\r\n\r\n"
    assert line.writes == [head + b"3\r\none\r\n", b"3\r\ntwo\r\n0\r\n\r\n"]
    assert client.completed


async def test_a_long_answer_may_come_in_pieces():
    answer, line, _ = exchange()
    await answer.send(start((b"content-length", b"4")))
    await answer.send(body(b"ab", more=True))
    await answer.send(body(b"cd"))
    await turn()
    assert b"".join(line.writes).endswith(b"\r\n\r\nabcd")


@pytest.mark.parametrize("pieces", [[body(b"abc")], [body(b"a")], [body(b"ab", more=True), body(b"c")]])
async def test_a_body_of_another_length_than_announced_is_a_defect(pieces):
    answer, _, _ = exchange()
    await answer.send(start((b"content-length", b"2")))
    with pytest.raises(RuntimeError, match="content-length"):
        await send_all(answer, pieces)
    assert not answer.complete


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_some_answers_have_no_body(method, status):
    answer, line, client = exchange(method)
    await answer.send(start(status=status))
    await answer.send(body(b"shown to nobody" if method == "HEAD" else b""))
    await turn()
    assert len(line.writes) == 1
    assert line.writes[0].endswith(b"date: today\r\n\r\n")
    assert client.completed


@pytest.mark.parametrize("keep_alive", [True, False])
async def test_a_last_answer_says_so_once_and_closes(keep_alive):
    answer, line, _ = exchange(keep_alive=keep_alive)
    await answer.send(start((b"content-length", b"0"), *([(b"connection", b"close")] if keep_alive else [])))
    await answer.send(body())
    assert line.writes[0].count(b"connection: close\r\n") == 1
    assert line.closed


@pytest.mark.parametrize("header", [(b"x-model", b"a\r\nset-cookie: b"), (b"x\n", b"a"), (b"x", b"a\rb")])
async def test_no_header_can_smuggle_in_another(header):
    answer, line, _ = exchange()
    with pytest.raises(RuntimeError, match="line break"):
        await answer.send(start(header))
    assert line.writes == []


@pytest.mark.parametrize("messages", [[body()], [start(), start()], [start(), body(), body()], [{"type": "other"}]])
async def test_messages_out_of_order_are_a_defect(messages):
    answer, _, _ = exchange()
    with pytest.raises(RuntimeError, match="out of order"):
        await send_all(answer, messages)


async def test_nothing_is_written_to_a_client_that_left():
    answer, line, client = exchange()
    answer.disconnected = True
    await answer.send(start())
    await answer.send(body(b"too late"))
    await turn()
    assert line.writes == []
    assert not client.completed


async def test_a_client_that_reads_slowly_is_waited_for():
    answer, line, client = exchange()
    await answer.send(start())
    client.flow.pause_writing()
    waiting = asyncio.create_task(answer.send(body(b"later")))
    await asyncio.sleep(0)
    assert line.writes == []
    client.flow.resume_writing()
    await waiting
    await turn()
    assert line.writes[0].endswith(b"5\r\nlater\r\n0\r\n\r\n")


async def test_a_piece_goes_out_at_once_while_a_stream_runs():
    answer, line, client = exchange()
    assert not answer.send_at_once(b"too early")
    await answer.send(start())
    assert not answer.send_at_once(b"still too early")
    await answer.send(body(b"one", more=True))
    assert answer.send_at_once(b"two")
    client.flow.pause_writing()
    assert not answer.send_at_once(b"too much")
    client.flow.resume_writing()
    await answer.send(body(b"three"))
    assert not answer.send_at_once(b"too late")
    await turn()
    assert line.writes[0].endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n")


@pytest.mark.parametrize(("method", "headers"), [("HEAD", []), ("GET", [(b"content-length", b"6")])])
async def test_only_pieces_of_chunked_bodies_go_out_at_once(method, headers):
    answer, _, _ = exchange(method)
    await answer.send(start(*headers))
    await answer.send(body(b"one", more=True))
    assert not answer.send_at_once(b"two")


async def test_leaving_is_told_once():
    told = []
    answer, _, _ = exchange()
    answer.on_leave(lambda: told.append("left"))
    answer.cut()
    answer.cut()
    assert told == ["left"]


async def test_leaving_is_told_to_nobody_who_does_not_want_it_or_has_an_answer():
    told = []
    answer, _, _ = exchange()
    answer.on_leave(lambda: told.append("unwanted"))
    answer.on_leave(None)
    answer.cut()
    answer, _, _ = exchange()
    answer.on_leave(lambda: told.append("too late"))
    await send_all(answer, [start(), body()])
    answer.cut()
    assert told == []


async def test_who_left_before_is_told_at_once():
    told = []
    answer, _, _ = exchange()
    answer.disconnected = True
    answer.on_leave(lambda: told.append("left"))
    assert told == ["left"]


async def test_reading_goes_on_while_an_answer_is_made():
    answer, _, client = exchange()
    client.flow.read_paused = True  # as after a large body
    answer.on_leave(lambda: None)
    assert not client.flow.read_paused


def application(*messages, error=None):
    """An ASGI application that reads its request and answers it."""

    async def app(_scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        for message in messages:
            await send(message)
        if error is not None:
            raise error

    return app


async def run(app, *, pieces=(b"",)):
    """The exchange of a client, after `app` has answered it."""
    client = Client(Outbox())
    client.exchange.start(app, asyncio.get_running_loop())
    await turn()
    for piece in pieces:
        client.exchange.feed(piece)
    client.exchange.end()
    while client.server.tasks:
        await turn()
    await turn()
    return client


async def test_an_exchange_ends_with_its_answer_and_leaves_nothing_behind():
    client = await run(application(start(), body(b"ok")), pieces=(b"a", b"b"))
    assert client.line.writes[0].endswith(b"2\r\nok\r\n0\r\n\r\n")
    assert client.exchange._wire.outbox.under_way == FEW
    held = sys.getrefcount(client.exchange)
    assert held == len(["by the client", "by the question"]), "a cycle would be left for the collector of garbage"


@pytest.mark.parametrize("error", [None, ValueError("secret"), asyncio.CancelledError()])
async def test_an_application_without_an_answer_is_answered_for(error):
    client = await run(application(error=error))
    assert client.line.writes[0].startswith(b"HTTP/1.1 500 ")
    assert b'"type":"server_error"' in client.line.writes[0]
    assert b"secret" not in client.line.writes[0]
    assert not client.line.closed


@pytest.mark.parametrize("error", [None, ValueError("secret")])
async def test_an_answer_that_breaks_off_ends_the_connection(error):
    client = await run(application(start(), body(b"begun", more=True), error=error))
    assert client.line.closed


async def test_a_body_is_received_as_it_comes_and_reading_pauses_at_64_kib():
    client = Client(Outbox())
    client.exchange.feed(b"x" * 40_000)
    assert client.line.reading
    client.exchange.feed(b"y" * 40_000)
    assert not client.line.reading
    message = await client.exchange.receive()
    assert (len(message["body"]), message["more_body"]) == (80_000, True)
    assert client.line.reading
    client.exchange.end()
    assert await client.exchange.receive() == {"type": "http.request", "body": b"", "more_body": False}
    waiting = asyncio.create_task(client.exchange.receive())
    await turn()
    assert not waiting.done()
    client.exchange.cut()
    assert await waiting == {"type": "http.disconnect"}


async def test_a_client_that_asks_whether_to_go_on_is_told_once_somebody_reads():
    client = Client(Outbox(), go_ahead=True)
    client.exchange.feed(b"body")
    client.exchange.end()
    await turn()
    assert client.line.writes == []
    await client.exchange.receive()
    await turn()
    assert client.line.writes == [b"HTTP/1.1 100 Continue\r\n\r\n"]
