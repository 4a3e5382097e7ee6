"""Further attempts, fallbacks and breakers."""

import asyncio

import pytest

from tests.engine_double import EngineDouble, Reply
from tests.sockets.running import AT_ONCE, config_for, until

BREAKER = 'tandem_breakers_open{upstream="engine-0"}'


@pytest.fixture
async def other():
    async with EngineDouble() as double:
        yield double


@pytest.fixture
async def pair(serve, engine, other):
    """An orchestrator, the engine that gets the test's question first, the other one, and the first one's name."""
    orchestrator = await serve(config_for(engine, other))
    await orchestrator.chat()
    if engine.seen:
        return orchestrator, engine, other, "engine-0"
    return orchestrator, other, engine, "engine-1"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "fault",
    [
        Reply(status=500),
        Reply(status=502),
        Reply(status=503),
        Reply(status=504),
        Reply(fault="close"),
        Reply(fault="not_http"),
        Reply(fault="wrong_type"),
    ],
)
async def test_another_replica_answers(pair, counted, fault, stream):
    orchestrator, favourite, other, name = pair
    reason = {"": "refused", "close": "engine_cut"}.get(fault.fault, "engine_malformed")
    retries = f'tandem_retries_total{{reason="{reason}",upstream="{name}"}}'
    await counted(orchestrator, retries)
    favourite.rule = lambda _: fault
    for _ in range(3):
        if stream:
            assert (await orchestrator.stream()).endswith("data: [DONE]\n\n")
        else:
            assert (await orchestrator.chat())[0] == 200
    assert len(other.seen) == 3
    assert await counted(orchestrator, retries) == 3
    await until(lambda: orchestrator.busy == 0)


@pytest.mark.parametrize("fault", ["cut", "malformed_json", "error_event"])
async def test_half_a_blocking_answer_is_no_answer(serve, engine, fault):
    orchestrator = await serve(config_for(engine))
    engine.replies.append(Reply(fault=fault))
    assert (await orchestrator.chat())[0] == 200
    assert len(engine.seen) == 2


@pytest.mark.parametrize(("retries", "status", "times"), [(2, 503, 3), (5, 500, 2), (0, 500, 1)])
async def test_attempts_are_bounded(serve, engine, retries, status, times):
    orchestrator = await serve(config_for(engine, routing={"retries": retries}))
    engine.rule = lambda _: Reply(status=status)
    assert (await orchestrator.chat())[0] in (502, 503)
    assert len(engine.seen) == times, "what it may have begun with goes to it once more at most"


async def test_attempts_end_when_the_time_to_wait_is_up(serve, engine):
    orchestrator = await serve(config_for(engine, routing={"retries": 10}, hold={"seconds": 0.1}))
    engine.rule = lambda _: Reply(status=503, before_first_byte=0.06)
    assert (await orchestrator.chat())[0] == 503
    assert 1 < len(engine.seen) < 5


@pytest.mark.parametrize("status", [400, 404, 422, 429, 501])
async def test_a_refusal_is_final(serve, engine, other, status):
    orchestrator = await serve(config_for(engine, other))
    engine.rule = other.rule = lambda _: Reply(status=status)
    await orchestrator.chat()
    assert len(engine.seen) + len(other.seen) == 1


async def test_a_stream_that_has_begun_is_never_begun_again(serve, engine, other):
    orchestrator = await serve(config_for(engine, other))
    engine.rule = other.rule = lambda _: Reply(fault="cut")
    assert '"code":"engine_cut"' in await orchestrator.stream()
    assert len(engine.seen) + len(other.seen) == 1


async def test_an_engine_that_takes_too_long_is_not_asked_again(serve, engine, other):
    orchestrator = await serve(config_for(engine, other, timeouts={"firstByteSeconds": 0.1}))
    engine.rule = other.rule = lambda _: Reply(before_first_byte=30)
    status, body = await orchestrator.chat()
    assert status == 504
    assert "timeouts.firstByteSeconds" in body["error"]["message"]
    assert len(engine.seen) + len(other.seen) == 1


