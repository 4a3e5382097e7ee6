"""What batches wait for, and what ends them."""

import asyncio
from itertools import count
from time import time

import pytest
from tandem_orchestrator.auth.principal import ANONYMOUS
from tandem_orchestrator.batches.assembly import Assembly
from tandem_orchestrator.batches.batch import Batch
from tandem_orchestrator.batches.work import Lost
from tandem_orchestrator.errors import FilesUnavailable

from tests.engine_double import Reply
from tests.sockets.batches.asking import (
    asked_of,
    begun,
    client_of,
    config,
    content,
    ended,
    jsonl,
    line,
    lines,
    until_batch,
)
from tests.sockets.postgres import door_to
from tests.sockets.responses_state.kept import query
from tests.sockets.running import until, until_awaited

pytestmark = pytest.mark.usefixtures("brisk")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "files"


@pytest.fixture
async def server(serve, engine, url, folder):
    return await serve(config(engine, url, folder))


@pytest.fixture
async def client(server):
    async with client_of(server) as client:
        yield client


@pytest.fixture
def runner(server):
    return server.app.parts[-1]


async def expire(database, batch_id):
    await query(database, "UPDATE tandem_batches SET expires = 1 WHERE id = :id", id=batch_id)


async def test_who_learns_too_late_that_a_batch_has_ended_leaves_its_files(client, runner):
    batch = await ended(client, (await begun(client, jsonl(lines(3)))).id)
    ((*columns,),) = await runner._work._rows.read("GET_BATCH", tenant=ANONYMOUS, id=batch.id)
    stale = Batch(*columns[: len(Batch._fields)])._replace(status="finalizing", ended=None)
    with pytest.raises(Lost):
        await Assembly(stale, runner._work, runner._desk.files).run()
    await runner._arrange({stale.key: "finalizing"})
    await until(lambda: not runner._steps)
    assert len(await content(client, batch.output_file_id)) == 3
    assert [file.filename async for file in client.files.list(purpose="batch_output")] == [f"{batch.id}_output.jsonl"]


async def test_an_engine_that_is_away(server, client, engine, runner):
    engine.stop()
    await until(lambda: not server.upstreams.all[0].ready, 20)
    made = await begun(client, jsonl(lines(20)))
    await until_batch(client, made.id, lambda batch: batch.status == "in_progress")
    await until(lambda: runner.problems == ["batches: lines of batches wait, as no engine of 'double' answers"])
    await engine.start()
    batch = await ended(client, made.id)
    assert batch.request_counts.completed == 20
    assert not runner.problems


async def test_an_engine_that_goes_while_lines_are_under_way(server, client, engine):
    engine.rule = lambda _: Reply(before_first_byte=60)
    made = await begun(client, jsonl(lines(10)))
    await until(lambda: engine.running > 0)
    engine.stop()
    await until(lambda: not server.upstreams.all[0].ready, 20)
    engine.rule = lambda _: Reply()
    await engine.start()
    batch = await ended(client, made.id)
    assert batch.request_counts.model_dump() == {"total": 10, "completed": 10, "failed": 0}


async def test_an_engine_that_refuses_for_a_while(client, engine):
    engine.replies.extend(Reply(status=status) for status in (429, 503, 429))
    batch = await ended(client, (await begun(client, jsonl(lines(5)))).id)
    assert batch.request_counts.completed == 5


async def test_a_line_that_always_breaks_off_is_given_up(client, engine):
    engine.rule = lambda request: Reply(fault="malformed_json" if request["messages"][0]["content"] == "line 1" else "")
    batch = await ended(client, (await begun(client, jsonl(lines(3)))).id)
    assert batch.request_counts.model_dump() == {"total": 3, "completed": 2, "failed": 1}
    (error,) = await content(client, batch.error_file_id)
    assert (error["custom_id"], error["response"]["status_code"]) == ("line 1", 502)


async def test_expired(client, engine, database):
    engine.rule = lambda request: Reply(
        before_first_byte=60 if int(request["messages"][0]["content"].split()[1]) >= 3 else 0
    )
    made = await begun(client, jsonl(lines(100)))
    await until_batch(client, made.id, lambda batch: batch.request_counts.completed == 3)
    await expire(database, made.id)
    batch = await ended(client, made.id)
    assert (batch.status, batch.expired_at is not None, batch.finalizing_at is not None) == ("expired", True, True)
    assert batch.request_counts.model_dump() == {"total": 100, "completed": 3, "failed": 0}
    assert len(await content(client, batch.output_file_id)) == 3
    errors = await content(client, batch.error_file_id)
    assert sorted(each["custom_id"] for each in errors) == sorted(f"line {n}" for n in range(3, 100))
    assert {each["error"]["code"] for each in errors} == {"batch_expired"}
    assert {each["response"] for each in errors} == {None}
    await until(lambda: engine.running == 0)


