"""Files on their way into indexes: engines that are away, processes that end, files that go meanwhile."""

from collections import Counter
from contextlib import asynccontextmanager
from typing import Any

import openai
import orjson
import pytest
from tandem_orchestrator.errors import DatabaseDown
from tandem_orchestrator.retrieval.work import Works

from tests.engine_double import Reply
from tests.engine_double.embedding import Embedding
from tests.sockets.process import serving
from tests.sockets.retrieval.stores.conftest import KEYS
from tests.sockets.retrieval.stores.documents import RIVERS, Documents
from tests.sockets.running import AT_ONCE, until, until_awaited

MANY = "\n\n".join(f"Paragraph {n} is about subject {n * 7919 % 1000}." for n in range(400))
SMALL: Any = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}


async def chunks(database, store_id):
    """Positions of the pieces in a store's index."""
    async with database.transaction() as connection:
        query = f"SELECT index_id FROM tandem_vector_stores WHERE id = '{store_id}'"
        index_id = (await connection.exec_driver_sql(query)).scalar_one()
        rows = await connection.exec_driver_sql(f"SELECT position FROM tandem_chunks_{index_id} ORDER BY position")
        return list(rows.scalars())


async def test_an_engine_that_is_away_is_waited_for_and_named(start, engine, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.retrieval.ingestion.FIRST_PAUSE_MS", 50)
    engine.rule = lambda _: Reply(status=503, error={"error": {"message": "loading", "code": 503}})
    orchestrator = await start(**AT_ONCE)
    async with openai.AsyncOpenAI(base_url=f"{orchestrator.url}/v1", api_key="key-a", max_retries=0) as client:
        documents = Documents(client)
        file = await documents.upload(RIVERS)
        store = await client.vector_stores.create(file_ids=[file.id])

        async def attached():
            return await client.vector_stores.files.retrieve(file.id, vector_store_id=store.id)

        await until_awaited(attached, lambda found: found.last_error is not None, 20)
        found = await attached()
        assert (found.status, found.last_error.code) == ("in_progress", "server_error")
        assert "'double'" in found.last_error.message
        engine.rule = Embedding()
        await until_awaited(attached, lambda found: found.status == "completed", 20)
        assert (await attached()).last_error is None


async def test_a_text_that_the_model_refuses_fails_its_file_alone(client, documents, engine):
    engine.rule = Embedding(characters=1000)
    store = await client.vector_stores.create()
    long = "word " * 700
    assert (await documents.attach(store.id, long, "long.txt")).status == "failed"
    assert (await documents.attach(store.id, RIVERS)).status == "completed"
    (failed,) = [file async for file in client.vector_stores.files.list(store.id, filter="failed")]
    assert failed.last_error.code == "invalid_file"
    assert "maximum context length" in failed.last_error.message
    assert all("word" not in text for text in await documents.found(store.id, "word"))


async def test_a_file_that_is_detached_meanwhile_leaves_nothing(client, documents, engine, database):
    engine.rule = Embedding(seconds_a_text=0.02)
    file = await documents.upload(MANY)
    store = await client.vector_stores.create(file_ids=[file.id], chunking_strategy=SMALL)
    await until(lambda: engine.seen, 20)
    await client.vector_stores.files.delete(file.id, vector_store_id=store.id)
    engine.rule = Embedding()
    again = await documents.attach(store.id, RIVERS)
    assert again.status == "completed"
    assert await chunks(database, store.id) == [0]


async def test_files_are_cut_as_asked(client, documents, database):
    store = await client.vector_stores.create()
    file = await documents.attach(store.id, MANY, chunking_strategy=SMALL)
    assert (file.status, file.chunking_strategy.static.max_chunk_size_tokens) == ("completed", 100)
    small = len(await chunks(database, store.id))
    await documents.client.vector_stores.files.create(store.id, file_id=file.id)
    await documents.done(store.id)
    assert 0 < len(await chunks(database, store.id)) < small, "attached anew, it is cut anew"


@pytest.fixture
def elsewhere(engine, url, kept, tmp_path):
    """A server in a process of its own."""

    @asynccontextmanager
    async def started():
        upstreams = [{"name": "engine", "url": engine.url, "model": "double"}]
        settings = {"upstreams": upstreams, "database": {"url": url}, "files": kept.settings, "keys": KEYS}
        settings["retrieval"] = {"embedding": {"model": "double"}}
        file = tmp_path / "config.yaml"
        file.write_bytes(orjson.dumps(settings))
        async with serving("--config", str(file), TANDEM_DRAIN_SECONDS="1") as running:
            yield running

    return started


async def test_what_a_killed_process_has_begun_is_gone_on_with(start, elsewhere, engine, database, monkeypatch):
    engine.rule = Embedding(seconds_a_text=0.01)
    async with elsewhere() as other:
        async with openai.AsyncOpenAI(base_url=f"{other.url}/v1", api_key="key-a", max_retries=0) as client:
            documents = Documents(client)
            file = await documents.upload(MANY * 8)  # several transactions long
            store = await client.vector_stores.create(file_ids=[file.id], chunking_strategy=SMALL)

            async def begun():
                async with database.transaction() as connection:
                    query = "SELECT position FROM tandem_ingestions"
                    return list((await connection.exec_driver_sql(query)).scalars())

            await until_awaited(begun, lambda positions: positions and positions[0] > 0, 30)
        other.process.kill()
        await other.process.wait()
    (position,) = await begun()
    texts = sum(len(seen.body["input"]) for seen in engine.seen)
    async with database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE tandem_leases SET until = 0")
    engine.rule = Embedding()
    engine.seen.clear()
    orchestrator = await start()
    async with openai.AsyncOpenAI(base_url=f"{orchestrator.url}/v1", api_key="key-a", max_retries=0) as client:
        await Documents(client).done(store.id)
        found = await client.vector_stores.files.retrieve(file.id, vector_store_id=store.id)
    positions = await chunks(database, store.id)
    assert (found.status, positions) == ("completed", list(range(len(positions))))
    made_again = sum(len(seen.body["input"]) for seen in engine.seen)
    assert made_again == len(positions) - position, "what was there is not embedded again"
    assert texts >= position


async def test_each_of_many_files_is_read_once_by_two_processes(start, engine):
    engine.rule = Embedding()
    first, second = await start(), await start()
    async with openai.AsyncOpenAI(base_url=f"{first.url}/v1", api_key="key-a", max_retries=0) as client:
        documents = Documents(client)
        texts = [f"Note number {n} about {n * 31 % 97}." for n in range(40)]
        files = [await documents.upload(text, f"{n}.txt") for n, text in enumerate(texts)]
        store = await client.vector_stores.create()
        batch = await client.vector_stores.file_batches.create_and_poll(
            store.id, file_ids=[file.id for file in files], poll_interval_ms=100
        )
    assert batch.file_counts.completed == 40
    embedded = [text for seen in engine.seen for text in seen.body["input"]]
    assert sorted(embedded) == sorted(texts)
    assert second is not first


async def test_a_file_that_takes_longer_than_a_lease_stays_with_its_process(start, engine, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.store.leases.LEASE_MS", 1000)
    monkeypatch.setattr("tandem_orchestrator.retrieval.ingestion.LIFE_SECONDS", 0.2)
    engine.rule = Embedding(seconds_a_text=0.01)
    first, _ = await start(), await start()
    async with openai.AsyncOpenAI(base_url=f"{first.url}/v1", api_key="key-a", max_retries=0) as client:
        documents = Documents(client)
        file = await documents.upload(MANY * 4)
        store = await client.vector_stores.create(file_ids=[file.id], chunking_strategy=SMALL)
        await documents.done(store.id)
    embedded = Counter(text for seen in engine.seen for text in seen.body["input"])
    assert max(embedded.values()) <= 4, "as often as the text stands in the file"


async def test_work_whose_end_could_not_be_written_is_taken_again(start, engine, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.retrieval.ingestion.LIFE_SECONDS", 0.1)
    engine.rule = Embedding()
    failures = {"add": 1, "give_back": 2}

    def failing(name):
        own = getattr(Works, name)

        async def call(self, *arguments):
            if failures[name]:
                failures[name] -= 1
                raise DatabaseDown("the database is away", retry_after=1)
            return await own(self, *arguments)

        monkeypatch.setattr(Works, name, call)

    failing("add")
    failing("give_back")
    orchestrator = await start()
    async with openai.AsyncOpenAI(base_url=f"{orchestrator.url}/v1", api_key="key-a", max_retries=0) as client:
        documents = Documents(client)
        store = await documents.store(RIVERS)
        assert store.file_counts.completed == 1
