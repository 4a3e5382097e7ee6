"""Writes of one process that share transactions."""

import asyncio

import asyncpg
import pytest
from tandem_orchestrator.errors import NotFound
from tandem_orchestrator.store.database import Conflict

from tests.sockets.responses_state.kept import (
    another,
    counts,
    query,
    said,
    stored,
    together,
    told,
    true_counts,
    until_true,
)


async def test_those_that_conflict_fail_alone(kept, database):
    first = stored("a")
    await kept.responses.add(first)
    responses = [stored(f"tenant-{n % 3}") for n in range(200)]
    for n in range(0, 200, 10):
        responses[n] = stored("a", previous_id="resp_gone") if n % 20 else first
    done = await asyncio.gather(*map(kept.responses.add, responses), return_exceptions=True)
    failed = {n: type(error) for n, error in enumerate(done) if error is not None}
    assert failed == {n: NotFound if n % 20 else Conflict for n in range(0, 200, 10)}
    assert (await query(database, "SELECT count(*) FROM tandem_responses"))[0][0] == 181
    assert await counts(database) == await true_counts(database)


async def test_they_share_transactions(kept, database, monkeypatch):
    await kept.responses.add(stored("a"))
    groups = []
    commit = database._writer._write

    async def counting(jobs):
        groups.append(len(jobs))
        return await commit(jobs)

    monkeypatch.setattr(database._writer, "_write", counting)
    await asyncio.gather(*(kept.responses.add(stored("a")) for _ in range(300)))
    assert groups == [256, 44]


async def test_who_stops_waiting_harms_nobody(kept, database):
    await kept.responses.add(stored("a"))
    responses = [stored("a") for _ in range(100)]
    adding = [asyncio.create_task(kept.responses.add(each)) for each in responses]
    await asyncio.sleep(0)  # they have all been added to the queue
    for task in adding[::2]:
        task.cancel()
    done = await asyncio.gather(*adding, return_exceptions=True)
    assert [isinstance(each, asyncio.CancelledError) for each in done] == [True, False] * 50
    await database._writer.drained()
    for response in responses[1::2]:
        assert (await kept.responses.get("a", response.id)).input == response.input


async def test_the_order_is_kept(kept, database):
    conversation = (await kept.conversations.create("a", {}))["id"]
    bodies = [{"items": [{"role": "user", "content": f"{n}.{m}"} for m in range(3)]} for n in range(60)]
    await asyncio.gather(*(kept.conversations.add_items("a", conversation, body) for body in bodies))
    items = await kept.responses.conversation_items("a", conversation)
    assert [item["content"][0]["text"] for item in items] == [
        item["content"] for body in bodies for item in body["items"]
    ]
    positions = await query(database, "SELECT position FROM tandem_conversation_items ORDER BY position")
    assert [row[0] for row in positions] == list(range(180))


async def test_what_one_tenant_deletes_is_not_told_to_another(kept):
    for _ in range(5):
        mine, other = stored("a"), stored("b")
        await kept.responses.add(mine)
        deleting = (kept.responses.delete(tenant, mine.id) for tenant in ("b", "a", "b"))
        done = await asyncio.gather(kept.responses.add(other), *deleting, return_exceptions=True)
        assert [type(each) for each in done] == [type(None), NotFound, type(None), NotFound]
        conversation = (await kept.conversations.create("a", {}))["id"]
        body = {"items": [{"role": "user", "content": "secret"}]}
        adding = (kept.conversations.add_items(tenant, conversation, body) for tenant in ("b", "a", "b"))
        done = await asyncio.gather(kept.responses.add(stored("b")), *adding, return_exceptions=True)
        assert [isinstance(each, NotFound) for each in done] == [False, True, False, True]


async def test_what_is_queued_and_taken_at_once_keeps_its_events(kept, database, monkeypatch):
    """The first events of a stream are nobody's: they are written before somebody takes it."""
    monkeypatch.setattr("time.time_ns", lambda: 1_000_000_000_000)
    await kept.leases.live()
    response = stored("a", status="queued", background=True)
    async with together(database, 2):
        taking = asyncio.create_task(kept.queue.claim(1, []))
        await asyncio.sleep(0)
        queueing = asyncio.create_task(kept.queue.enqueue(response, "double", "{}", 100, told(0, 2)))
    await asyncio.gather(taking, queueing)
    await kept.queue.claim(1, [])
    assert await kept.runs.last_event("a", response.id) == 1


async def test_two_processes_with_the_same_tenants_never_stop_each_other(kept, database, url, monkeypatch):
    """What is counted of tenants is changed by both, and in which order depends on what they do."""
    monkeypatch.setattr("tandem_orchestrator.store.postgresql_pool.ATTEMPTS", 1)
    async with another(url) as other:
        for _ in range(20):
            await asyncio.gather(
                one_finishes_as_one_begins(kept, "a", "b"), one_finishes_as_one_begins(other, "b", "a")
            )
    assert await counts(database) == await true_counts(database)


async def one_finishes_as_one_begins(process, first, other):
    await process.leases.live()
    response = stored(first, status="in_progress")
    await process.runs.begin(response)
    response.status, response.output = "completed", "[{}]"
    async with together(process.database, 2):
        beginning = asyncio.create_task(process.runs.begin(stored(other, status="in_progress")))
        finishing = asyncio.create_task(process.runs.finish(response, told(0, 3)))
    await beginning
    await finishing


async def test_a_response_continued_while_it_is_deleted(kept, database, url):
    if url.startswith("sqlite"):
        pytest.skip("SQLite has one writer at a time")
    first = stored("a")
    await kept.responses.add(first)
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():  # another process, in the middle of adding one
            await connection.execute(
                "INSERT INTO tandem_responses SELECT tenant, 'resp_next', id, NULL, created, status, hidden, "
                "compacted, resource, input, output, bytes FROM tandem_responses"
            )
            deleting = asyncio.create_task(kept.responses.delete("a", first.id))
            waiting = (
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            await until_true(lambda: connection.fetchval(waiting))
        await deleting
    finally:
        await connection.close()
    with pytest.raises(NotFound):
        await kept.responses.get("a", first.id)
    assert len(await kept.responses.chain("a", "resp_next")) == 4


async def test_two_at_a_conversation_that_is_deleted_meanwhile(kept, database):
    """Whoever is told that a response was kept finds it again."""
    conversation = (await kept.conversations.create("a", {}))["id"]
    responses = [stored("a", conversation_id=conversation) for _ in range(4)]
    async with together(database, 5):
        adding = [asyncio.create_task(kept.responses.add(each, [said("x")])) for each in responses[:2]]
        deleting = asyncio.create_task(kept.conversations.delete("a", conversation))
        adding += [asyncio.create_task(kept.responses.add(each, [said("x")])) for each in responses[2:]]
    await deleting
    for response, done in zip(responses, await asyncio.gather(*adding, return_exceptions=True), strict=True):
        if done is None:
            await kept.responses.get("a", response.id)
        else:
            assert isinstance(done, NotFound)