async def test_cancelled_before_it_began(server, client, engine):
    server.app.services.state.draining = True
    made = await begun(client, jsonl(lines(3)))
    assert (await client.batches.cancel(made.id)).status == "cancelling"
    server.app.services.state.draining = False
    batch = await ended(client, made.id)
    assert (batch.status, batch.output_file_id, batch.error_file_id) == ("cancelled", None, None)
    assert not engine.seen


async def test_one_that_has_ended_cannot_be_cancelled(server, client):
    made = await begun(client, jsonl(lines(1)))
    await ended(client, made.id)
    async with server.client.post(f"/v1/batches/{made.id}/cancel") as response:
        answer = await response.json()
    assert (response.status, answer["error"]["code"]) == (400, "batch_not_cancellable")


async def test_others_come_first(server, client, engine):
    """Lines are ended for a request of somebody who waits, and made again afterwards."""
    engine.rule = lambda request: Reply(before_first_byte=60 if request["messages"][0]["content"] != "urgent" else 0.5)
    made = await begun(client, jsonl(lines(30)))
    await until(lambda: engine.running >= 8)
    messages = [{"role": "user", "content": "urgent"}]
    answering = asyncio.create_task(client.chat.completions.create(model="double", messages=messages))
    await until(lambda: "urgent" in asked_of(engine) and engine.running == 1)
    assert (await answering).choices
    engine.rule = lambda _: Reply()
    batch = await ended(client, made.id)
    assert batch.request_counts.completed == 30


async def test_a_batch_holds_no_place_in_the_queue_for_engines(serve, engine, url, folder):
    server = await serve(config(engine, url, folder, hold={"maxRequests": 1, "seconds": 30}))
    async with client_of(server) as client:
        engine.stop()
        await until(lambda: not server.upstreams.all[0].ready, 20)
        made = await begun(client, jsonl(lines(20)))
        await until_batch(client, made.id, lambda batch: batch.status == "in_progress")
        asking = asyncio.create_task(server.chat())
        await until(lambda: server.app.services.dispatcher.held("double"))
        await engine.start()
        assert (await asking)[0] == 200
        assert (await ended(client, made.id)).request_counts.completed == 20


# Keys


@pytest.fixture
async def keyed(serve, engine, url, folder, tmp_path):
    keys = tmp_path / "keys.yaml"
    keys.write_text(KEYS)
    server = await serve(config(engine, url, folder, keys={"files": [{"file": str(keys)}]}))
    return server, keys


KEYS = """
- {name: one, tenant: a, key: key-of-the-tenant-a}
- {name: two, tenant: b, key: key-of-the-tenant-b, models: [other]}
"""


async def test_tenants(keyed):
    server, _ = keyed
    async with client_of(server, "key-of-the-tenant-a") as a, client_of(server, "key-of-the-tenant-b") as b:
        made = await begun(a, jsonl(lines(2)))
        batch = await ended(a, made.id)
        assert [each.id async for each in a.batches.list()] == [made.id]
        assert [each.id async for each in b.batches.list()] == []
        for ask in (b.batches.retrieve, b.batches.cancel, b.files.retrieve):
            with pytest.raises(Exception, match="404"):
                await ask(batch.output_file_id if ask == b.files.retrieve else made.id)
        with pytest.raises(Exception, match="404"):
            await b.batches.create(
                input_file_id=made.input_file_id, endpoint="/v1/chat/completions", completion_window="24h"
            )


async def test_a_model_that_the_key_may_not_use(keyed, engine):
    server, _ = keyed
    async with client_of(server, "key-of-the-tenant-b") as client:
        batch = await ended(client, (await begun(client, jsonl(lines(2)))).id)
        assert batch.status == "failed"
        assert [(each.code, each.line) for each in batch.errors.data] == [("not_allowed", 1), ("not_allowed", 2)]
        assert (batch.output_file_id, batch.error_file_id) == (None, None)
    assert not engine.seen


async def test_a_key_that_was_taken_away(keyed, engine):
    server, keys = keyed
    engine.stop()
    await until(lambda: not server.upstreams.all[0].ready, 20)
    async with client_of(server, "key-of-the-tenant-a") as client:
        made = await begun(client, jsonl(lines(5)))
        await until_batch(client, made.id, lambda batch: batch.status == "in_progress")
    keys.write_text(KEYS.replace("key-of-the-tenant-a", "another-key-of-the-tenant-a").replace("one", "three"))
    header = [(b"authorization", b"Bearer another-key-of-the-tenant-a")]
    await until(lambda: server.app.services.keys.know(header))
    await engine.start()
    async with client_of(server, "another-key-of-the-tenant-a") as client:
        batch = await ended(client, made.id)
        assert batch.request_counts.failed == 5
        errors = await content(client, batch.error_file_id)
        assert {each["response"]["status_code"] for each in errors} == {401}
    assert not engine.seen


