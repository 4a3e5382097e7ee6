"""Vectors that a real Redis remembers, and what happens without it."""

import asyncio

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from tandem_contract.config import Redis
from tandem_orchestrator.retrieval.embedding import cache
from tandem_orchestrator.retrieval.embedding.cache import VectorCache
from tandem_orchestrator.retrieval.embedding.vector import numbers, of_numbers
from tandem_orchestrator.store import redis_cache
from tandem_orchestrator.store.redis import RedisStore
from tandem_orchestrator.store.script import Script

from tests.engine_double import Embedding
from tests.sockets.retrieval.asking import TEXTS, config, embedding, expected, record

AWAY = "Redis cannot be used, texts are embedded anew"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.store.redis_client.TIMEOUT", 0.5)
    monkeypatch.setattr(redis_cache, "WAIT_SECONDS", 5.0)  # on a machine that is busy with other tests


@pytest.fixture(autouse=True)
def model(engine):
    engine.rule = Embedding()


def counted(result):
    return REGISTRY.get_sample_value("tandem_cache_requests_total", {"cache": "vectors", "result": result}) or 0


def asked(engine):
    return [text for seen in engine.seen for text in seen.body["input"]]


async def test_several_orchestrators_embed_a_text_once(engine, redis):
    hits, misses = counted("hit"), counted("miss")
    async with embedding(config(engine, redis=redis)) as one, embedding(config(engine, redis=redis)) as other:
        first = await one.documents(TEXTS, record())
        assert await other.documents([*TEXTS[5:], "a new one"], record()) == [
            *first[5:],
            *await one.documents(["a new one"], record()),
        ]
        assert other.identity.dimension == 8
    assert asked(engine) == [*TEXTS, "a new one"]
    assert (counted("hit") - hits, counted("miss") - misses) == (6, 11)


async def test_a_store_of_known_texts_knows_its_dimension(engine, redis):
    async with embedding(config(engine, redis=redis)) as one:
        await one.query("which?", record())
    async with embedding(config(engine, redis=redis)) as other:
        await other.query("which?", record())
        assert other.identity.dimension == 8
    assert len(engine.seen) == 1


@pytest.mark.parametrize(
    "settings",
    [{"model": "other"}, {"dimensions": 4}, {"documentPrompt": "passage: "}],
    ids=["another model", "other dimensions", "another prompt"],
)
async def test_other_settings_have_other_vectors(engine, redis, settings):
    engine.adapters = ["other"]
    async with embedding(config(engine, redis=redis)) as one:
        await one.documents(TEXTS, record())
    upstreams = [{"name": "engine", "url": engine.url}]
    async with embedding(config(upstreams=upstreams, redis=redis, embedding=settings)) as other:
        await other.documents(TEXTS, record())
    assert len(asked(engine)) == 2 * len(TEXTS)


async def test_tenants_do_not_learn_of_each_others_texts(engine, redis):
    async with embedding(config(engine, redis=redis)) as embedder:
        for tenant in ("acme", "other", "acme"):
            await embedder.query("which?", record(tenant))
    assert len(engine.seen) == 2


async def test_what_stands_there_and_is_no_vector_of_the_model_is_made_anew(engine, redis):
    async with embedding(config(engine, redis=redis)) as embedder:
        await embedder.query("one", record())
        other = VectorCache(RedisStore(Redis.model_validate(redis)), "double None")
        await other.put("acme", {"two": of_numbers([1.0] * 5)})
        await other.close()
        assert numbers(await embedder.query("two", record())) == pytest.approx(expected("two"), abs=1e-5)


async def test_vectors_go_after_a_week(redis, redis_server):
    store = RedisStore(Redis.model_validate(redis))
    vectors = VectorCache(store, "double None")
    await vectors.put("acme", {"one": of_numbers([1.0])})
    (key,) = vectors._keys("acme", ["one"])
    left = await store.run(Script("return redis.call('TTL', KEYS[1])"), [key], [])
    assert cache.KEPT_SECONDS - 60 < left <= cache.KEPT_SECONDS
    await vectors.close()


async def test_many_texts_go_in_several_scripts(redis):
    vectors = VectorCache(RedisStore(Redis.model_validate(redis)), "double None")
    known = {f"text {number}": of_numbers([float(number + 1), 1.0]) for number in range(2 * cache.MOST + 1)}
    await vectors.put("acme", known)
    assert await vectors.get("acme", [*known, "unknown"]) == [*known.values(), None]
    await vectors.close()


async def test_a_redis_that_is_not_there_costs_nothing_but_a_warning(engine):
    settings = {"url": "redis://127.0.0.1:1/0"}
    with capture_logs() as logs:
        async with embedding(config(engine, redis=settings, embedding={"batchSize": 2})) as embedder:
            assert len(await embedder.documents(TEXTS, record())) == len(TEXTS)
            assert len(await embedder.documents(TEXTS, record())) == len(TEXTS)
    assert len(asked(engine)) == 2 * len(TEXTS)
    assert [line["event"] for line in logs].count(AWAY) == 1


async def test_a_redis_that_does_not_answer_is_not_waited_for(engine, redis, redis_server, monkeypatch):
    monkeypatch.setattr(redis_cache, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr("tandem_orchestrator.store.redis_client.TIMEOUT", 30.0)
    async with embedding(config(engine, redis=redis)) as embedder:
        await embedder.documents(TEXTS, record())
        redis_server.hold()
        async with asyncio.timeout(10):  # less than the answer would be waited for
            with capture_logs() as logs:
                for _ in range(3):
                    await embedder.documents(TEXTS, record())
        assert [line["event"] for line in logs].count(AWAY) == 1
        redis_server.resume()


async def test_after_it_was_held_no_text_gets_anothers_vector(engine, redis, redis_server, monkeypatch):
    monkeypatch.setattr(redis_cache, "REST_SECONDS", 0.0)
    monkeypatch.setattr(redis_cache, "WAIT_SECONDS", 0.02)
    async with embedding(config(engine, redis=redis)) as embedder:
        for turn in range(6):
            if turn in (1, 3):
                redis_server.hold()
            for text in TEXTS[:4]:
                vector = await embedder.query(text, record())
                assert numbers(vector) == pytest.approx(expected(text), abs=1e-5)
            redis_server.resume()


async def test_after_it_was_away_it_is_used_again(engine, redis, redis_server, monkeypatch):
    monkeypatch.setattr(redis_cache, "REST_SECONDS", 0.0)
    async with embedding(config(engine, redis=redis)) as embedder:
        await embedder.query("one", record())
        redis_server.stop()
        try:
            await embedder.query("one", record())
        finally:
            redis_server.start()
        await embedder.query("one", record())
        assert len(engine.seen) == 3
        await embedder.query("one", record())
        assert len(engine.seen) == 3
