"""Another embedding model: stores are indexed anew beside the old index, and searched all the while."""

import re

import openai
import pytest
from tandem_orchestrator.retrieval.upkeep import Upkeep

from tests.engine_double import EngineDouble
from tests.engine_double.embedding import Embedding
from tests.sockets.retrieval.stores.conftest import KEYS
from tests.sockets.retrieval.stores.documents import PLANETS, RIVERS, Documents
from tests.sockets.running import config_for, until_awaited


@pytest.fixture
async def other():
    """An engine with another model, whose vectors are longer."""
    async with EngineDouble(model="other") as double:
        double.rule = Embedding(dimension=12)
        yield double


@pytest.fixture
def start_with(serve, url, kept):
    async def started(*engines, model):
        retrieval = {"embedding": {"model": model}}
        settings = {"keys": KEYS, "database": {"url": url}, "files": kept.settings, "retrieval": retrieval}
        orchestrator = await serve(config_for(*engines, **settings, hold={"maxRequests": 0}))
        client = openai.AsyncOpenAI(base_url=f"{orchestrator.url}/v1", api_key="key-a", max_retries=0)
        return orchestrator, Documents(client)

    return started


async def reindexed(documents, store_id):
    answer = await documents.client.post(f"/vector_stores/{store_id}/reindex", cast_to=object)
    assert answer["id"] == store_id


async def made_with(documents, store_id):
    """Return whether a store is being indexed anew, and what embedded what is searched."""
    store = await documents.client.vector_stores.retrieve(store_id)
    return store.reindexing, store.embedding


async def tables(database):
    names = "SELECT name FROM sqlite_master"
    if await database.system() == "postgresql":
        names = "SELECT tablename FROM pg_tables"
    async with database.transaction() as connection:
        found = (await connection.exec_driver_sql(names)).scalars().all()
    return [name for name in found if re.fullmatch(r"tandem_chunks_[0-9a-f]{32}", name)]


async def test_a_store_changes_its_model_while_it_is_searched(start_with, engine, other, database):
    engine.rule = Embedding()
    before, documents = await start_with(engine, model="double")
    store = await documents.store(RIVERS, PLANETS)
    await documents.client.close()
    await before.stop()
    orchestrator, documents = await start_with(engine, other, model="other")
    assert "Saturn" in (await documents.found(store.id, "Saturn rings"))[0], "by the model that it was made with"
    (old,) = await tables(database)
    assert (await made_with(documents, store.id)) == (False, {"model": "double", "dimensions": 8})
    await reindexed(documents, store.id)

    async def searched():
        assert "Saturn" in (await documents.found(store.id, "Saturn rings"))[0]
        return await made_with(documents, store.id)

    assert (await searched())[0]
    await until_awaited(searched, lambda made: made == (False, {"model": "other", "dimensions": 12}), 20)
    asked = len(engine.seen)
    assert "Saturn" in (await documents.found(store.id, "Saturn rings"))[0]
    assert len(engine.seen) == asked, "the old model is asked no more"
    (upkeep,) = (part for part in orchestrator.app.parts if isinstance(part, Upkeep))
    await upkeep.sweep()
    (new,) = await tables(database)
    assert new != old
    found = await documents.client.vector_stores.retrieve(store.id)
    assert (found.status, found.file_counts.completed) == ("completed", 2)
    await documents.client.close()


async def test_without_its_model_a_store_says_what_to_do(start_with, engine, other):
    engine.rule = Embedding()
    before, documents = await start_with(engine, model="double")
    store = await documents.store(RIVERS)
    await documents.client.close()
    await before.stop()
    orchestrator, documents = await start_with(other, model="other")
    with pytest.raises(openai.ConflictError, match=r"embedding model 'double'.*reindex") as refused:
        await documents.found(store.id, "Rhine")
    assert refused.value.code == "embedding_mismatch"
    by_words = {"hybrid_search": {"embedding_weight": 0, "text_weight": 1}}
    assert await documents.found(store.id, "Rhine", ranking_options=by_words), "words need no model"
    (upkeep,) = (part for part in orchestrator.app.parts if isinstance(part, Upkeep))
    await upkeep.compare()
    assert "1 vector stores were made with the embedding model 'double'" in upkeep.problems[0]
    await reindexed(documents, store.id)

    async def found():
        try:
            return await documents.found(store.id, "Rhine")
        except openai.ConflictError:
            return []

    await until_awaited(found, bool, 20)
    await upkeep.compare()
    assert upkeep.problems == []
    await documents.client.close()


async def test_it_is_not_begun_twice(start_with, engine, other):
    engine.rule = Embedding()
    before, documents = await start_with(engine, model="double")
    store = await documents.store(RIVERS)
    await documents.client.close()
    await before.stop()
    other.rule = Embedding(seconds_a_text=2.0)
    _, documents = await start_with(engine, other, model="other")
    await reindexed(documents, store.id)
    with pytest.raises(openai.ConflictError) as refused:
        await reindexed(documents, store.id)
    assert refused.value.code == "reindex_in_progress"
    await documents.client.close()
