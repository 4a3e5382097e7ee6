"""Answers that are given again from a real Redis: to whom, to what, and what happens without it."""

import asyncio
import json

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from tandem_contract.config import OrchestratorConfig, Redis
from tandem_orchestrator.gateway import answer_cache
from tandem_orchestrator.store import redis_cache
from tandem_orchestrator.store.redis import RedisStore
from tandem_orchestrator.store.script import Script

from tests.engine_double import Call, Embedding, EngineDouble, Reply
from tests.sockets.running import AT_ONCE, MATH_TOOL, config_for, question, until

CHAT = "/v1/chat/completions"
EQUAL = {"temperature": 0}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.store.redis_client.TIMEOUT", 0.5)
    monkeypatch.setattr(redis_cache, "WAIT_SECONDS", 5.0)  # on a machine that is busy with other tests


def counted(result):
    return REGISTRY.get_sample_value("tandem_cache_requests_total", {"cache": "answers", "result": result}) or 0


@pytest.fixture
async def cached(serve, engine, redis):
    async def start(**settings):
        return await serve(config_for(engine, redis={**redis, "answersSeconds": 3600}, **settings))

    return start


async def post(service, path=CHAT, headers=None, **fields):
    """What came of a request: its bytes, and what the cache said."""
    body = question(**fields) if path == CHAT else {"model": "double", **fields}
    async with service.client.post(path, json=body, headers=headers or {}) as response:
        assert response.status == 200, await response.text()
        return await response.read(), response.headers.get("x-tandem-cache")


async def kept(service):
    """Waits until what was to be kept is kept."""
    await until(lambda: not service.app.services.generator.answers._redis.under_way)


async def twice(service, path=CHAT, headers=None, **fields):
    """What the cache said to the same request, sent once and again."""
    first, said = await post(service, path, headers, **fields)
    await kept(service)
    second, again = await post(service, path, headers, **fields)
    assert (again != "hit") or first == second
    return said, again


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (CHAT, EQUAL),
        (CHAT, {"temperature": 0.0, "stream": True}),
        (CHAT, {**EQUAL, "stream": True, "stream_options": {"include_usage": True}}),
        ("/v1/completions", {**EQUAL, "prompt": "Once"}),
        ("/v1/embeddings", {"input": ["Once", "again"]}),
    ],
)
async def test_an_equal_request_is_answered_without_an_engine(cached, engine, path, fields):
    service = await cached()
    hits, misses = counted("hit"), counted("miss")
    assert await twice(service, path, **fields) == ("miss", "hit")
    assert len(engine.seen) == 1
    assert (counted("hit") - hits, counted("miss") - misses) == (1, 1)


async def test_replicas_share_what_is_kept(cached, engine):
    one, other = await cached(), await cached()
    await post(one, **EQUAL)
    await kept(one)
    assert (await post(other, **EQUAL))[1] == "hit"
    assert len(engine.seen) == 1


@pytest.mark.parametrize(
    "fields",
    [{}, {"temperature": 0.1}, {"temperature": None}, {"temperature": False}, {"temperature": 1, "stream": True}],
)
async def test_what_may_be_answered_otherwise_is_asked_again(cached, engine, fields):
    service = await cached()
    assert await twice(service, **fields) == (None, None)
    assert len(engine.seen) == 2


async def test_what_the_model_is_told_counts_and_not_what_the_client_wrote(cached, engine):
    service = await cached(models=[{"name": "double", "aliases": ["twin"], "defaults": {"temperature": 0}}])
    await post(service)
    await kept(service)
    assert (await post(service, model="twin"))[1] == "hit"
    assert (await post(service, max_tokens=5))[1] == "miss"
    assert len(engine.seen) == 2


async def test_whether_the_usage_is_told_is_each_clients_own(cached, engine):
    service = await cached()
    await post(service, stream=True, **EQUAL)
    await kept(service)
    shown, said = await post(service, stream=True, **EQUAL, stream_options={"include_usage": True})
    assert said == "miss"
    assert b'"usage":{' in shown
    hidden, said = await post(service, stream=True, **EQUAL)
    assert said == "hit"
    assert b'"usage":{' not in hidden
    assert hidden.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("make", ["vllm", "openai"])
async def test_tenants_do_not_learn_of_each_others_questions(serve, engine, redis, make):
    upstream = {"name": "engine", "url": engine.url, "model": engine.model, "type": make}  # one takes no cache_salt
    keys = {"values": ["a:one", "a:two", "b:three"]}
    settings = {"upstreams": [upstream], "keys": keys, "redis": {**redis, "answersSeconds": 60}}
    service = await serve(OrchestratorConfig.model_validate(settings))

    async def said(key):
        found = (await post(service, headers={"authorization": f"Bearer {key}"}, **EQUAL))[1]
        await kept(service)
        return found

    assert [await said(key) for key in ("one", "two", "three", "three")] == ["miss", "hit", "miss", "hit"]


async def test_clients_may_have_an_answer_made_anew(cached, engine):
    service = await cached()
    assert await twice(service, headers={"cache-control": "no-store"}, **EQUAL) == (None, None)
    assert await twice(service, headers={"Cache-Control": "max-age=0, No-Cache"}, **EQUAL) == (None, None)
    assert (await post(service, **EQUAL))[1] == "hit", "what is made anew takes the former's place"
    assert len(engine.seen) == 4


