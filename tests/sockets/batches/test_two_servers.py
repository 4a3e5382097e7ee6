"""Two servers on one database: one works at batches, and the other goes on where it ends."""

from collections import Counter
from contextlib import asynccontextmanager

import orjson
import pytest

from tests.engine_double import Reply
from tests.sockets.batches.asking import (
    asked_of,
    begun,
    client_of,
    config,
    content,
    ended,
    jsonl,
    lines,
    until_batch,
)
from tests.sockets.process import serving
from tests.sockets.responses_state.kept import query
from tests.sockets.running import until

pytestmark = pytest.mark.usefixtures("brisk")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "files"


@pytest.fixture
def elsewhere(engine, url, folder, tmp_path):
    """A server in a process of its own."""

    @asynccontextmanager
    async def started(**settings):
        file = tmp_path / "config.yaml"
        upstreams = [{"name": "engine", "url": engine.url, "model": "double"}]
        document = {"upstreams": upstreams, "database": {"url": url}, "files": {"folder": str(folder)}, **settings}
        file.write_bytes(orjson.dumps(document))
        async with serving("--config", str(file), TANDEM_DRAIN_SECONDS="1") as running:
            yield running

    return started


@pytest.fixture
def survive(serve, engine, url, folder):
    """Starts another server here."""
    return lambda: serve(config(engine, url, folder))


async def results(client, batch):
    output = await content(client, batch.output_file_id)
    return Counter(each["custom_id"] for each in output)


async def test_each_line_is_made_once(serve, engine, url, folder):
    one, other = [await serve(config(engine, url, folder)) for _ in range(2)]
    engine.rule = lambda _: Reply(before_first_byte=0.005)
    async with client_of(one) as client, client_of(other) as another:
        made = [await begun(each, jsonl(lines(200))) for each in (client, another)]
        batches = [await ended(another, each.id) for each in made]
        for batch in batches:
            assert batch.status == "completed"
            assert await results(another, batch) == Counter(f"line {n}" for n in range(200))
    assert Counter(asked_of(engine)) == {f"line {n}": 2 for n in range(200)}
    assert engine.running == 0


async def test_a_server_that_is_killed(engine, elsewhere, survive, database):
    def slow_from_100_on(request):
        return Reply(before_first_byte=60 if int(request["messages"][0]["content"].split()[1]) >= 100 else 0)

    engine.rule = slow_from_100_on
    async with elsewhere() as process:
        async with client_of(process) as client:
            made = await begun(client, jsonl(lines(200)))
            await until_batch(client, made.id, lambda batch: batch.request_counts.completed == 100)
            await until(lambda: engine.running > 0)
        process.process.kill()
        await process.process.wait()
    await query(database, "UPDATE tandem_leases SET until = 0")
    engine.rule = lambda _: Reply()
    kept = asked_of(engine)
    async with client_of(await survive()) as client:
        batch = await ended(client, made.id)
        assert batch.request_counts.model_dump() == {"total": 200, "completed": 200, "failed": 0}
        assert await results(client, batch) == Counter(f"line {n}" for n in range(200))
    again = Counter(asked_of(engine)[len(kept) :])
    assert again == Counter(f"line {n}" for n in range(100, 200)), "what had an outcome is not made again"


async def test_one_that_stops_hands_over_at_once(serve, engine, url, folder, elsewhere):
    engine.rule = lambda _: Reply(before_first_byte=60)
    async with elsewhere() as process:
        async with client_of(process) as client:
            made = await begun(client, jsonl(lines(20)))
            await until(lambda: engine.running > 0)
        survivor = await serve(config(engine, url, folder))
        engine.rule = lambda _: Reply()
        process.terminate()
        async with client_of(survivor) as client:
            batch = await ended(client, made.id)
        assert batch.status == "completed"
        code, _ = await process.ended()
    assert code == 0


async def test_cancelled_at_the_other(serve, engine, url, folder):
    one = await serve(config(engine, url, folder))
    engine.rule = lambda request: Reply(
        before_first_byte=60 if int(request["messages"][0]["content"].split()[1]) >= 5 else 0
    )
    async with client_of(one) as client:
        made = await begun(client, jsonl(lines(20)))
        await until_batch(client, made.id, lambda batch: batch.request_counts.completed == 5)
        await until(lambda: engine.running > 0)
        other = await serve(config(engine, url, folder))
        async with client_of(other) as another:
            cancelled = await another.batches.cancel(made.id)
            assert cancelled.status == "cancelling"
            assert cancelled.cancelling_at is not None
            batch = await ended(another, made.id)
            assert (batch.status, batch.cancelled_at is not None) == ("cancelled", True)
            assert batch.request_counts.model_dump() == {"total": 20, "completed": 5, "failed": 0}
            assert len(await content(another, batch.output_file_id)) == 5
            errors = await content(another, batch.error_file_id)
            assert {each["error"]["code"] for each in errors} == {"batch_cancelled"}
            assert sorted(each["custom_id"] for each in errors) == sorted(f"line {n}" for n in range(5, 20))
            assert (await another.batches.cancel(made.id)).status == "cancelled"
    await until(lambda: engine.running == 0)


async def test_a_lease_that_lapsed_while_lines_were_under_way(serve, engine, url, folder, database):
    """The process that has lost it writes nothing any more."""
    one = await serve(config(engine, url, folder))
    engine.rule = lambda _: Reply(before_first_byte=0.3)
    async with client_of(one) as client:
        made = await begun(client, jsonl(lines(40)))
        await until(lambda: engine.running > 0)
        await query(
            database, "UPDATE tandem_leases SET owner = 'somebody', until = :until WHERE name = 'batches'", until=2**60
        )
        await until(lambda: engine.running == 0, 10)
        batch = await client.batches.retrieve(made.id)
        assert batch.request_counts is not None
        before = batch.request_counts.completed
        await query(database, "UPDATE tandem_leases SET until = 0 WHERE name = 'batches'")
        batch = await ended(client, made.id)
        assert before < 40
        assert await results(client, batch) == Counter(f"line {n}" for n in range(40))
