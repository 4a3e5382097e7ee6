"""Requests that nobody means well with, engines that answer wrong vectors, and databases whose role may not."""

import asyncio
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import openai
import orjson
import pytest

from tests.engine_double import Reply
from tests.engine_double.embedding import Embedding
from tests.sockets.retrieval.stores.documents import PLANETS, RIVERS, Documents
from tests.sockets.running import AT_ONCE, until, until_awaited

KEY = {"authorization": "Bearer key-a", "content-type": "application/json"}
HALF = r'"\ud800"'


async def post(orchestrator, path, body, **headers):
    async with orchestrator.client.post(path, data=body, headers={**KEY, **headers}) as response:
        return response.status, await response.json()


UNSTORABLE = ("NaN", "-Infinity", "1e400", HALF, "[" * 100_000, "[" * 500 + "]" * 500)


async def test_what_json_cannot_hold_is_stored_nowhere(orchestrator, documents):
    store = await documents.store(RIVERS)
    (file,) = [file async for file in documents.client.vector_stores.files.list(store.id)]
    paths = {"attributes": f"/files/{file.id}", "filters": "/search", "query": "/search", "metadata": "", "name": ""}
    for field, path in paths.items():
        for value in UNSTORABLE:
            inside = f'{{"a": {value}}}' if field in ("attributes", "filters", "metadata") else value
            status, answer = await post(orchestrator, f"/v1/vector_stores/{store.id}{path}", f'{{"{field}": {inside}}}')
            assert status == 400, (field, value, answer)
            assert answer["error"]["code"] in ("invalid_json", "too_many_values")


async def test_numbers_of_any_length_are_numbers(orchestrator, documents):
    store = await documents.store(RIVERS)
    (file,) = [file async for file in documents.client.vector_stores.files.list(store.id)]
    path = f"/v1/vector_stores/{store.id}"
    status, shown = await post(orchestrator, f"{path}/files/{file.id}", b'{"attributes": {"a": 1%s}}' % (b"0" * 30))
    assert (status, shown["attributes"]) == (200, {"a": 1e30})
    for value, found in (("1" + "0" * 30, 1), ("9" * 18, 0)):
        filters = f'{{"type": "gte", "key": "a", "value": {value}}}'
        status, page = await post(orchestrator, f"{path}/search", f'{{"query": "rivers", "filters": {filters}}}')
        assert status == 200
        assert len(page["data"]) >= found


async def test_ids_that_no_row_can_have(orchestrator, documents):
    store = await documents.store(RIVERS)
    (file,) = [file async for file in documents.client.vector_stores.files.list(store.id)]
    path = f"/v1/vector_stores/{store.id}/files"
    for name in ("%00", "a%00b", "%27%20or%201=1--", "..%2f..", "%F0%9F%98%80", "a" * 3000):
        status, answer = await post(orchestrator, f"{path}/{name}", b'{"attributes": {"a": 1}}')
        assert status in (404, 405), answer
    async with orchestrator.client.get(f"{path}/{file.id}/content?page={'9' * 30}", headers=KEY) as response:
        assert response.status == 422


async def test_filters_have_bounds(orchestrator, documents):
    store = await documents.store(RIVERS)
    comparison = {"type": "eq", "key": "a", "value": 1}
    deep = comparison
    for _ in range(12):
        deep = {"type": "and", "filters": [deep]}
    refused = (
        deep,
        {"type": "or", "filters": [comparison] * 101},
        {"type": "in", "key": "a", "value": [1] * 1001},
        {"type": ["eq"], "key": "a", "value": 1},
        {"type": {"eq": 1}, "filters": []},
    )
    for filters in refused:
        body = orjson.dumps({"query": "rivers", "filters": filters})
        status, answer = await post(orchestrator, f"/v1/vector_stores/{store.id}/search", body)
        assert (status, answer["error"]["type"]) == (400, "invalid_request_error")
        assert answer["error"]["param"].startswith("filters")
    body = orjson.dumps({"query": "rivers", "filters": {"type": "nin", "key": "a", "value": list(range(1000))}})
    status, page = await post(orchestrator, f"/v1/vector_stores/{store.id}/search", body)
    assert (status, len(page["data"])) == (200, 1)


