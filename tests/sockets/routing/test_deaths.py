"""Engines that die: of a request, or while they have it."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.engine_double import Call, EngineDouble, Reply
from tests.sockets.routing import dying
from tests.sockets.routing.dying import DyingEngine
from tests.sockets.running import MATH_TOOL, Orchestrator, config_for, question, until

DEEDS = [dying.on_reading, dying.after_the_headers, dying.with_a_reset, dying.after_a_while, dying.with_last_words]
CALL = Call("calculate_math", '{"expression": "2 + 2"}')
SHUT_DOWN = {
    "error": {
        "message": "cannot schedule new futures after shutdown",
        "type": "InternalServerError",
        "param": None,
        "code": 500,
    }
}
LAST_WORDS = b'data: {"error": {"message": "EngineCore encountered an issue.", "code": 500}}\n\ndata: [DONE]\n\n'
DEAD_STREAM = dying.STREAM_HEADERS + b"%x\r\n%b\r\n0\r\n\r\n" % (len(LAST_WORDS), LAST_WORDS)


@pytest.fixture(autouse=True)
def quick_stop(monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.engines.replica.STOP_SECONDS", 0.3)


@pytest.fixture
async def dying_engines():
    async with AsyncExitStack() as stack:

        async def start(deed, number=1):
            return [await stack.enter_async_context(DyingEngine(deed)) for _ in range(number)]

        yield start


async def poison(orchestrator, **fields):
    body = question(user="poison", **fields)
    async with orchestrator.client.post("/v1/chat/completions", json=body) as response:
        text = await response.text()
        assert "[DONE]" not in text
        return response.status, text


async def warm(orchestrator, engines):
    """Leaves kept connections to every engine."""
    for n in range(4 * len(engines)):
        assert (await orchestrator.chat(messages=[{"role": "user", "content": str(n)}]))[0] == 200


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("deed", DEEDS)
async def test_what_kills_its_engine_kills_it_twice_at_most(serve, dying_engines, deed, kept, stream):
    (engine,) = await dying_engines(deed)
    orchestrator = await serve(config_for(engine))
    if kept:
        await warm(orchestrator, [engine])
    status, text = await poison(orchestrator, stream=stream)
    assert status == 502
    assert '"code":"engine_died_twice"' in text
    await until(lambda: engine.deaths == 2)
    assert engine.seen["poison"] == 2
    assert (await orchestrator.chat())[0] == 200


@pytest.mark.parametrize("deed", DEEDS)
async def test_one_of_three_upstreams_survives(serve, dying_engines, deed):
    engines = await dying_engines(deed, 3)
    orchestrator = await serve(config_for(*engines, routing={"retries": 10, "prefixAffinity": False}))
    await warm(orchestrator, engines)
    status, text = await poison(orchestrator)
    assert (status, '"code":"engine_died_twice"' in text) == (502, True)
    await until(lambda: sum(engine.deaths for engine in engines) == 2)
    assert sorted(engine.seen["poison"] for engine in engines) == [0, 1, 1]


@pytest.mark.parametrize("retries", [0, 2])
async def test_it_does_not_go_on_to_kill_the_fallback(serve, dying_engines, retries):
    first, second = await dying_engines(dying.on_reading, 2)
    second.model = "small"
    models = [{"name": "double", "fallback": "small"}]
    upstreams = [{"name": "one", "url": first.url, "model": "double"}]
    upstreams += [{"name": "two", "url": second.url, "model": "small"}]
    orchestrator = await serve(config_for(upstreams=upstreams, models=models, routing={"retries": retries}))
    status, text = await poison(orchestrator)
    assert (status, '"code":"engine_died_twice"' in text) == (502, True)
    assert first.deaths + second.deaths == 2


async def test_where_nothing_is_tried_again_one_engine_dies(serve, dying_engines):
    engines = await dying_engines(dying.on_reading, 2)
    orchestrator = await serve(config_for(*engines, routing={"retries": 0}))
    status, text = await poison(orchestrator)
    assert (status, '"code":"engine_cut"' in text) == (502, True)
    assert sum(engine.deaths for engine in engines) == 1


async def test_it_waits_for_its_engine_once(serve, engine):
    """Between its deaths the engine is away for a while, and the request in the queue."""
    orchestrator = await serve(config_for(engine))

    def kill(_):
        engine.stop()
        return Reply()

    engine.rule = kill
    asking = asyncio.create_task(orchestrator.chat())
    for _ in range(2):
        await until(lambda: not engine.serving and not orchestrator.upstreams.all[0].ready)
        await engine.start()
    status, body = await asking
    assert (status, body["error"]["code"], len(engine.seen)) == (502, "engine_died_twice", 2)


async def test_the_count_goes_through_all_passes_of_a_request(serve, engine):
    orchestrator = await serve(config_for(engine))
    engine.replies += [Reply(fault="close"), Reply("", (CALL,)), Reply(fault="close")]
    body = question(tools=[MATH_TOOL])
    async with orchestrator.client.post("/v1/chat/completions", json=body) as response:
        assert response.status == 502
        assert (await response.json())["error"]["code"] == "engine_died_twice"
    assert len(engine.seen) == 3


async def test_engines_that_close_idle_connections_cost_no_request(serve, dying_engines):
    (engine,) = await dying_engines(dying.on_reading)
    orchestrator = await serve(config_for(engine, routing={"retries": 0}))
    users = [str(n) for n in range(150)]

    async def ask(user):
        return (await orchestrator.chat(user=user))[0]

    for n in range(0, len(users), 3):
        asking = [asyncio.create_task(ask(user)) for user in users[n : n + 3]]
        await asyncio.sleep(0)
        engine.drop()
        assert await asyncio.gather(*asking) == [200] * 3
    assert max(engine.seen.values()) <= 2


@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_dying_engine_says_is_its_death(serve, engine, stream):
    """Its checks go well until it is gone, as those of vLLM may."""
    orchestrator = await serve(config_for(engine))
    engine.replies += [Reply(raw=DEAD_STREAM) if stream else Reply(status=500, error=SHUT_DOWN)] * 4
    asking = [asyncio.create_task(ask(orchestrator, stream=stream)) for _ in range(4)]
    await until(lambda: len(engine.seen) == 4)
    await asyncio.sleep(0.1)
    assert len(engine.seen) == 4, "they are not sent to it again while it goes"
    engine.stop()
    await until(lambda: not orchestrator.upstreams.all[0].ready)
    await engine.start()
    assert await asyncio.gather(*asking) == [True] * 4
    assert len(engine.seen) == 8


async def ask(orchestrator: Orchestrator, *, stream: bool) -> bool:
    if stream:
        return (await orchestrator.stream()).endswith("data: [DONE]\n\n")
    return (await orchestrator.chat())[0] == 200


async def test_another_replica_takes_over_from_one_that_dies(serve, engine):
    async with EngineDouble() as other:
        orchestrator = await serve(config_for(engine, other, routing={"prefixAffinity": False}))
        engine.rule = lambda _: Reply(status=500, error=SHUT_DOWN)
        async with asyncio.timeout(5):
            assert [await ask(orchestrator, stream=False) for _ in range(6)] == [True] * 6
        assert len(other.seen) == 6


@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_that_makes_a_living_engine_say_so_hears_it_after_two(serve, engine, stream):
    orchestrator = await serve(config_for(engine))
    engine.rule = lambda _: Reply(status=500, error=SHUT_DOWN)
    status, body = await orchestrator.chat(stream=stream)
    assert (status, body["error"]["code"], len(engine.seen)) == (502, "engine_died_twice", 2)


async def test_an_engine_that_says_it_is_ill_gets_no_request(serve, engine):
    """vLLM's server goes on for some seconds after its core has died, and lists its models."""
    orchestrator = await serve(config_for(engine))
    engine.ill = True
    await until(lambda: not orchestrator.upstreams.all[0].ready)
    asking = asyncio.create_task(orchestrator.chat())
    await until(lambda: "double" in orchestrator.app.services.dispatcher._hold.lines)
    engine.ill = False
    assert (await asking)[0] == 200
    assert len(engine.seen) == 1


async def test_a_stream_that_has_begun_ends_in_an_error_event(serve, dying_engines):
    (engine,) = await dying_engines(begin_and_die)
    orchestrator = await serve(config_for(engine))
    status, text = await poison(orchestrator, stream=True)
    assert (status, '"code":"engine_cut"' in text, engine.seen["poison"]) == (200, True, 1)


def begin_and_die(engine, exchange):
    event = b'data: {"choices":[{"index":0,"delta":{"content":"he"}}]}\n\n'
    exchange.transport.write(dying.STREAM_HEADERS + b"%x\r\n%b\r\n" % (len(event), event))
    asyncio.get_running_loop().call_later(0.05, engine.die)