@pytest.fixture
async def small():
    async with EngineDouble("small") as double:
        yield double


def with_fallback(**settings):
    return {"models": [{"name": "double", "fallback": "tiny"}, {"name": "small", "aliases": ["tiny"]}], **settings}


@pytest.fixture
async def falling_back(serve, engine, small):
    return await serve(config_for(engine, small, **with_fallback())), engine, small


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [500, 503])
async def test_the_fallback_answers(falling_back, counted, stream, status):
    orchestrator, engine, small = falling_back
    fallbacks = 'tandem_fallbacks_total{fallback="small",model="double"}'
    await counted(orchestrator, fallbacks)
    engine.rule = lambda _: Reply(status=status)
    if stream:
        assert (await orchestrator.stream(top_k=7)).endswith("data: [DONE]\n\n")
    else:
        assert (await orchestrator.chat(top_k=7))[1]["model"] == "small"
    assert len(engine.seen) == (2 if status == 500 else 3)
    assert (small.seen[0].body["model"], small.seen[0].body["top_k"]) == ("small", 7)
    assert await counted(orchestrator, fallbacks) == 1


async def test_the_fallback_answers_for_an_engine_that_stays_away(serve, engine, small):
    engine.stop()
    orchestrator = await serve(config_for(engine, small, **with_fallback(hold={"seconds": 0.05})))
    assert (await orchestrator.chat())[1]["model"] == "small"


async def test_the_fallback_answers_at_once_where_it_is_told_to_and_the_engine_again_when_it_is_back(
    serve, engine, small
):
    engine.stop()
    models = [{"name": "double", "fallback": "small", "fallbackSeconds": 0}]
    orchestrator = await serve(config_for(engine, small, models=models))
    async with asyncio.timeout(30):  # much less than hold.seconds
        assert (await orchestrator.chat())[1]["model"] == "small"
        assert (await orchestrator.stream()).endswith("data: [DONE]\n\n")
    assert len(small.seen) == 2
    await engine.start()
    await until(lambda: orchestrator.upstreams.all[0].ready)
    assert (await orchestrator.chat())[1]["model"] == "double"


async def test_a_fallback_that_is_away_as_well_is_waited_for_as_any_engine(serve, engine, small):
    engine.stop()
    small.stop()
    models = [{"name": "double", "fallback": "small", "fallbackSeconds": 0.05}]
    orchestrator = await serve(config_for(engine, small, models=models, hold={"seconds": 0.1}))
    status, answer = await orchestrator.chat()
    assert status == 503
    assert "'small'" in answer["error"]["message"]
    assert "hold.seconds" in answer["error"]["message"]


async def test_who_has_no_fallback_says_for_how_long_it_waited(serve, engine):
    engine.stop()
    models = [{"name": "double", "fallback": "unheard-of", "fallbackSeconds": 0.05}]
    message = (await (await serve(config_for(engine, models=models))).chat())[1]["error"]["message"]
    assert "it waited 0.05 s (models.fallbackSeconds)" in message


async def test_the_fallback_is_not_asked_for_another_opinion(falling_back):
    orchestrator, engine, small = falling_back
    engine.rule = lambda _: Reply(status=400)
    assert (await orchestrator.chat())[0] == 400
    assert not small.seen


async def test_a_fallback_that_takes_no_cache_salt_gets_none(serve, engine, small):
    upstreams = [
        {"name": "vllm", "url": engine.url, "model": "double"},
        {"name": "other", "url": small.url, "model": "small", "type": "openai"},
    ]
    keys = {"values": ["team:key"], "required": False}
    orchestrator = await serve(config_for(upstreams=upstreams, **with_fallback(keys=keys)))
    engine.rule = lambda _: Reply(status=500)
    assert (await orchestrator.chat())[1]["model"] == "small"
    assert "cache_salt" in engine.seen[0].body
    assert "cache_salt" not in small.seen[0].body


