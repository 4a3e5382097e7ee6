"""Vector stores: what is refused, what belongs to whom, what goes with what."""

import openai
import pytest
from tandem_orchestrator.retrieval.upkeep import Upkeep

from tests.sockets.retrieval.stores.documents import PLANETS, RIVERS, Documents
from tests.sockets.running import until_awaited

A = {"authorization": "Bearer key-a"}
B = {"authorization": "Bearer key-b"}


async def post(orchestrator, path, headers=A, **body):
    async with orchestrator.client.post(f"/v1/vector_stores{path}", json=body, headers=headers) as response:
        return response.status, await response.json()


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("", {"name": 5}, 400, "name"),
        ("", {"name": "x" * 513}, 400, "name"),
        ("", {"metadata": {"a": 1}}, 400, "metadata.a"),
        ("", {"file_ids": "file-1"}, 400, "file_ids"),
        ("", {"file_ids": ["file-1", "file-1"]}, 400, "file_ids"),
        ("", {"file_ids": ["file-1"] * 501}, 400, "file_ids"),
        ("", {"file_ids": ["file-1"]}, 404, None),
        ("", {"expires_after": {"anchor": "created_at", "days": 1}}, 400, "expires_after"),
        ("", {"expires_after": {"anchor": "last_active_at", "days": 366}}, 400, "expires_after"),
        ("/{id}/search", {}, 400, "query"),
        ("/{id}/files", {}, 400, "file_id"),
        ("/{id}/files", {"file_id": "file-1"}, 404, None),
        ("/{id}/files", {"file_id": "f", "chunking_strategy": {"type": "static"}}, 400, "chunking_strategy"),
        ("/{id}/file_batches", {}, 400, "file_ids"),
        ("/{id}/file_batches", {"file_ids": [], "files": []}, 400, "file_ids"),
        ("/{id}/file_batches", {"file_ids": ["file-1"] * 2001}, 400, "file_ids"),
        ("/{id}/file_batches", {"files": [{"attributes": {}}]}, 400, "files.0.file_id"),
        ("/{id}/file_batches/vsfb_1/cancel", {}, 404, None),
        ("/vs_1/search", {"query": "x"}, 404, None),
        ("/vs_1/reindex", {}, 404, None),
        ("/vs_1\0", {"name": "x"}, 404, None),
    ],
)
async def test_what_is_refused(orchestrator, path, body, status, param):
    _, store = await post(orchestrator, "")
    found, answer = await post(orchestrator, path.replace("{id}", store["id"]).replace("\0", "%00"), **body)
    assert (found, answer["error"]["param"]) == (status, param), answer


@pytest.mark.parametrize("sizes", [(99, 0), (4097, 0), (100, 51), (100, -1), (100.5, 1), (True, 0)])
async def test_sizes_of_pieces_have_bounds(orchestrator, sizes):
    static = {"max_chunk_size_tokens": sizes[0], "chunk_overlap_tokens": sizes[1]}
    _, store = await post(orchestrator, "")
    strategy = {"type": "static", "static": static}
    status, answer = await post(orchestrator, f"/{store['id']}/files", file_id="file-1", chunking_strategy=strategy)
    assert (status, answer["error"]["param"].startswith("chunking_strategy.static")) == (400, True)


async def test_another_tenant_sees_nothing(orchestrator, documents):
    store = await documents.store(RIVERS)
    (file,) = [file async for file in documents.client.vector_stores.files.list(store.id)]
    for method, path in (
        ("GET", ""),
        ("POST", ""),
        ("DELETE", ""),
        ("POST", "/reindex"),
        ("GET", "/files"),
        ("GET", f"/files/{file.id}"),
        ("GET", f"/files/{file.id}/content"),
        ("DELETE", f"/files/{file.id}"),
    ):
        address = f"/v1/vector_stores/{store.id}{path}"
        async with orchestrator.client.request(method, address, headers=B, json={}) as response:
            assert response.status == 404, (method, path)
    status, _ = await post(orchestrator, f"/{store.id}/search", B, query="Rhine")
    assert status == 404
    _, own = await post(orchestrator, "", B)
    status, _ = await post(orchestrator, f"/{own['id']}/files", B, file_id=file.id)
    assert status == 404, "a file of another tenant"
    async with orchestrator.client.get("/v1/vector_stores", headers=B) as response:
        assert [each["id"] for each in (await response.json())["data"]] == [own["id"]]
    assert (await documents.found(store.id, "Rhine Alps"))[0].startswith("The Rhine")