async def test_a_cached_answer_is_a_request_and_no_tokens(cached, engine):
    service = await cached(
        keys={"values": ["a:one"]}, rateLimits={"defaults": {"requestsPerMinute": 3, "tokensPerDay": 1000}}
    )
    key = {"authorization": "Bearer one"}
    left = []
    for _ in range(3):
        async with service.client.post(CHAT, json=question(**EQUAL), headers=key) as response:
            left.append(int(response.headers["x-ratelimit-remaining-tokens"]))
        await kept(service)
    assert left[0] == 1000
    assert left[1] == left[2] < 1000
    async with service.client.post(CHAT, json=question(**EQUAL), headers=key) as response:
        assert response.status == 429
    assert len(engine.seen) == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "reply", [Reply(finish_reason="abort"), Reply(status=400), Reply(fault="cut", fault_after=3)], ids=repr
)
async def test_what_is_no_complete_answer_is_not_kept(serve, engine, redis, reply, stream):
    service = await serve(config_for(engine, redis={**redis, "answersSeconds": 60}, **AT_ONCE))
    engine.rule = lambda _: reply
    async with service.client.post(CHAT, json=question(stream=stream, **EQUAL)) as response:
        await response.read()
    engine.rule = lambda _: Reply()
    await kept(service)
    assert (await post(service, stream=stream, **EQUAL))[1] == "miss"


async def test_the_answer_of_a_fallback_is_not_the_models(serve, engine, redis):
    async with EngineDouble("small") as small:
        settings = {"models": [{"name": "double", "fallback": "small"}], **AT_ONCE}
        service = await serve(config_for(engine, small, redis={**redis, "answersSeconds": 60}, **settings))
        engine.rule = lambda _: Reply(status=500)
        assert await twice(service, **EQUAL) == ("miss", "miss")
        assert await twice(service, stream=True, **EQUAL) == ("miss", "miss")
        assert len(small.seen) == 4


async def test_what_is_too_long_is_not_kept(cached, engine, monkeypatch):
    service = await cached()
    service.app.services.generator.answers.most = 100
    assert await twice(service, **EQUAL) == ("miss", "miss")
    assert await twice(service, stream=True, **EQUAL) == ("miss", "miss")
    monkeypatch.setattr(answer_cache, "MOST_ASKED", 10)
    assert await twice(service, **EQUAL) == (None, None)


async def test_tools_of_the_server_run_each_time(cached, engine):
    service = await cached(tools={"enabled": ["calculate_math"]})
    engine.rule = lambda seen: (
        Reply()
        if seen["messages"][-1]["role"] == "tool"
        else Reply(calls=(Call("calculate_math", '{"expression":"1+1"}'),))
    )
    assert await twice(service, tools=[MATH_TOOL], **EQUAL) == (None, None)
    assert len(engine.seen) == 4
    theirs = {"type": "function", "function": {"name": "theirs", "parameters": {"type": "object"}}}
    engine.rule = lambda _: Reply(calls=(Call("theirs"),))
    assert await twice(service, tools=[theirs], **EQUAL) == ("miss", "hit")


async def test_it_is_off_unless_it_is_asked_for(serve, engine, redis):
    service = await serve(config_for(engine, redis=redis))
    assert [(await post(service, **EQUAL))[1] for _ in range(2)] == [None, None]
    assert len(engine.seen) == 2


async def test_a_redis_that_is_not_there_costs_nothing_but_a_warning(serve, engine):
    service = await serve(config_for(engine, redis={"url": "redis://127.0.0.1:1/0", "answersSeconds": 60}))
    errors = counted("error")
    with capture_logs() as logs:
        assert [(await post(service, **EQUAL))[1] for _ in range(3)] == [None] * 3
    away = "Redis cannot be used, engines answer all requests"
    assert [line["event"] for line in logs].count(away) == 1
    assert counted("error") - errors == 3


async def test_a_redis_that_does_not_answer_is_not_waited_for(cached, engine, redis_server, monkeypatch):
    monkeypatch.setattr(redis_cache, "WAIT_SECONDS", 0.05)
    monkeypatch.setattr("tandem_orchestrator.store.redis_client.TIMEOUT", 30.0)
    service = await cached()
    await post(service, **EQUAL)
    await kept(service)
    redis_server.hold()
    async with asyncio.timeout(10):  # less than the answer would be waited for
        assert [(await post(service, **EQUAL))[1] for _ in range(3)] == [None] * 3
    redis_server.resume()
    assert len(engine.seen) == 4


async def test_answers_go_after_their_time(cached, redis):
    service = await cached()
    await post(service, **EQUAL)
    await kept(service)
    store = RedisStore(Redis.model_validate(redis))
    first = Script("local _, keys = unpack(redis.call('SCAN', 0, 'MATCH', KEYS[1], 'COUNT', 1000000)) return keys[1]")
    key = await store.run(first, [store.key("answers", "*")], [])
    left = await store.run(Script("return redis.call('TTL', KEYS[1])"), [key.decode()], [])
    assert 3600 - 60 < left <= 3600
    await store.close()


async def test_an_answer_is_read_by_the_clients_libraries(cached, engine):
    service = await cached()
    engine.rule = Embedding()
    await twice(service, "/v1/embeddings", input="Once")
    found, said = await post(service, "/v1/embeddings", input="Once")
    assert said == "hit"
    assert len(json.loads(found)["data"][0]["embedding"]) == 8
