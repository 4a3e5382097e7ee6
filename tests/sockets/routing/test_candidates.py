"""A candidate beside an engine takes a share of its requests, and no client is the worse for it."""

import asyncio
from itertools import product
from random import Random

import pytest
from tandem_contract.config import OrchestratorConfig

from tests.engine_double import EngineDouble, Reply
from tests.sockets.routing.crowd import asking
from tests.sockets.running import AT_ONCE, MATH_TOOL, config_for, question, until

ASKED = 200
FAILURES = (
    Reply(status=500),
    Reply(status=503),
    Reply(status=504),
    Reply(fault="close"),
    Reply(fault="not_http"),
    Reply(fault="wrong_type"),
    Reply(fault="error_event", fault_after=0),
)


def named(failure):
    reply, stream = failure
    return f"{reply.fault or reply.status} {'streamed' if stream else 'whole'}"


@pytest.fixture
async def candidate():
    async with EngineDouble("fresh") as double:
        yield double


def beside(engine, candidate, weight=30, **settings) -> OrchestratorConfig:
    upstreams = [
        {"name": "engine", "url": engine.url, "model": engine.model},
        {"name": "next", "url": candidate.url, "model": "fresh", "candidate_of": "engine", "weight": weight},
    ]
    return config_for(upstreams=upstreams, **settings)


async def serving(serve, config):
    orchestrator = await serve(config)
    orchestrator.app.services.dispatcher.draw = Random(7).random
    return orchestrator


def ours(percent, of):
    """How many of so many requests are the candidate's by that generator."""
    draw = Random(7).random
    return sum(100 * draw() < percent for _ in range(of))


async def ask(orchestrator, path, **fields):
    async with orchestrator.client.post(path, json={"model": "double", **fields}) as response:
        return response.status, await response.text()


@pytest.mark.parametrize("weight", [0, 5, 30, 100])
async def test_it_gets_its_percentage(serve, engine, candidate, weight):
    orchestrator = await serving(serve, beside(engine, candidate, weight))
    assert {(await orchestrator.chat())[0] for _ in range(ASKED)} == {200}
    assert len(candidate.seen) == ours(weight, ASKED)
    assert len(engine.seen) == ASKED - len(candidate.seen)
    assert {seen.body["model"] for seen in candidate.seen} <= {"fresh"}
    assert {seen.body["model"] for seen in engine.seen} <= {"double"}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions", question()),
        ("/v1/chat/completions", question(stream=True)),
        ("/v1/completions", {"prompt": "Hello"}),
        ("/v1/completions", {"prompt": "Hello", "stream": True}),
        ("/v1/embeddings", {"input": "Hello"}),
        ("/v1/responses", {"input": "Hello", "store": False}),
        ("/v1/responses", {"input": "Hello", "store": False, "stream": True}),
        ("/v1/messages", {**question(), "max_tokens": 9}),
    ],
)
async def test_it_gets_it_of_every_endpoint(serve, engine, candidate, path, fields):
    orchestrator = await serving(serve, beside(engine, candidate))
    for _ in range(20):
        status, text = await ask(orchestrator, path, **fields)
        assert status == 200, text
    assert (len(candidate.seen), len(engine.seen)) == (ours(30, 20), 20 - ours(30, 20))


async def test_clients_see_nothing_of_it(serve, engine, candidate):
    orchestrator = await serving(serve, beside(engine, candidate, 100))
    _, body = await orchestrator.get("/v1/models")
    assert [(entry["id"], entry["ready"]) for entry in body["data"]] == [("double", True)]
    assert orchestrator.app.services.catalogue.default == "double"
    status, refused = await orchestrator.chat(model="fresh")
    assert (status, refused["error"]["message"]) == (404, "the model 'fresh' does not exist here; there are: double")
    assert (await orchestrator.get("/health"))[1]["backend"] == engine.url


async def test_the_first_that_is_written_may_be_the_candidate(serve, engine, candidate):
    config = beside(engine, candidate, 0)
    config.upstreams.reverse()
    orchestrator = await serving(serve, config)
    assert (await orchestrator.get("/health"))[1]["model"] == "double"
    assert (await ask(orchestrator, "/v1/chat/completions", **question(model=None)))[0] == 200


