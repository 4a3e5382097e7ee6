"""An engine that answers its checks and generates nothing, and others that only seem to be one."""

import asyncio

import pytest

from tests.engine_double import Reply
from tests.sockets.running import config_for, until, until_awaited

QUICK = {"DOUBT_SECONDS": 0.1, "HUNG_SECONDS": 0.4, "LONGEST_GAP": 0.05}
LOOKS = 60
"""Looks that take longer than `HUNG_SECONDS`, whatever the machine does else."""


@pytest.fixture(autouse=True)
def soon_hung(monkeypatch):
    for name, seconds in QUICK.items():
        monkeypatch.setattr(f"tandem_orchestrator.engines.stall.{name}", seconds)


@pytest.fixture
async def asked():
    """Starts requests that may last; they are given up at the end."""
    tasks = []

    def start(request):
        tasks.append(asyncio.create_task(request))
        return tasks[-1]

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def found(engine, **settings):
    """Settings with which the engine's address is looked up, as in a cluster."""
    upstream = {"name": "engine-0", "url": engine.url, "model": engine.model, "discovery": "dns"}
    return config_for(engine, **settings).model_validate({"upstreams": [upstream], **settings})


def replica_of(orchestrator):
    (replica,) = orchestrator.upstreams.all[0].replicas
    return replica


async def looked_at(replica, times=LOOKS):
    until_then = replica.backlog.counted + times
    await until(lambda: replica.backlog.counted >= until_then)


async def hung(orchestrator):
    await until(lambda: replica_of(orchestrator).stall.hangs)


@pytest.mark.parametrize("stream", [False, True])
async def test_it_is_told_and_gets_no_requests_until_it_goes_on(serve, engine, asked, counted, stream):
    orchestrator = await serve(found(engine))
    await counted(orchestrator, 'tandem_upstream_hung{upstream="engine-0"}')
    engine.hang()
    first = asked(orchestrator.stream() if stream else orchestrator.chat())
    await hung(orchestrator)
    _, ready = await orchestrator.get("/ready")
    (told,) = ready["at_work"]
    assert (told["upstream"], told["address"], told["progress"]) == ("engine-0", "127.0.0.1", "hangs")
    assert "engine-0: the engine hangs: no iteration for " in ready["degraded"][0]
    _, health = await orchestrator.get("/health")
    (replica,) = health["upstreams"][0]["replicas"]
    assert (replica["ready"], replica["progress"]) == (False, "hangs")
    assert await counted(orchestrator, 'tandem_upstream_hung{upstream="engine-0"}') == 1
    seen = len(engine.seen)
    second = asked(orchestrator.chat(late=True))
    await until(lambda: orchestrator.app.services.dispatcher._hold.waiting.count == 1)
    await looked_at(replica_of(orchestrator))
    assert len(engine.seen) == seen, "it is spared what it could not do"
    engine.go_on()
    assert "[DONE]" in await first if stream else (await first)[0] == 200
    assert (await second)[0] == 200
    await until(lambda: replica_of(orchestrator).ready)
    assert await counted(orchestrator, 'tandem_upstream_hung{upstream="engine-0"}') == 0
    assert orchestrator.busy == 0


async def test_it_is_found_in_the_middle_of_an_answer_too(serve, engine, asked):
    orchestrator = await serve(config_for(engine))
    engine.rule = lambda _: Reply(text="word " * 500, between_pieces=0.01)
    answer = asked(orchestrator.stream())
    await until(lambda: engine.iterations > 3)
    engine.hang()
    await hung(orchestrator)
    engine.stop()
    assert "engine_cut" in await answer, "who waits is told as soon as it is replaced"


async def test_requests_that_it_had_are_answered_by_another_when_it_is_gone(serve, engine, asked):
    orchestrator = await serve(config_for(engine))
    engine.hang()
    answer = asked(orchestrator.chat())
    await hung(orchestrator)
    engine.stop()
    await until(lambda: not orchestrator.busy)
    engine.go_on()
    await engine.start()
    assert (await answer)[0] == 200


async def test_one_that_is_slow_and_has_many_waiting_is_left_at_work(serve, engine, asked):
    engine.slots = asyncio.Semaphore(1)
    engine.rule = lambda _: Reply(text="word " * 1000, between_pieces=0.06)
    orchestrator = await serve(found(engine))
    for _ in range(10):
        asked(orchestrator.stream())
    await until(lambda: engine.waiting == 9)
    await looked_at(replica_of(orchestrator))
    assert not replica_of(orchestrator).stall.hangs
    await until_awaited(
        lambda: orchestrator.get("/ready"),
        lambda answer: [told["progress"] for told in answer[1]["at_work"]] == ["moves"],
    )


async def test_a_request_that_never_reaches_what_generates_does_not_make_it_hang(serve, engine, asked):
    orchestrator = await serve(config_for(engine))
    engine.replies.append(Reply(before_first_byte=60))
    asked(orchestrator.chat())
    await until(lambda: engine.running == 1)
    await until(lambda: engine.iterations >= 3)
    assert not replica_of(orchestrator).stall.hangs
    questions = [seen.body for seen in engine.seen if seen.path == "/v1/completions"]
    assert questions[0] == {"model": "double", "prompt": "1", "max_tokens": 1}


async def test_one_that_refuses_what_it_is_asked_for_is_judged_by_its_own_word(serve, engine, asked):
    orchestrator = await serve(config_for(engine))
    asked(orchestrator.chat(double={"before_first_byte": 60}))
    await until(lambda: replica_of(orchestrator).backlog.running == 1)
    engine.hang()
    engine.full = True
    await hung(orchestrator)


async def test_nobody_is_judged_while_it_is_told_to_load_an_adapter(serve, engine, asked):
    orchestrator = await serve(config_for(engine))
    engine.hang()
    asked(orchestrator.chat())
    replica = replica_of(orchestrator)
    order = asked(replica.order("/v1/load_lora_adapter", {"lora_name": "a", "lora_path": "/a"}))
    await looked_at(replica)
    assert not replica.stall.hangs
    order.cancel()
    await hung(orchestrator)


async def test_one_without_work_stands_still_and_is_well(serve, engine):
    orchestrator = await serve(found(engine))
    await orchestrator.chat()
    engine.hang()
    await looked_at(replica_of(orchestrator))
    assert replica_of(orchestrator).ready
    await until_awaited(lambda: orchestrator.get("/ready"), lambda answer: answer[1]["at_work"] == [])


async def test_the_room_in_its_cache_is_told_and_forgotten_when_it_goes(serve, engine):
    orchestrator = await serve(found(engine))
    await looked_at(replica_of(orchestrator))
    assert (await orchestrator.get("/ready"))[1]["kv_tokens"] == {"engine-0": 184_832}
    engine.stop()
    replica_of(orchestrator).doubt()
    await until_awaited(lambda: orchestrator.get("/ready"), lambda answer: answer[1]["kv_tokens"] == {})
