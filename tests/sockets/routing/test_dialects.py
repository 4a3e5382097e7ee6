"""The orchestrator before engines of each make, each spoken to and understood in its own way."""

import asyncio

import pytest
from tandem_contract.config import UpstreamType
from tandem_orchestrator.observability.record import Record

from tests.engine_double import EngineDouble, Reply
from tests.engine_double.dialects import DIALECTS
from tests.sockets.running import config_for, question, until

KEY = "engine-key"
TELLING = [kind for kind in DIALECTS if kind != "ollama"]
"""Those that tell how many requests wait in them."""

REFUSING = [kind for kind in DIALECTS if kind != "llamacpp"]
"""Those that have a bound of what may wait in them."""


@pytest.fixture(params=DIALECTS)
async def engine(request):
    async with EngineDouble(api_key=KEY, dialect=request.param) as double:
        yield double


@pytest.fixture
async def twin(engine):
    async with EngineDouble(api_key=KEY, dialect=engine.kind) as double:
        yield double


def over(*engines, **settings):
    """A configuration with one model that all of these serve."""
    upstreams = [
        {"name": f"e{n}", "url": engine.url, "type": engines[0].kind, "model": "double", "apiKeyValue": KEY}
        for n, engine in enumerate(engines)
    ]
    return config_for(upstreams=upstreams, **{"routing": {"prefixAffinity": False}, **settings})


def replica_of(orchestrator, number=0):
    return orchestrator.upstreams.all[number].replicas[0]


def test_each_type_has_a_dialect():
    assert {*UpstreamType} == {*DIALECTS, UpstreamType.OPENAI}


async def test_its_answers_whole_and_streamed_are_its_models(serve, engine):
    orchestrator = await serve(over(engine))
    engine.rule = lambda _: Reply("An answer.", reasoning="A thought.")
    status, answer = await orchestrator.chat()
    assert (status, answer["choices"][0]["message"]["content"]) == (200, "An answer.")
    async with orchestrator.client.post("/v1/chat/completions", json=question(stream=True)) as response:
        assert (await response.text()).endswith("data: [DONE]\n\n")
    (model,) = (await orchestrator.get("/v1/models"))[1]["data"]
    assert (model["id"], model["ready"]) == ("double", True)


async def test_what_it_thought_is_found_under_its_name_for_it(serve, engine):
    orchestrator = await serve(over(engine))
    engine.rule = lambda _: Reply("An answer.", reasoning="A thought.")
    async with orchestrator.client.post("/v1/responses", json={"input": "Hello", "store": False}) as response:
        kinds = [item["type"] for item in (await response.json())["output"]]
    assert kinds == ["reasoning", "message"]
    assert orchestrator.app.services.catalogue.find("double").reasoning_field == engine.dialect.reasoning


async def test_what_waits_inside_is_counted(serve, engine):
    orchestrator = await serve(over(engine, routing={"maxWaiting": 3}))
    engine.waiting = 4
    if engine.kind not in TELLING:
        assert (await orchestrator.chat())[0] == 200
        return
    replica_of(orchestrator).outdated.set()
    await until(lambda: replica_of(orchestrator).backlog.waiting == 4)
    status, answer = await orchestrator.chat()
    assert (status, answer["error"]["code"]) == (429, "engine_saturated")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("engine", REFUSING, indirect=True)
async def test_a_full_one_is_passed_over_for_another_and_not_blamed(serve, engine, twin, stream):
    orchestrator = await serve(over(engine, twin, routing={"prefixAffinity": False, "breakerFailures": 1}))
    engine.full = True
    for _ in range(10):
        async with orchestrator.client.post("/v1/chat/completions", json=question(stream=stream)) as response:
            assert response.status == 200
            assert await response.read()
    assert len(twin.seen) == 10
    assert 1 <= len(engine.seen) <= 3, "it rests for a moment after each refusal"
    replica = replica_of(orchestrator)
    assert (replica.ready, replica.breaker.closed, replica.breaker.row) == (True, True, 0)
    assert not replica.doubted.is_set()


@pytest.mark.parametrize("engine", REFUSING, indirect=True)
async def test_where_all_are_full_a_request_is_refused_at_once_and_taken_again_soon(serve, engine, counted):
    orchestrator = await serve(over(engine))
    refusals = 'tandem_upstream_errors_total{reason="engine_full",upstream="e0"}'
    await counted(orchestrator, refusals)
    engine.full = True
    for stream in (False, True):
        async with orchestrator.client.post("/v1/chat/completions", json=question(stream=stream)) as response:
            answer = await response.json()
            assert (response.status, answer["error"]["code"]) == (429, "engine_saturated")
            assert answer["error"]["type"] == "overloaded_error"
            assert int(response.headers["retry-after"]) > 0
    assert len(engine.seen) == 1, "the second was not even asked for"
    assert await counted(orchestrator, refusals) == 1
    engine.full = False
    await until(lambda: not replica_of(orchestrator).saturated)
    assert (await orchestrator.chat())[0] == 200


async def test_another_refusal_with_the_same_status_is_no_fullness(serve, engine):
    orchestrator = await serve(over(engine, routing={"retries": 0}, hold={"maxRequests": 0}))
    status = 429 if engine.kind == "tgi" else 503
    engine.replies.append(
        Reply(status=status, error={"error": {"message": "no such luck", "type": "x", "code": status}})
    )
    answered, answer = await orchestrator.chat()
    assert (answered, answer["error"]["message"]) == (status, "no such luck")
    assert not replica_of(orchestrator).saturated


async def test_one_that_loads_is_waited_for(serve, engine):
    engine.loading = True
    orchestrator = await serve(over(engine))
    asking = asyncio.create_task(orchestrator.chat())
    await until(lambda: orchestrator.app.services.dispatcher.held("double"))
    engine.loading = False
    replica_of(orchestrator).doubt()
    assert (await asking)[0] == 200


async def test_it_counts_tokens_where_it_can(serve, engine):
    orchestrator = await serve(over(engine))
    body = b'{"model":"double","messages":[{"role":"user","content":"one two three"}]}'
    counted = await replica_of(orchestrator).count_tokens("/v1/chat/completions", body, Record("r"))
    assert counted == (None if engine.kind in ("tgi", "ollama") else (7, 4096))


async def test_a_wrong_key_is_told_as_such(serve, engine):
    engine.api_key = "another"
    orchestrator = await serve(over(engine, hold={"maxRequests": 0}))
    status, answer = await orchestrator.chat()
    assert (status, answer["error"]["code"]) == (502, "engine_key_refused")