async def test_the_rounds_of_a_request_stay_together(serve, engine, candidate):
    orchestrator = await serving(serve, beside(engine, candidate, 50))
    said = [{"role": "user", "content": "What is 6 * 7?"}]
    for _ in range(20):
        assert (await orchestrator.chat(messages=said, tools=[MATH_TOOL]))[0] == 200
    assert len(candidate.seen) == 2 * ours(50, 20)
    assert len(engine.seen) == 2 * (20 - ours(50, 20))


async def test_while_it_is_away_nobody_misses_it(serve, engine, candidate):
    candidate.stop()
    orchestrator = await serving(serve, beside(engine, candidate, 100))
    assert {(await orchestrator.chat())[0] for _ in range(10)} == {200}
    assert len(engine.seen) == 10
    assert (await orchestrator.get("/health"))[1]["status"] == "ok"
    await candidate.start()
    await until(lambda: orchestrator.upstreams.all[1].ready)
    assert (await orchestrator.chat())[0] == 200
    assert len(candidate.seen) == 1


@pytest.mark.parametrize("settings", [{}, AT_ONCE], ids=["patient", "at once"])
@pytest.mark.parametrize("failure", [*product(FAILURES, (False, True))], ids=named)
async def test_what_it_fails_at_is_asked_of_the_engine(serve, engine, candidate, settings, failure):
    reply, stream = failure
    orchestrator = await serving(serve, beside(engine, candidate, 100, **settings))
    before = await outcome(orchestrator, "next")
    candidate.replies.append(reply)
    status, text = await ask(orchestrator, "/v1/chat/completions", **question(stream=stream))
    assert (status, len(candidate.seen), len(engine.seen)) == (200, 1, 1), text
    after = await outcome(orchestrator, "next")
    assert after["failures"] - before["failures"] == 1


async def outcome(orchestrator, name):
    _, ready = await orchestrator.get("/ready")
    return next(told for told in ready["outcomes"] if told["upstream"] == name)


async def test_one_that_falls_silent_is_left_for_the_engine(serve, engine, candidate):
    orchestrator = await serving(serve, beside(engine, candidate, 100, timeouts={"firstByteSeconds": 0.2}))
    candidate.replies.append(Reply(before_first_byte=60))
    assert (await orchestrator.chat())[0] == 200
    assert (len(candidate.seen), len(engine.seen)) == (1, 1)


async def test_what_it_says_of_a_request_is_told(serve, engine, candidate):
    orchestrator = await serving(serve, beside(engine, candidate, 100))
    candidate.replies.append(Reply(status=422))
    assert (await orchestrator.chat())[0] == 422
    assert not engine.seen


async def test_one_that_fails_again_and_again_rests(serve, engine, candidate):
    orchestrator = await serving(serve, beside(engine, candidate, 100, routing={"breakerFailures": 3}))
    candidate.rule = lambda _: Reply(status=500)
    assert {(await orchestrator.chat())[0] for _ in range(10)} == {200}
    assert (len(candidate.seen), len(engine.seen)) == (3, 10)


async def test_while_the_engine_is_away_it_takes_all(serve, engine, candidate):
    orchestrator = await serving(serve, beside(engine, candidate, 0))
    assert (await orchestrator.chat())[0] == 200
    engine.stop()
    orchestrator.upstreams.all[0].replicas[0].doubt()
    await until(lambda: not orchestrator.upstreams.all[0].ready)
    assert {(await orchestrator.chat())[0] for _ in range(10)} == {200}
    assert len(candidate.seen) == 10
    _, body = await orchestrator.get("/v1/models")
    assert [(entry["id"], entry["ready"]) for entry in body["data"]] == [("double", True)]
    await engine.start()
    await until(lambda: orchestrator.upstreams.all[0].ready)
    assert (await orchestrator.chat())[0] == 200
    assert len(engine.seen) == 2


async def test_those_who_wait_for_the_engine_go_to_it(serve, engine, candidate):
    engine.stop()
    candidate.stop()
    orchestrator = await serving(serve, beside(engine, candidate, 0))
    asking = [asyncio.create_task(orchestrator.chat()) for _ in range(5)]
    await until(lambda: "double" in orchestrator.app.services.dispatcher._hold.lines)
    await candidate.start()
    assert [status for status, _ in await asyncio.gather(*asking)] == [200] * 5
    assert len(candidate.seen) == 5


@pytest.fixture
def unhurried(monkeypatch):
    """No check comes to the help of those who wait."""
    for name in ("CHECK_SECONDS", "LOAD_SECONDS"):
        monkeypatch.setattr(f"tandem_orchestrator.engines.probe.{name}", 60)


