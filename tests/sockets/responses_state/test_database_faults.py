"""A database that is away, falls silent, or is full."""

import asyncio
import sqlite3

import pytest

from tests.engine_double import Reply
from tests.sockets.postgres import door_to
from tests.sockets.responses_state.asking import Reading, ask, ended, made, read_again, respond, show
from tests.sockets.responses_state.kept import counts, query, true_counts, until_true
from tests.sockets.running import AT_ONCE, config_for, until

pytestmark = pytest.mark.usefixtures("brisk")
WORDS = " ".join(map(str, range(60)))


@pytest.fixture
async def door(postgres):
    async with door_to(await postgres.create()) as door:
        yield door


def config(engine, url, **settings):
    return config_for(engine, database={"url": url}, keys={"values": ["a:key-of-a"]}, **AT_ONCE, **settings)


async def until_kept(server):
    """Waits until responses can be kept again."""
    async with asyncio.timeout(10):
        while (answer := await respond(server, "key-of-a")).status == 503:  # noqa: ASYNC110 # another process's state
            await asyncio.sleep(0.05)
    assert answer.status == 200, answer


async def test_away_from_the_start(serve, engine, door):
    await door.shut()
    server = await serve(config(engine, door.url))
    headers = {"authorization": "Bearer key-of-a"}
    async with server.client.post(
        "/v1/chat/completions",
        json={"model": "double", "messages": [{"role": "user", "content": "x"}]},
        headers=headers,
    ) as chat:
        assert chat.status == 200
    engine.seen.clear()
    for fields in ({}, {"stream": True}, {"background": True}):
        answer = await respond(server, "key-of-a", **fields)
        assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "database_unavailable", "5")
    assert not engine.seen, "an answer that cannot be kept is not asked for"
    assert (await made(server, "key-of-a", store=False))["status"] == "completed"
    assert (await ask(server, "GET", "responses/resp_x", "key-of-a")).status == 503
    await door.open()
    await until_kept(server)


async def test_silent_it_holds_nobody_up(serve, engine, door, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.store.database.TRANSACTION_SECONDS", 0.5)
    monkeypatch.setattr("tandem_orchestrator.store.engine.CONNECT_SECONDS", 0.5)
    server = await serve(config(engine, door.url))
    await made(server, "key-of-a")
    door.blocked = True
    await until(lambda: server.app.services.keys.problems, 20)
    engine.seen.clear()
    async with asyncio.timeout(4):
        answers = await asyncio.gather(*(respond(server, "key-of-a") for _ in range(20)))
    assert {answer.status for answer in answers} == {503}
    assert not engine.seen
    door.blocked = False
    await until_kept(server)


async def any_told(runs):
    return any([await runs.last_event(*each) >= 0 for each in await runs.mine()])


async def test_away_in_the_middle_of_a_stream(serve, engine, door):
    server = await serve(config_for(engine, database={"url": door.url}, **AT_ONCE))
    engine.replies.append(Reply(WORDS, between_pieces=0.01))
    reading = Reading(server)
    await until(lambda: len(reading.events) > 20)
    runs = server.app.services.stores.runs
    await until_true(lambda: any_told(runs))
    await door.shut()
    await reading.task
    assert reading.types[-2:] == ["error", "response.failed"]
    assert reading.events[-2]["code"] == "database_unavailable"
    await door.open()
    await until(lambda: not server.app.services.keys.problems)
    response = await ended(server, reading.id)
    assert response["status"] == "failed"
    assert (await read_again(server, reading.id))[-1]["type"] == "response.failed"


async def test_away_for_a_moment_in_the_middle_of_a_stream(serve, engine, door):
    """Events that could not be written are written later."""
    server = await serve(config_for(engine, database={"url": door.url}, **AT_ONCE))
    engine.replies.append(Reply(WORDS, between_pieces=0.03))
    reading = Reading(server)
    await until(lambda: len(reading.events) > 10)
    await door.shut()
    at = len(reading.events)
    await until(lambda: len(reading.events) > at + 10)
    await door.open()
    await until(lambda: not server.app.services.keys.problems)
    await reading.task
    assert reading.types[-1] == "response.completed"
    assert await read_again(server, reading.id) == reading.events


@pytest.fixture
async def full(url, database, monkeypatch):
    """Lets the database have no more room, and back."""

    async def fill():
        if url.startswith("sqlite"):
            (pages,) = (await query(database, "PRAGMA page_count"))[0]
            monkeypatch.setattr(sqlite3, "connect", limited(int(pages)))
        else:
            await query(
                database,
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$",
            )
            for table in ("tandem_responses", "tandem_conversation_items"):
                await query(database, f"CREATE TRIGGER refuse BEFORE INSERT ON {table} EXECUTE FUNCTION refuse()")

    return fill


def limited(pages):
    def connected(*args, connect=sqlite3.connect, **settings):
        connection = connect(*args, **settings)
        connection.execute(f"PRAGMA max_page_count={pages}")
        return connection

    return connected


async def test_a_full_database(serve, engine, url, database, full):
    before = await serve(config_for(engine, database={"url": url}, **AT_ONCE))
    long = "word " * 20_000
    first = await made(before)
    second = await made(before, previous_response_id=first["id"])
    await full()
    server = await serve(config_for(engine, database={"url": url}, **AT_ONCE))
    for background in (False, True):
        refused = await respond(server, input=long, previous_response_id=second["id"], background=background)
        assert (refused.status, refused.code) == (507, "storage_full")
    reading = Reading(server, input=long, previous_response_id=second["id"])
    await reading.task
    assert reading.types[-2:] == ["error", "response.failed"]
    assert reading.events[-2]["code"] == "storage_full"
    assert (await show(server, second["id"]))["status"] == "completed"
    third = await made(server, previous_response_id=second["id"], store=False)
    assert third["status"] == "completed"
    assert len(engine.seen[-1].body["messages"]) == 5
    assert (await ask(server, "DELETE", f"responses/{first['id']}")).status == 200
    assert (await ask(server, "DELETE", f"responses/{second['id']}")).status == 200
    assert await counts(database) == await true_counts(database) == {}
    assert not server.app.services.keys.problems, "it is full, but not away"