def in_the_middle(data):
    return [*data[:1], {**data[1], "embedding": [1.0] * 7}, *data[2:]] if len(data) > 1 else data


def nothing(data):
    return []


def nulls(data):
    return [{**each, "embedding": [None] * 8} for each in data]


def turned(data):
    return [{**each, "index": 0} for each in data]


BAD = {
    "another dimension in the middle": Embedding(spoil=in_the_middle),
    "none": Embedding(spoil=nothing),
    "nulls": Embedding(spoil=nulls),
    "one index for all": Embedding(spoil=turned),
    "a page of HTML": lambda _: Reply(fault="wrong_type"),
    "half of an answer": lambda _: Reply(fault="cut", fault_after=0),
    "silence": lambda _: Reply(fault="hang", fault_after=0),
    "another protocol": lambda _: Reply(fault="not_http"),
    "half of its JSON": lambda _: Reply(fault="malformed_json"),
    "an error with 200": lambda _: Reply(fault="error_event"),
}
SMALL = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}


@pytest.mark.parametrize("kind", BAD)
async def test_no_wrong_vector_comes_into_a_store(start, engine, monkeypatch, kind):
    monkeypatch.setattr("tandem_orchestrator.retrieval.ingestion.FIRST_PAUSE_MS", 50)
    orchestrator = await start(**AT_ONCE, timeouts={"idleSeconds": 0.2, "firstByteSeconds": 0.2})
    async with openai.AsyncOpenAI(base_url=f"{orchestrator.url}/v1", api_key="key-a", max_retries=0) as client:
        documents = Documents(client)
        engine.rule = Embedding()
        store = await documents.store(PLANETS, chunking_strategy=SMALL)
        engine.rule = BAD[kind]
        file = await documents.upload("\n\n".join(f"The Rhine of number {n} has {n} bridges. " * 12 for n in range(6)))
        await client.vector_stores.files.create(file_id=file.id, vector_store_id=store.id)

        async def attached():
            return await client.vector_stores.files.retrieve(file.id, vector_store_id=store.id)

        await until_awaited(attached, lambda found: found.last_error is not None, 20)
        found = await attached()
        assert found.status != "completed"
        assert "the embedding model" in found.last_error.message
        if kind not in ("another dimension in the middle", "one index for all"):  # a question is one text
            with pytest.raises(openai.APIStatusError) as caught:
                await client.vector_stores.search(store.id, query="Which bridges?")
            assert caught.value.status_code in (502, 503)
        engine.rule = Embedding()
        texts = await documents.found(store.id, "Which bridges?")
        assert texts or found.status == "failed"
        assert all("bridges" not in text for text in texts) or (await attached()).status == "completed"


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_a_role_that_may_too_little_is_told_what_it_needs(start, orchestrator, postgres, url, documents):
    await documents.store(RIVERS)  # by an owner, with the extension
    await orchestrator.stop()  # or it would do the other's work
    role = f"role_{uuid4().hex}"
    admin = await asyncpg.connect(url)
    try:
        await admin.execute(f"CREATE ROLE {role} LOGIN")
        await admin.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        other = f"postgresql://{role}@127.0.0.1:{postgres.port}{urlsplit(url).path}"
        orchestrator = await start(database={"url": other}, responses={"retentionDays": 1})
        status, answer = await post(orchestrator, "/v1/vector_stores", b"{}")
        assert (status, answer["error"]["code"]) == (503, "database_unavailable")
        assert "permission denied for table" in answer["error"]["message"]
        await admin.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")

        async def created():
            return (await post(orchestrator, "/v1/vector_stores", b"{}"))[0]

        await until_awaited(created, lambda status: status == 200, 20)
        async with openai.AsyncOpenAI(base_url=f"{orchestrator.url}/v1", api_key="key-a", max_retries=0) as client:
            file = await Documents(client).upload(PLANETS)
            store = await client.vector_stores.create(file_ids=[file.id])

            async def attached():
                return await client.vector_stores.files.retrieve(file.id, vector_store_id=store.id)

            await until_awaited(attached, lambda found: found.last_error is not None, 20)
            found = await attached()
            assert found.status == "in_progress"
            assert "GRANT CREATE ON SCHEMA public" in found.last_error.message
            await admin.execute(f"GRANT CREATE ON SCHEMA public TO {role}")
            await until_awaited(attached, lambda found: found.status == "completed", 20)
    finally:
        await admin.close()