async def one_at_a_time(serve, engine, candidate, weight, *draws):
    """Each takes one request, and answers none before its gate gives a permit."""
    config = beside(engine, candidate, weight)
    for upstream in config.upstreams:
        upstream.concurrency = 1
    orchestrator = await serving(serve, config)
    orchestrator.app.services.dispatcher.draw = iter(draws).__next__
    engine.gate, candidate.gate = asyncio.Semaphore(0), asyncio.Semaphore(0)
    return orchestrator


def waiting(orchestrator):
    lines = orchestrator.app.services.dispatcher._hold.lines
    return len(lines["double"].queue) if "double" in lines else 0


async def test_where_it_takes_all_its_room_is_for_those_who_wait(serve, engine, candidate, unhurried):
    orchestrator = await one_at_a_time(serve, engine, candidate, 100, 0.5, 0.5, 0.5)
    asking = []
    for busy, queued in ((1, 0), (2, 0), (2, 1)):
        asking.append(asyncio.create_task(orchestrator.chat()))
        await until(lambda busy=busy, queued=queued: (orchestrator.busy, waiting(orchestrator)) == (busy, queued))
    assert (len(candidate.seen), len(engine.seen)) == (1, 1), "the engine takes what it has no room for"
    candidate.gate.release()
    await candidate.until(lambda: len(candidate.seen) == 2)
    candidate.gate.release()
    engine.gate.release()
    assert [status for status, _ in await asyncio.gather(*asking)] == [200] * 3


async def test_one_that_waited_and_goes_to_it_leaves_its_turn_to_the_next(serve, engine, candidate, unhurried):
    orchestrator = await one_at_a_time(serve, engine, candidate, 50, 0.9, 0.9, 0.1, 0.9)
    asking = []
    for queued in range(4):
        asking.append(asyncio.create_task(orchestrator.chat()))
        await until(lambda queued=queued: (orchestrator.busy, waiting(orchestrator)) == (1, queued))
    engine.gate.release()
    await engine.until(lambda: len(engine.seen) == 2)
    engine.gate.release()
    await engine.until(lambda: (len(engine.seen), len(candidate.seen)) == (3, 1))
    engine.gate.release()
    candidate.gate.release()
    assert [status for status, _ in await asyncio.gather(*asking)] == [200] * 4


async def test_its_weight_changes_under_load(serve, engine, candidate):
    orchestrator = await serving(serve, beside(engine, candidate, 0))
    assert (await orchestrator.chat())[0] == 200
    replicas = [upstream.replicas[0] for upstream in orchestrator.upstreams.all]
    engine.rule = candidate.rule = lambda _: Reply(before_first_byte=0.005)
    async with asking(orchestrator) as crowd:
        for weight in (5, 50, 100, 20, 0):
            orchestrator.app.reload(beside(engine, candidate, weight))
            seen = len(candidate.seen)
            await crowd.answers(100)
            assert bool(len(candidate.seen) - seen > 10) == bool(weight > 10)
    assert [upstream.replicas[0] for upstream in orchestrator.upstreams.all] == replicas


async def test_one_that_is_taken_out_finishes_its_requests(serve, engine, candidate):
    orchestrator = await serving(serve, beside(engine, candidate, 100))
    candidate.replies.append(Reply(" ".join(["word"] * 10), between_pieces=0.02))
    async with orchestrator.client.post("/v1/chat/completions", json=question(stream=True)) as response:
        await response.content.readline()
        orchestrator.app.reload(config_for(upstreams=[{"name": "engine", "url": engine.url, "model": "double"}]))
        assert (await orchestrator.chat())[0] == 200
        assert (await response.text()).endswith("data: [DONE]\n\n")
    assert (len(candidate.seen), len(engine.seen)) == (1, 1)
    await candidate.until(lambda: candidate.connections == 0)


async def test_adapters_go_to_it_if_it_has_them(serve, engine, candidate):
    engine.adapters = ["poet", "lawyer"]
    candidate.adapters = ["poet"]
    orchestrator = await serving(serve, beside(engine, candidate, 100))
    for name in ("poet", "lawyer"):
        assert (await orchestrator.chat(model=name))[0] == 200
    assert [seen.body["model"] for seen in candidate.seen] == ["poet"]
    assert [seen.body["model"] for seen in engine.seen] == ["lawyer"]