async def test_a_deleted_file_is_found_no_more_and_leaves_its_stores(client, documents):
    store = await documents.store(RIVERS, PLANETS)
    assert any("Rhine" in text for text in await documents.found(store.id, "Rhine Alps"))
    files = [file async for file in client.vector_stores.files.list(store.id, order="asc")]
    names = {(await client.files.retrieve(file.id)).filename: file for file in files}
    rivers = names["0.txt"]
    await client.files.delete(rivers.id)
    assert not any("Rhine" in text for text in await documents.found(store.id, "Rhine Alps"))

    async def left():
        return (await client.vector_stores.retrieve(store.id)).file_counts.total

    await until_awaited(left, lambda total: total == 1)


async def test_filters_choose_among_files(client, documents):
    store = await client.vector_stores.create(name="All")
    for year in range(1990, 1995):
        await documents.attach(
            store.id, f"In {year} something happened.", f"{year}.txt", attributes={"year": year, "odd": year % 2 == 1}
        )
    for wanted, years in (
        ({"type": "gte", "key": "year", "value": 1993}, {1993, 1994}),
        ({"type": "in", "key": "year", "value": [1990, 1994]}, {1990, 1994}),
        ({"type": "eq", "key": "odd", "value": True}, {1991, 1993}),
        (
            {
                "type": "and",
                "filters": [{"type": "eq", "key": "odd", "value": False}, {"type": "lt", "key": "year", "value": 1994}],
            },
            {1990, 1992},
        ),
        ({"type": "eq", "key": "absent", "value": 1}, set()),
    ):
        page = await client.vector_stores.search(store.id, query="What happened?", filters=wanted)
        assert {result.attributes["year"] for result in page.data} == years, wanted


async def test_a_threshold_and_weights(documents):
    store = await documents.store(PLANETS)
    strict = {"score_threshold": 1.0}
    assert await documents.found(store.id, "Neptune", ranking_options=strict) == []
    by_words = {"hybrid_search": {"embedding_weight": 0, "text_weight": 1}}
    assert await documents.found(store.id, "largest", ranking_options=by_words) == await documents.found(
        store.id, "largest", ranking_options=by_words | {"score_threshold": 0.9}
    )
    assert await documents.found(store.id, "xyzzy", ranking_options=by_words) == []


async def test_a_store_without_an_embedding_model_is_searched_by_words(start, engine):
    orchestrator = await start({"embedding": {}})
    async with openai.AsyncOpenAI(base_url=f"{orchestrator.url}/v1", api_key="key-a", max_retries=0) as client:
        documents = Documents(client)
        store = await documents.store(PLANETS)
        assert await documents.found(store.id, "What is the largest one?")
        assert await documents.found(store.id, "Uranus") == []
    assert not any(seen.path == "/v1/embeddings" for seen in engine.seen)


@pytest.mark.parametrize(("quota", "number"), [({"stores": 2}, 2), ({"chunks": 1}, 1)])
async def test_quotas(start, quota, number):
    orchestrator = await start({"quota": quota})
    async with openai.AsyncOpenAI(base_url=f"{orchestrator.url}/v1", api_key="key-a", max_retries=0) as client:
        documents = Documents(client)
        for _ in range(number):
            await documents.store(RIVERS)
        with pytest.raises(openai.PermissionDeniedError) as refused:
            await client.vector_stores.create(name="one more")
        assert refused.value.code == "storage_quota_exceeded"


async def test_what_is_detached_counts_no_more(start):
    orchestrator = await start({"quota": {"chunks": 1}})
    async with openai.AsyncOpenAI(base_url=f"{orchestrator.url}/v1", api_key="key-a", max_retries=0) as client:
        documents = Documents(client)
        store = await documents.store(RIVERS)
        (file,) = [file async for file in client.vector_stores.files.list(store.id)]
        await client.vector_stores.files.delete(file.id, vector_store_id=store.id)
        assert (await documents.attach(store.id, PLANETS)).status == "completed"


async def test_an_expired_store_is_emptied_and_not_searched(client, documents, orchestrator, database):
    store = await documents.store(RIVERS, expires_after={"anchor": "last_active_at", "days": 1})
    async with database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE tandem_vector_stores SET used = 1")
    (upkeep,) = (part for part in orchestrator.app.parts if isinstance(part, Upkeep))
    assert (await upkeep.sweep())["vector_stores"] == 1
    found = await client.vector_stores.retrieve(store.id)
    assert (found.status, found.file_counts.total, found.usage_bytes) == ("expired", 0, 0)
    status, answer = await post(orchestrator, f"/{store.id}/search", query="Rhine")
    assert (status, answer["error"]["code"]) == (400, "vector_store_expired")
    assert (await upkeep.sweep())["indexes"] == 0, "nothing is left to drop"
