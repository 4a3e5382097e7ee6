"""An engine that is restarted, loads or is scaled to zero costs time and no request."""

import asyncio
from operator import gt

import pytest

from tests.engine_double import Reply
from tests.sockets.running import config_for, until

HEADERS_ONLY = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


async def answered(orchestrator, *, stream):
    if stream:
        return (await orchestrator.stream()).endswith("data: [DONE]\n\n")
    return (await orchestrator.chat())[0] == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_restarts_under_load_fail_no_request(serve, engine, stream):
    orchestrator = await serve(config_for(engine))
    engine.rule = lambda _: Reply(before_first_byte=0.005)
    answers, failures, going_on = [0] * 8, 0, True

    async def client(number):
        nonlocal failures
        while going_on:
            failures += not await answered(orchestrator, stream=stream)
            answers[number] += 1

    async def all_are_served():  # a request that two restarts meet is one that two engines died with, and is not saved
        enough = [count + 4 for count in answers]
        await until(lambda: all(map(gt, answers, enough)))

    clients = [asyncio.create_task(client(number)) for number in range(len(answers))]
    for _ in range(3):
        await all_are_served()
        if stream:
            await engine.drain()  # what has begun to come out of an engine that is killed cannot be saved
        else:
            engine.stop()
        await until(lambda: not orchestrator.upstreams.all[0].ready)
        await engine.start()
    await all_are_served()
    going_on = False
    await asyncio.gather(*clients)
    assert failures == 0
    await until(lambda: orchestrator.busy == 0)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("reply", [Reply(before_first_byte=30), Reply(raw=HEADERS_ONLY)])
async def test_a_killed_engines_requests_go_to_the_next_one(serve, engine, counted, stream, reply):
    orchestrator = await serve(config_for(engine))
    retries = 'tandem_retries_total{reason="engine_cut",upstream="engine-0"}'
    await counted(orchestrator, retries)
    engine.replies += [reply] * 5
    asking = [asyncio.create_task(answered(orchestrator, stream=stream)) for _ in range(5)]
    await until(lambda: len(engine.seen) == 5)
    engine.stop()
    await until(lambda: not orchestrator.upstreams.all[0].ready)
    await engine.start()
    assert await asyncio.gather(*asking) == [True] * 5
    assert len(engine.seen) == 10
    assert await counted(orchestrator, retries) == 5
    await until(lambda: orchestrator.busy == 0)


async def test_an_engine_scaled_to_zero_answers_when_it_is_there(serve, engine, counted):
    engine.stop()
    orchestrator = await serve(config_for(engine))
    held, waits = (
        'tandem_held_requests{class="interactive",model="double"}',
        'tandem_queue_seconds_count{class="interactive",model="double"}',
    )
    await counted(orchestrator, held)
    await counted(orchestrator, waits)
    asking = [asyncio.create_task(answered(orchestrator, stream=n % 2 == 0)) for n in range(30)]
    await until(lambda: orchestrator.app.services.dispatcher._hold.waiting.count == 30)
    assert await counted(orchestrator, held) == 30
    await engine.start()
    assert await asyncio.gather(*asking) == [True] * 30
    assert (await counted(orchestrator, held), await counted(orchestrator, waits)) == (0, 30)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_engine_that_loads_gets_no_request(serve, engine, stream):
    engine.loading = True
    orchestrator = await serve(config_for(engine))
    asking = asyncio.create_task(answered(orchestrator, stream=stream))
    await until(lambda: "double" in orchestrator.app.services.dispatcher._hold.lines)
    assert not engine.seen
    engine.loading = False
    assert await asking


async def test_an_engine_that_begins_to_load_again(serve, engine):
    orchestrator = await serve(config_for(engine))
    engine.loading = True
    asking = asyncio.create_task(answered(orchestrator, stream=False))
    await until(lambda: "double" in orchestrator.app.services.dispatcher._hold.lines)
    engine.loading = False
    assert await asking


@pytest.mark.parametrize("stream", [False, True])
async def test_what_an_engine_aborts_while_it_shuts_down_is_tried_again(serve, engine, stream, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.engines.replica.STOP_SECONDS", 0.1)
    orchestrator = await serve(config_for(engine))
    aborted = b'data: {"choices":[{"index":0,"delta":{"content":""},"finish_reason":"abort"}]}\n\ndata: [DONE]\n\n'
    whole = HEADERS_ONLY + b"%x\r\n%b\r\n0\r\n\r\n" % (len(aborted), aborted)
    engine.replies.append(Reply(raw=whole) if stream else Reply("", finish_reason="abort"))
    assert await answered(orchestrator, stream=stream)
    assert len(engine.seen) == 2


async def test_an_answer_from_before_it_went_makes_no_engine_ready(serve, engine, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.engines.probe.CHECK_SECONDS", 60)
    orchestrator = await serve(config_for(engine))
    last = asyncio.create_task(orchestrator.chat(double={"before_first_byte": 0.1}))
    await until(lambda: engine.running == 1)
    stopping = asyncio.create_task(engine.drain())
    later = asyncio.create_task(orchestrator.chat())
    await until(lambda: not orchestrator.upstreams.all[0].ready)
    assert (await last)[0] == 200
    assert not orchestrator.upstreams.all[0].ready
    await stopping
    await engine.start()
    assert (await later)[0] == 200


async def test_a_key_that_changes_while_the_engine_restarts(serve, engine, tmp_path, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.engines.credentials.LOOK_EVERY", 0.0)
    (tmp_path / "key").write_text("old")
    engine.api_key = "old"
    upstream = {"name": "e", "url": engine.url, "model": "double", "apiKey": {"file": str(tmp_path)}}
    orchestrator = await serve(config_for(upstreams=[upstream]))
    engine.api_key = "new"
    asking = asyncio.create_task(answered(orchestrator, stream=False))
    await until(lambda: not orchestrator.upstreams.all[0].ready)
    (tmp_path / "next").write_text("new")
    (tmp_path / "next").rename(tmp_path / "key")
    assert await asking


async def test_a_key_that_was_never_right_is_told_at_once(serve, engine):
    engine.api_key = "right"
    upstream = {"name": "e", "url": engine.url, "model": "double", "apiKeyValue": "wrong-secret"}
    orchestrator = await serve(config_for(upstreams=[upstream]))
    status, body = await orchestrator.chat()
    assert (status, body["error"]["code"]) == (502, "engine_key_refused")
    _, health = await orchestrator.get("/health")
    assert "wrong-secret" not in f"{body} {health} {orchestrator.config!r}"