@pytest.mark.parametrize("fallback", ["unheard-of", "double"])
async def test_a_fallback_that_leads_nowhere(serve, engine, fallback):
    orchestrator = await serve(config_for(engine, models=[{"name": "double", "fallback": fallback}]))
    engine.rule = lambda _: Reply(status=500)
    assert (await orchestrator.chat())[0] == 502
    assert len(engine.seen) == 2


async def test_fallbacks_that_lead_back_end(serve, engine, small):
    models = [{"name": "double", "fallback": "small"}, {"name": "small", "aliases": ["tiny"], "fallback": "tiny"}]
    orchestrator = await serve(config_for(engine, small, models=models, routing={"retries": 0}))
    engine.rule = small.rule = lambda _: Reply(status=500)
    assert (await orchestrator.chat())[0] == 502
    assert (len(engine.seen), len(small.seen)) == (1, 1)


def breaker(orchestrator, name):
    (engine,) = (engine for engine in orchestrator.upstreams.all if engine.name == name)
    return engine.replicas[0].breaker


@pytest.fixture
async def failing(serve, engine, other):
    """An orchestrator with two engines, of which the first fails at everything, and a way to make requests meet it."""

    async def start(**routing):
        engine.rule = lambda _: Reply(status=500)
        routing = {"breakerFailures": 2, "breakerSeconds": 60, "prefixAffinity": False, **routing}
        orchestrator = await serve(config_for(engine, other, routing=routing))

        async def until_it_failed(times):
            before = len(engine.seen)
            while len(engine.seen) < before + times:
                assert (await orchestrator.chat())[0] == 200

        return orchestrator, until_it_failed

    return start


async def test_a_replica_that_fails_at_what_another_answers_gets_a_rest(failing, engine, counted):
    orchestrator, until_it_failed = await failing()
    await counted(orchestrator, BREAKER)
    await until_it_failed(2)
    assert [(await orchestrator.chat())[0] for _ in range(6)] == [200] * 6
    assert len(engine.seen) == 2
    assert await counted(orchestrator, BREAKER) == 1
    replica = (await orchestrator.get("/health"))[1]["upstreams"][0]["replicas"][0]
    assert (replica["breaker"], replica["ready"]) == ("open", True)


async def test_after_the_rest_one_more_failure_is_enough(failing, engine):
    orchestrator, until_it_failed = await failing(breakerSeconds=0.05)
    await until_it_failed(2)
    opened = breaker(orchestrator, "engine-0")
    for _ in range(2):
        assert opened.state == "open"
        await until(lambda: opened.state == "half-open")
        await until_it_failed(1)
    engine.rule = lambda _: Reply()
    await until(lambda: opened.state == "half-open")
    await until_it_failed(1)
    assert opened.closed


async def test_the_only_replica_that_is_left_never_rests(failing, engine, other):
    orchestrator, until_it_failed = await failing()
    await until_it_failed(2)
    other.stop()
    await until(lambda: not orchestrator.upstreams.all[1].ready)
    engine.rule = lambda _: Reply()
    assert (await orchestrator.chat())[0] == 200


async def test_live_traffic_finds_a_dead_engine_before_the_checks_do(serve, engine, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.engines.probe.CHECK_SECONDS", 60)
    monkeypatch.setattr("tandem_orchestrator.engines.probe.CHECK_SECONDS_DOWN", 60)
    monkeypatch.setattr("tandem_orchestrator.engines.probe.LEAST_PAUSE", 0.2)
    orchestrator = await serve(config_for(engine, **AT_ONCE))
    engine.stop()
    assert (await orchestrator.chat())[0] == 502
    assert not orchestrator.upstreams.all[0].ready
    await engine.start()
    assert (await orchestrator.chat())[0] == 200
    assert orchestrator.upstreams.all[0].ready


async def test_a_replica_that_comes_back_needs_no_rest(failing, engine):
    orchestrator, until_it_failed = await failing()
    await until_it_failed(2)
    assert breaker(orchestrator, "engine-0").state == "open"
    engine.stop()
    await until(lambda: not orchestrator.upstreams.all[0].ready)
    await engine.start()
    await until(lambda: orchestrator.upstreams.all[0].ready)
    assert breaker(orchestrator, "engine-0").closed
