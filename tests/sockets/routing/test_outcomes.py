"""What /ready tells of the requests that engines were sent."""

import asyncio

import pytest

from tests.engine_double import EngineDouble, Reply
from tests.sockets.process import serving
from tests.sockets.running import AT_ONCE, config_for, question, until_awaited

FIGURES = ("requests", "failures", "first_tokens")
WAIT = 0.05


async def told(orchestrator):
    _, ready = await orchestrator.get("/ready")
    return {each["upstream"]: each for each in ready["outcomes"]}


@pytest.mark.parametrize(
    ("reply", "stream", "grows"),
    [
        (Reply(), False, (1, 0, 0)),
        (Reply(before_first_byte=WAIT), True, (1, 0, 1)),
        (Reply(status=400), False, (1, 0, 0)),
        (Reply(status=404), True, (1, 0, 0)),
        (Reply(status=429), False, (1, 0, 0)),
        (Reply(status=500), False, (1, 1, 0)),
        (Reply(status=503), True, (1, 1, 0)),
        (Reply(fault="close"), False, (1, 1, 0)),
        (Reply(fault="wrong_type"), True, (1, 1, 0)),
        (Reply(fault="cut"), True, (1, 1, 1)),
        (Reply(fault="error_event"), True, (1, 1, 1)),
        (Reply(fault="no_done"), True, (1, 1, 1)),
        (Reply(before_first_byte=60), False, (1, 1, 0)),
    ],
)
async def test_what_counts(serve, engine, reply, stream, grows):
    orchestrator = await serve(config_for(engine, timeouts={"firstByteSeconds": 0.5}, **AT_ONCE))
    before = (await told(orchestrator))["engine-0"]
    engine.replies.append(reply)
    async with orchestrator.client.post("/v1/chat/completions", json=question(stream=stream)) as response:
        await response.read()
    after = (await told(orchestrator))["engine-0"]
    assert tuple(after[figure] - before[figure] for figure in FIGURES) == grows
    if grows == (1, 0, 1):
        assert after["first_token_seconds"] - before["first_token_seconds"] >= WAIT


async def test_an_engine_that_never_started_has_failed_at_nothing(serve):
    async with EngineDouble() as engine:
        engine.stop()
        config = config_for(upstreams=[{"name": "absent", "url": engine.url, "model": "double"}], **AT_ONCE)
        orchestrator = await serve(config)
        assert (await orchestrator.chat())[0] == 502
        assert (await told(orchestrator))["absent"]["failures"] == 0
        await engine.start()
        await until_awaited(lambda: orchestrator.get("/health"), lambda answer: answer[1]["upstreams"][0]["ready"])
        engine.stop()
        await orchestrator.chat()
        assert (await told(orchestrator))["absent"]["failures"] == 1


async def test_workers_are_counted_together(engine):
    async with serving("--workers", "2", VLLM_URL=engine.url, MODEL_ID="double") as process:
        engine.replies.extend(Reply(status=500) for _ in range(4))

        async def ask(stream):
            async with process.client.post("/v1/chat/completions", json=question(stream=stream)) as response:
                await response.read()
                return response.status

        statuses = await asyncio.gather(*(ask(bool(n % 2)) for n in range(40)))
        assert statuses.count(200) == 40
        for _ in range(6):  # whichever worker answers
            async with process.client.get("/ready", headers={"connection": "close"}) as response:
                (outcome,) = (await response.json())["outcomes"]
            assert tuple(outcome[figure] for figure in FIGURES) == (44, 4, 20)
        assert outcome["first_token_seconds"] > 0
