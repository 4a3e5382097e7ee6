"""Requests that nobody means well with, engines that answer wrong vectors, and databases whose role may not."""

from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import openai
import orjson
import pytest

from tests.engine_double import Reply
from tests.engine_double.embedding import Embedding
from tests.sockets.retrieval.stores.documents import PLANETS, RIVERS, Documents
from tests.sockets.running import AT_ONCE, until_awaited

KEY = {"authorization": "Bearer key-a", "content-type": "application/json"}
HALF = r'"\ud800"'


async def post(orchestrator, path, body, **headers):
    async with orchestrator.client.post(path, data=body, headers={**KEY, **headers}) as response:
        return response.status, await response.json()


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e400", HALF, "[" * 100_000, "[" * 500 + "]" * 500])
@pytest.mark.parametrize("field", ["attributes", "metadata", "filters", "query", "name"])
async def test_what_json_cannot_hold_is_stored_nowhere(orchestrator, documents, field, value):
    store = await documents.store(RIVERS)
    (file,) = [file async for file in documents.client.vector_stores.files.list(store.id)]
    where = {"attributes": f"/files/{file.id}", "filters": "/search", "query": "/search"}.get(field, "")
    nested = field in ("attributes", "metadata", "filters")
    body = f'{{"query": "rivers", "{field}": {{"a": {value}}}}}' if nested else f'{{"{field}": {value}}}'
    status, answer = await post(orchestrator, f"/v1/vector_stores/{store.id}{where}", body)
    assert status == 400
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


async def test_a_role_that_may_not_make_tables_is_told_what_it_needs(start, postgres, engine):
    owner = await postgres.create()
    role = f"role_{uuid4().hex}"
    database = urlsplit(owner).path[1:]
    first = await start(database={"url": owner})
    status, _ = await post(first, "/v1/vector_stores", b"{}")
    assert status == 200
    admin = await asyncpg.connect(owner)
    try:
        await admin.execute(f"CREATE ROLE {role} LOGIN")
        await admin.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        second = await start(database={"url": f"postgresql://{role}@127.0.0.1:{postgres.port}/{database}"})
        status, answer = await post(second, "/v1/vector_stores", b"{}")
        assert (status, answer["error"]["code"]) == (503, "database_unavailable")
        assert "permission denied" in answer["error"]["message"]
        await admin.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
        await admin.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}")

        async def created():
            return (await post(second, "/v1/vector_stores", b"{}"))[0]

        await until_awaited(created, lambda status: status == 200, 20)
    finally:
        await admin.close()
