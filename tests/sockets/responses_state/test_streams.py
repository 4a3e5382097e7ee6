"""Streams that are kept: their events while the database is slow, and their end when their client leaves."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from tests.engine_double import Call, Reply
from tests.sockets.responses_state.asking import Reading, ended, made, read_again, show, streamed
from tests.sockets.responses_state.kept import query, until_true
from tests.sockets.running import AT_ONCE, COMPILED, NO_PATCHES, config_for, until

pytestmark = pytest.mark.usefixtures("brisk")
SLOW = Reply(" ".join(map(str, range(40))), between_pieces=0.02)


@pytest.fixture
async def server(serve, engine, url):
    return await serve(config_for(engine, database={"url": url}, **AT_ONCE))


@asynccontextmanager
async def busy(server):
    """Nothing is written in here."""
    rows = server.app.services.stores.rows._database._writer
    write, gate = rows._write, asyncio.Event()

    async def later(jobs):
        await gate.wait()
        return await write(jobs)

    rows._write = later
    try:
        yield
    finally:
        rows._write = write
        gate.set()


async def test_a_stream_is_read_again_as_it_was(server, engine):
    engine.replies.append(SLOW)
    events = await streamed(server)
    response_id = events[0]["response"]["id"]
    assert await read_again(server, response_id) == events
    assert await read_again(server, response_id, after=7) == events[8:]


async def test_a_slow_database_loses_no_events(serve, engine, url):
    """The first sign of life takes several writes, and the response is written after it."""
    server = await serve(config_for(engine, database={"url": url}, **AT_ONCE))
    await made(server)
    server.app.services.stores.leases._lived = 0
    engine.replies.append(SLOW)
    async with busy(server):
        reading = Reading(server)
        await until(lambda: len(reading.events) > 10)
    await reading.task
    assert reading.types[-1] == "response.completed"
    assert await read_again(server, reading.id) == reading.events


async def test_a_client_that_leaves_in_the_middle(server, engine, database):
    engine.replies.append(SLOW)
    reading = Reading(server)
    await until(lambda: len(reading.events) > 10)
    await until_true(lambda: query(database, "SELECT 1 FROM tandem_response_events"))
    reading.task.cancel()
    response = await ended(server, reading.id)
    assert response["status"] == "incomplete"
    again = await read_again(server, reading.id)
    assert again[:10] == reading.events[:10]
    assert again[-1]["type"] == "response.incomplete"
    assert not await query(database, "SELECT 1 FROM tandem_response_runs")


async def test_a_client_that_leaves_while_the_end_is_written(server, engine, database):
    await made(server)
    async with busy(server):
        reading = Reading(server)
        await until(lambda: "response.output_item.done" in reading.types)
        await until(lambda: server.busy == 0)
        reading.task.cancel()
        await asyncio.wait([reading.task])
        await until(lambda: server.app._now.hot_path._open == 0)
    await server.app.services.stores.runs.endings.ended()
    assert (await ended(server, reading.id))["status"] == "completed"
    assert not await query(database, "SELECT 1 FROM tandem_response_runs")


@pytest.mark.skipif(COMPILED, reason=NO_PATCHES)
async def test_a_defect_in_the_middle_of_a_stream(server, engine, database, monkeypatch):
    engine.replies.append(SLOW)
    reading = Reading(server)
    await until(lambda: len(reading.events) > 10)
    await until_true(lambda: query(database, "SELECT 1 FROM tandem_response_events"))

    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("tandem_orchestrator.responses.turn.ResponseTurn.read", broken)
    with pytest.raises(Exception, match="payload"):
        await reading.task
    response = await ended(server, reading.id)
    assert (response["status"], response["error"]["code"]) == ("failed", "server_error")
    assert not server.app.services.stores.runs.active


async def test_what_follows_a_tool_is_streamed_as_it_comes(server, engine):
    """Of a response in the background, whose events are only there to be read again."""
    engine.replies.append(Reply("", (Call("calculate_math", '{"expression": "1 + 1"}'),)))
    engine.replies.append(Reply(" ".join(map(str, range(100))), between_pieces=0.05))
    reading = Reading(server, background=True)
    await until(lambda: "response.output_text.delta" in reading.types)
    assert (await show(server, reading.id))["status"] == "in_progress"
    reading.task.cancel()