async def test_other_tenants_ids_lead_nowhere(orchestrator, documents):
    client = documents.client
    store = await documents.store(RIVERS)
    (file,) = [file async for file in client.vector_stores.files.list(store.id)]
    several = await client.vector_stores.file_batches.create(store.id, file_ids=[file.id])
    lines = await client.files.create(file=("a.jsonl", b"{}"), purpose="batch")
    batch = await client.batches.create(
        input_file_id=lines.id, endpoint="/v1/embeddings", completion_window="24h", metadata={}
    )
    other = {"authorization": "Bearer key-b"}
    _, own = await post(orchestrator, "/v1/vector_stores", b"{}", **other)
    search = {"type": "file_search", "vector_store_ids": [store.id]}
    asked = (
        ("POST", f"/v1/vector_stores/{store.id}/files/{file.id}", {"attributes": {"a": 1}}),
        ("GET", f"/v1/vector_stores/{store.id}/file_batches/{several.id}", None),
        ("GET", f"/v1/vector_stores/{own['id']}/file_batches/{several.id}", None),
        ("GET", f"/v1/vector_stores/{own['id']}/file_batches/{several.id}/files", None),
        ("POST", f"/v1/vector_stores/{own['id']}/file_batches/{several.id}/cancel", None),
        ("POST", f"/v1/vector_stores/{own['id']}/file_batches", {"file_ids": [file.id]}),
        ("POST", "/v1/vector_stores", {"file_ids": [file.id]}),
        ("GET", f"/v1/vector_stores/{own['id']}/files?after={file.id}", None),
        ("GET", f"/v1/vector_stores?after={store.id}", None),
        ("GET", f"/v1/vector_stores?before={store.id}", None),
        ("GET", f"/v1/batches/{batch.id}", None),
        ("POST", f"/v1/batches/{batch.id}/cancel", None),
        ("POST", "/v1/responses", {"input": "Rhine", "tools": [search]}),
    )
    for method, path, body in asked:
        async with orchestrator.client.request(method, path, json=body, headers=other) as response:
            text = await response.text()
            assert response.status in (400, 404), (method, path, text)
            assert "Rhine" not in text
    lines_of = {"input_file_id": lines.id, "endpoint": "/v1/embeddings", "completion_window": "24h"}
    async with orchestrator.client.post("/v1/batches", json=lines_of, headers=other) as response:
        assert response.status in (400, 404), await response.text()


@pytest.mark.parametrize("path", ["/v1/vector_stores", "/v1/batches", "/v1/uploads", "/v1/conversations"])
async def test_bodies_that_break_off_do_nothing(orchestrator, path, lines):
    address = urlsplit(orchestrator.url)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer key-a\r\ncontent-type: application/json\r\n"
    for rest in ('transfer-encoding: chunked\r\n\r\nff\r\n{"name":', 'content-length: 100\r\n\r\n{"name":'):
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write((head + rest).encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    await until(lambda: len([line for line in lines if line["path"] == path]) == 2)
    assert {line["status"] for line in lines} <= {400, 499}
    async with orchestrator.client.get("/v1/vector_stores", headers=KEY) as response:
        assert (await response.json())["data"] == []
