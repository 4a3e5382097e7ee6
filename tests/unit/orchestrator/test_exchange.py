"""Answers as they leave, piece by piece."""

import asyncio
import logging

import pytest
from tandem_orchestrator.exchange import Exchange
from tandem_orchestrator.outbox import Outbox
from uvicorn.protocols.http.flow_control import FlowControl


class Wire(asyncio.Transport):
    """Keeps what each system call would have written."""

    def __init__(self):
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data):
        self.writes.append(bytes(data))

    def writelines(self, list_of_data):
        self.writes.append(b"".join(list_of_data))

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed

    def resume_reading(self):
        pass


def exchange(method="GET", *, keep_alive=True):
    wire = Wire()
    logger = logging.getLogger("test")
    done: list[bool] = []
    made = Exchange(
        scope={"type": "http", "method": method},  # type: ignore[typeddict-item]
        transport=wire,
        flow=FlowControl(wire),
        logger=logger,
        access_logger=logger,
        access_log=False,
        default_headers=[(b"date", b"today")],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: done.append(True),
    )
    made.outbox = Outbox()
    return made, wire, done


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
    answer, wire, done = exchange()
    await answer.send(start((b"content-length", b"2")))
    assert wire.writes == []
    await answer.send(body(b"ok"))
    await turn()
    assert wire.writes == [b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 2\r\n\r\nok"]
    assert done
    assert answer.response_complete
    assert not wire.closed


async def test_a_stream_leaves_as_it_comes_its_head_with_the_first_piece():
    answer, wire, done = exchange()
    await answer.send(start())
    await answer.send(body(b"one", more=True))
    await answer.send(body(b"", more=True))
    await turn()
    await answer.send(body(b"two"))
    await turn()
    head = b"HTTP/1.1 200 OK\r\ndate: today\r\ntransfer-encoding: chunked\r\n\r\n"
    assert wire.writes == [head + b"3\r\none\r\n", b"3\r\ntwo\r\n0\r\n\r\n"]
    assert done


async def test_a_long_answer_may_come_in_pieces():
    answer, wire, _ = exchange()
    await answer.send(start((b"content-length", b"4")))
    await answer.send(body(b"ab", more=True))
    await answer.send(body(b"cd"))
    await turn()
    assert b"".join(wire.writes).endswith(b"\r\n\r\nabcd")


@pytest.mark.parametrize("pieces", [[body(b"abc")], [body(b"a")], [body(b"ab", more=True), body(b"c")]])
async def test_a_body_of_another_length_than_announced_is_a_defect(pieces):
    answer, _, _ = exchange()
    await answer.send(start((b"content-length", b"2")))
    with pytest.raises(RuntimeError, match="content-length"):
        await send_all(answer, pieces)
    assert not answer.response_complete


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_some_answers_have_no_body(method, status):
    answer, wire, done = exchange(method)
    await answer.send(start(status=status))
    await answer.send(body(b"shown to nobody" if method == "HEAD" else b""))
    await turn()
    assert len(wire.writes) == 1
    assert wire.writes[0].endswith(b"date: today\r\n\r\n")
    assert done


@pytest.mark.parametrize("keep_alive", [True, False])
async def test_a_last_answer_says_so_once_and_closes(keep_alive):
    answer, wire, _ = exchange(keep_alive=keep_alive)
    await answer.send(start((b"content-length", b"0"), *([(b"connection", b"close")] if keep_alive else [])))
    await answer.send(body())
    assert wire.writes[0].count(b"connection: close\r\n") == 1
    assert wire.closed


@pytest.mark.parametrize("header", [(b"x-model", b"a\r\nset-cookie: b"), (b"x\n", b"a"), (b"x", b"a\rb")])
async def test_no_header_can_smuggle_in_another(header):
    answer, wire, _ = exchange()
    with pytest.raises(RuntimeError, match="line break"):
        await answer.send(start(header))
    assert wire.writes == []


@pytest.mark.parametrize("messages", [[body()], [start(), start()], [start(), body(), body()], [{"type": "other"}]])
async def test_messages_out_of_order_are_a_defect(messages):
    answer, _, _ = exchange()
    with pytest.raises(RuntimeError, match="out of order"):
        await send_all(answer, messages)


async def test_nothing_is_written_to_a_client_that_left():
    answer, wire, done = exchange()
    answer.disconnected = True
    await answer.send(start())
    await answer.send(body(b"too late"))
    await turn()
    assert wire.writes == []
    assert not done


async def test_a_client_that_reads_slowly_is_waited_for():
    answer, wire, _ = exchange()
    await answer.send(start())
    answer.flow.pause_writing()
    waiting = asyncio.create_task(answer.send(body(b"later")))
    await asyncio.sleep(0)
    assert wire.writes == []
    answer.flow.resume_writing()
    await waiting
    await turn()
    assert wire.writes[0].endswith(b"5\r\nlater\r\n0\r\n\r\n")


async def test_a_piece_goes_out_at_once_while_a_stream_runs():
    answer, wire, _ = exchange()
    assert not answer.send_at_once(b"too early")
    await answer.send(start())
    assert not answer.send_at_once(b"still too early")
    await answer.send(body(b"one", more=True))
    assert answer.send_at_once(b"two")
    answer.flow.pause_writing()
    assert not answer.send_at_once(b"too much")
    answer.flow.resume_writing()
    await answer.send(body(b"three"))
    assert not answer.send_at_once(b"too late")
    await turn()
    assert wire.writes[0].endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n")


@pytest.mark.parametrize(("method", "headers"), [("HEAD", []), ("GET", [(b"content-length", b"6")])])
async def test_only_pieces_of_chunked_bodies_go_out_at_once(method, headers):
    answer, _, _ = exchange(method)
    await answer.send(start(*headers))
    await answer.send(body(b"one", more=True))
    assert not answer.send_at_once(b"two")


async def test_leaving_is_told_until_the_answer_is_complete():
    told = []
    answer, _, _ = exchange()
    answer.on_leave(lambda: told.append("left"))
    answer.left()
    assert told == ["left"]
    answer.on_leave(None)
    answer.left()
    assert told == ["left"]
    answer.on_leave(lambda: told.append("too late"))
    await send_all(answer, [start(), body()])
    answer.left()
    assert told == ["left"]


async def test_who_left_before_is_told_at_once():
    told = []
    answer, _, _ = exchange()
    answer.disconnected = True
    answer.on_leave(lambda: told.append("left"))
    assert told == ["left"]


async def test_reading_goes_on_while_an_answer_is_made():
    answer, _, _ = exchange()
    answer.flow.read_paused = True  # as after a large body
    answer.on_leave(lambda: None)
    assert not answer.flow.read_paused
