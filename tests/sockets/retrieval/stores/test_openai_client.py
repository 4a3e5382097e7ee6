"""The `openai` package, unchanged: /v1/vector_stores."""

import openai
import pytest

from tests.sockets.retrieval.stores.documents import PLANETS, RIVERS


async def test_create_and_retrieve(client):
    made = await client.vector_stores.create(
        name="Papers", description="What we have read", metadata={"team": "search"}
    )
    assert (made.name, made.metadata, made.status, made.object) == (
        "Papers",
        {"team": "search"},
        "completed",
        "vector_store",
    )
    assert made.file_counts.total == 0
    assert await client.vector_stores.retrieve(made.id) == made


async def test_update(client):
    made = await client.vector_stores.create(name="Papers", expires_after={"anchor": "last_active_at", "days": 7})
    assert made.expires_at == made.last_active_at + 7 * 86_400
    changed = await client.vector_stores.update(made.id, name="Books", metadata={"a": "b"}, expires_after=None)
    assert (changed.name, changed.metadata, changed.expires_at) == ("Books", {"a": "b"}, None)


async def test_list_in_pages_both_ways(client):
    made = [(await client.vector_stores.create(name=str(n))).id for n in range(5)]
    assert [store.id async for store in client.vector_stores.list(limit=2, order="asc")] == made
    assert [store.id async for store in client.vector_stores.list(limit=2)] == made[::-1]
    page = await client.vector_stores.list(before=made[1], limit=2)
    assert [store.id for store in page.data] == [made[3], made[2]]
    page = await client.vector_stores.list(before=made[1], limit=10, order="asc")
    assert [store.id for store in page.data] == [made[0]]


async def test_delete(client, documents):
    store = await documents.store(RIVERS)
    assert (await client.vector_stores.delete(store.id)).deleted
    for ask in (client.vector_stores.retrieve(store.id), client.vector_stores.search(store.id, query="x")):
        with pytest.raises(openai.NotFoundError):
            await ask


async def test_files(client, documents):
    store = await documents.store(RIVERS)
    assert store.status == "completed"
    assert (store.file_counts.completed, store.usage_bytes > len(RIVERS)) == (1, True)
    (file,) = [file async for file in client.vector_stores.files.list(store.id)]
    assert (file.status, file.last_error, file.vector_store_id) == ("completed", None, store.id)
    assert file.chunking_strategy.static.max_chunk_size_tokens == 800
    content = await client.vector_stores.files.content(file.id, vector_store_id=store.id)
    assert " ".join(part.text for part in content.data).split() == RIVERS.split()
    changed = await client.vector_stores.files.update(
        file.id, vector_store_id=store.id, attributes={"year": 1999, "public": True, "by": "Ada"}
    )
    assert changed.attributes == {"year": 1999, "public": True, "by": "Ada"}
    assert (await client.vector_stores.files.delete(file.id, vector_store_id=store.id)).deleted
    assert [file async for file in client.vector_stores.files.list(store.id)] == []
    assert await documents.found(store.id, "rivers") == []
    assert (await client.files.retrieve(file.id)).id == file.id


async def test_upload_and_poll(client, tmp_path):
    (tmp_path / "planets.md").write_text(PLANETS)
    store = await client.vector_stores.create(name="Sky")
    file = await client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=tmp_path / "planets.md", poll_interval_ms=50
    )
    assert file.status == "completed"


async def test_batches_of_files(client, documents):
    store = await client.vector_stores.create(name="All")
    files = [await documents.upload(text) for text in (RIVERS, PLANETS, "\0\0")]
    batch = await client.vector_stores.file_batches.create_and_poll(
        store.id, file_ids=[file.id for file in files], attributes={"kind": "fact"}, poll_interval_ms=50
    )
    assert (batch.file_counts.completed, batch.file_counts.failed, batch.status) == (2, 1, "completed")
    listed = client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id, filter="failed")
    (failed,) = [file async for file in listed]
    assert failed.last_error.code in ("invalid_file", "unsupported_file")
    assert failed.attributes == {"kind": "fact"}
    again = await client.vector_stores.file_batches.cancel(batch.id, vector_store_id=store.id)
    assert again.file_counts == batch.file_counts


async def test_files_with_attributes_of_their_own(client, documents):
    store = await client.vector_stores.create(name="All")
    files = [await documents.upload(text) for text in (RIVERS, PLANETS)]
    wanted = [{"file_id": file.id, "attributes": {"n": n}} for n, file in enumerate(files)]
    await client.vector_stores.file_batches.create_and_poll(store.id, files=wanted, poll_interval_ms=50)
    only = {"type": "eq", "key": "n", "value": 1}
    found = await client.vector_stores.search(store.id, query="Which planet has rings?", filters=only)
    assert {result.attributes["n"] for result in found.data} == {1}


async def test_search(client, documents):
    store = await documents.store(RIVERS, PLANETS)
    page = await client.vector_stores.search(store.id, query="Which planet has bright rings?", max_num_results=2)
    assert len(page.data) == 2
    best = page.data[0]
    assert (best.content[0].text.split(".")[0], best.filename) == ("Saturn has bright rings", "1.txt")
    assert 1 >= best.score >= page.data[1].score >= 0
    several = await documents.found(store.id, ["red rust Mars", "Black Sea Danube"], max_num_results=2)
    assert any("Mars" in text for text in several)
    assert any("Danube" in text for text in several)