async def test_a_budget_that_is_used_up(serve, engine, url, folder, monkeypatch):
    """Lines wait for the next day, and a minute's limits are none of a batch's."""
    limits = {"defaults": {"tokensPerDay": 200, "requestsPerMinute": 3, "concurrentRequests": 1}}
    server = await serve(config(engine, url, folder, rateLimits=limits, keys={"values": ["a:key-of-a"]}))
    async with client_of(server, "key-of-a") as client:
        made = await begun(client, jsonl(lines(200)))
        batch = await until_batch(client, made.id, lambda batch: batch.request_counts.completed > 5)
        limiter = server.app.services.admission._limiter
        principal = server.app.services.keys.identify([(b"authorization", b"Bearer key-of-a")])
        await until(lambda: limiter._account(principal).key.day.at(int(limiter._clock())) >= 200)
        await until(lambda: engine.running == 0)
        batch = await client.batches.retrieve(made.id)
        assert batch.status == "in_progress"
        assert batch.request_counts is not None
        assert batch.request_counts.failed == 0
        assert batch.request_counts.completed < 200
        before = len(engine.seen)
        days = count(1)
        monkeypatch.setattr(limiter, "_clock", lambda: time() + 86_400 * next(days))  # each look is another day's
        batch = await ended(client, made.id)
        assert batch.request_counts.completed == 200
        assert len(engine.seen) > before


# Outages


async def test_a_database_that_goes_and_comes(serve, engine, postgres, folder):
    async with door_to(await postgres.create()) as door:
        server = await serve(config(engine, door.url, folder))
        engine.rule = lambda _: Reply(before_first_byte=0.02)
        async with client_of(server) as client:
            made = await begun(client, jsonl(lines(300)))
            await until_batch(client, made.id, lambda batch: batch.request_counts.completed > 20)
            await door.shut()
            await until(lambda: server.app.services.keys.problems, 20)
            await door.open()
            await until(lambda: not server.app.services.keys.problems, 20)
            batch = await ended(client, made.id)
            assert batch.request_counts.completed == 300
            output = await content(client, batch.output_file_id)
            assert sorted(each["custom_id"] for each in output) == sorted(f"line {n}" for n in range(300))


async def test_files_that_cannot_be_kept_for_a_while(server, client, runner, monkeypatch):
    files = runner._desk.files
    add, failing = files.add, [True]

    async def away(*arguments):
        if failing:
            raise FilesUnavailable("the folder is away")
        return await add(*arguments)

    monkeypatch.setattr(files, "add", away)
    made = await begun(client, jsonl(lines(2)))
    batch = await until_batch(client, made.id, lambda batch: batch.errors is not None)
    assert (batch.status, batch.errors.data[0].message) == ("finalizing", "the folder is away")
    assert any("the folder is away" in problem for problem in runner.problems)
    failing.clear()
    batch = await ended(client, made.id)
    assert (batch.status, batch.errors) == ("completed", None)


async def test_a_process_that_is_lost_while_it_keeps_results(client, runner, monkeypatch):
    """The files that it had kept are made again, and there is one of each."""
    work = runner._work
    finish, lost = work.finish, [True]

    async def lose(*arguments):
        if lost:
            lost.clear()
            raise FilesUnavailable("as if it had been killed")
        return await finish(*arguments)

    monkeypatch.setattr(work, "finish", lose)
    bad = line("bad", {"model": "double", "messages": []})
    batch = await ended(client, (await begun(client, jsonl([*lines(2), bad]))).id)

    async def files():
        return {file.id async for file in client.files.list(purpose="batch_output")}

    await until_awaited(files, lambda found: found == {batch.output_file_id, batch.error_file_id})


async def test_what_a_batch_needed_is_deleted(client, runner, database):
    made = await begun(client, jsonl(lines(3)))
    await ended(client, made.id)
    await runner._work.clear()
    assert await query(database, "SELECT 1 FROM tandem_batch_spans") == []
    assert await query(database, "SELECT 1 FROM tandem_batch_outcomes") == []
    batch = await client.batches.retrieve(made.id)
    assert (batch.request_counts.completed, batch.usage.output_tokens > 0) == (3, True)
    assert await runner._work.forget(2**50) == 1
    assert [each async for each in client.batches.list()] == []
