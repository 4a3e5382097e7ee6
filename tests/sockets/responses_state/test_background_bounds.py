"""How much is queued, for how long, and whose turn it is."""

import asyncio

import pytest

from tests.engine_double import Reply
from tests.sockets.responses_state.asking import ask, ended, made, respond, show
from tests.sockets.responses_state.kept import query, stored
from tests.sockets.running import AT_ONCE, config_for, until

pytestmark = pytest.mark.usefixtures("brisk")
KEYS = {"values": [f"{tenant}:key-of-{tenant}" for tenant in ("a", "b")]}


def with_background(engine, url, **background):
    return config_for(engine, database={"url": url}, responses={"background": background}, keys=KEYS, **AT_ONCE)


async def queue(server, tenant, number, **fields):
    asking = (respond(server, f"key-of-{tenant}", background=True, **fields) for _ in range(number))
    answers = await asyncio.gather(*asking)
    assert {answer.status for answer in answers} == {200}, answers[0]
    return [answer.body["id"] for answer in answers]


async def test_a_tenant_has_as_many_queued_as_it_may(serve, engine, url):
    server = await serve(with_background(engine, url, concurrency=1, maxQueued=3))
    engine.rule = lambda _: Reply(before_first_byte=60)
    await queue(server, "a", 1)
    await until(lambda: engine.running == 1)
    queued = await queue(server, "a", 3)
    refused = await respond(server, "key-of-a", background=True)
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (429, "background_queue_full", "30")
    await queue(server, "b", 1)
    assert (await ask(server, "POST", f"responses/{queued[0]}/cancel", "key-of-a")).body["status"] == "cancelled"
    await queue(server, "a", 1)
    assert (await respond(server, "key-of-a", background=True)).status == 429


async def test_one_that_waits_does_not_count_for_those_that_came_and_went(kept):
    """An engine is away, and with it one response waits, while others are made."""
    await kept.queue.enqueue(stored("a", status="queued", background=True), "away", "{}", 3, None)
    await kept.queue.enqueue(stored("a", status="queued", background=True), "double", "{}", 3, None)
    for _ in range(6):
        await kept.queue.enqueue(stored("a", status="queued", background=True), "double", "{}", 3, None)
        assert len(await kept.queue.claim(1, ["away"])) == 1


async def test_many_of_one_tenant_do_not_hold_up_another(serve, engine, url):
    server = await serve(with_background(engine, url, concurrency=2))
    engine.rule = lambda _: Reply(before_first_byte=0.005)
    first = await queue(server, "a", 1, input="of a")
    await until(lambda: engine.seen)
    many = await queue(server, "a", 300, input="of a")
    (one,) = await queue(server, "b", 1, input="of b")
    at = len(engine.seen)
    await ended(server, one, "key-of-b")
    asked = [seen.body["messages"][0]["content"] for seen in engine.seen]
    assert asked.index("of b") <= at + 4
    await until(lambda: len(engine.seen) == 302, 30)
    assert sum(content == "of a" for content in [seen.body["messages"][0]["content"] for seen in engine.seen]) == 301
    for each in (*first, *many[::50]):
        assert (await ended(server, each, "key-of-a"))["status"] == "completed"


async def test_what_waits_for_too_long_fails(serve, engine, url):
    server = await serve(with_background(engine, url, concurrency=1, maxQueuedSeconds=0.5))
    engine.rule = lambda _: Reply(before_first_byte=3)
    first, second = (await queue(server, "a", 1))[0], (await queue(server, "a", 1))[0]
    response = await ended(server, second, "key-of-a")
    assert response["status"] == "failed"
    assert response["error"]["message"] == "it was queued for more than 0.5 s"
    assert (await ended(server, first, "key-of-a"))["status"] == "completed"
    assert len(engine.seen) == 1


async def test_what_waits_for_an_engine_for_too_long_fails_too(serve, engine, url):
    server = await serve(with_background(engine, url, maxQueuedSeconds=1))
    engine.stop()
    (waiting,) = await queue(server, "a", 1)
    response = await ended(server, waiting, "key-of-a")
    assert response["error"]["message"] == "it was queued for more than 1 s"


async def test_an_engine_that_is_away_costs_no_attempt(serve, engine, url, database):
    server = await serve(with_background(engine, url))
    engine.stop()
    (waiting,) = await queue(server, "a", 1)
    sql = "SELECT attempts FROM tandem_response_runs WHERE due > queued AND owner = ''"
    async with asyncio.timeout(20):
        while not (found := await query(database, sql)):  # noqa: ASYNC110 # what is waited for lies in a database
            await asyncio.sleep(0.01)
    assert found == [(0,)]
    assert (await show(server, waiting, "key-of-a"))["status"] == "queued"
    await engine.start()
    assert (await ended(server, waiting, "key-of-a"))["status"] == "completed"
    assert len([seen for seen in engine.seen if seen.path.endswith("completions")]) == 1


async def test_a_response_whose_key_was_taken_away_fails(serve, engine, url, tmp_path):
    keys = tmp_path / "keys.yaml"
    keys.write_text("- {name: alice, key: tk-alice, tenant: a}\n- {name: bob, key: tk-bob, tenant: a}")
    settings = {"background": {"concurrency": 1}}
    server = await serve(
        config_for(engine, database={"url": url}, responses=settings, keys={"files": [{"file": str(keys)}]})
    )
    engine.replies.append(Reply(before_first_byte=2))
    await made(server, "tk-bob", background=True)
    await until(lambda: engine.running == 1)
    waiting = await made(server, "tk-alice", background=True)
    keys.write_text("- {name: bob, key: tk-bob, tenant: a}")
    response = await ended(server, waiting["id"], "tk-bob")
    assert response["status"] == "failed"
    assert "has been taken away" in response["error"]["message"]
    assert len(engine.seen) == 1


async def test_attempts_have_a_bound(serve, engine, url):
    server = await serve(with_background(engine, url))
    engine.rule = lambda _: Reply(fault="cut")
    (cut,) = await queue(server, "a", 1)
    response = await ended(server, cut, "key-of-a")
    assert response["status"] == "failed"
    assert len(engine.seen) == 3, "more than once each, as any request that an engine cuts"
    engine.rule = lambda _: Reply()
    assert [each["status"] for each in await each_ended_of_a(server, await queue(server, "a", 3))] == ["completed"] * 3


async def each_ended_of_a(server, response_ids):
    return [await ended(server, each, "key-of-a") for each in response_ids]
