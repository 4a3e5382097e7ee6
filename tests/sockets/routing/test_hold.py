"""The bounds of waiting, as clients see them."""

import asyncio
from urllib.parse import urlsplit

import pytest
from tandem_orchestrator.engines.hold import FIRST_BATCH

from tests.sockets.running import config_for, question, until


@pytest.fixture
async def waiting(serve, engine):
    """An orchestrator whose engine is away, and requests that wait for it."""
    engine.stop()
    tasks = []

    async def start(requests=0, **hold):
        orchestrator = await serve(config_for(engine, hold=hold))
        for _ in range(requests):
            tasks.append(asyncio.create_task(orchestrator.chat()))
            await until(lambda: count(orchestrator) == len(tasks))
        return orchestrator, tasks

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def count(orchestrator):
    return orchestrator.app.services.dispatcher._hold.waiting.count


async def refused(orchestrator, **fields):
    async with orchestrator.client.post("/v1/chat/completions", json=question(**fields)) as response:
        error = (await response.json())["error"]
        assert (response.status, error["code"], error["type"]) == (503, "no_engine", "overloaded_error")
        assert int(response.headers["retry-after"]) > 0
        return error["message"]


async def test_beyond_the_number(waiting):
    orchestrator, _ = await waiting(2, maxRequests=2)
    assert "hold.maxRequests" in await refused(orchestrator)


async def test_beyond_the_bytes(waiting):
    orchestrator, _ = await waiting(1, maxBytes=1000)
    assert "hold.maxBytes" in await refused(orchestrator, padding="x" * 1000)


@pytest.mark.parametrize("stream", [False, True])
async def test_beyond_the_time(waiting, stream):
    orchestrator, _ = await waiting(seconds=0.05)
    message = await refused(orchestrator, stream=stream)
    assert "hold.seconds" in message
    assert "cannot be reached" in message


async def test_off(waiting):
    orchestrator, _ = await waiting(maxRequests=0)
    assert (await orchestrator.chat())[0] == 502


@pytest.mark.parametrize("hold", [{"maxRequests": 0}, {"seconds": 0.05}])
async def test_addresses_are_for_those_who_run_the_service(waiting, engine, hold):
    orchestrator, _ = await waiting(**hold)
    for stream in (False, True):
        async with orchestrator.client.post("/v1/chat/completions", json=question(stream=stream)) as response:
            told = await response.text()
            assert response.status in (502, 503)
        assert "the engine cannot be reached" in told
        assert "127.0.0.1" not in told
        assert str(urlsplit(engine.url).port) not in told
    _, ready = await orchestrator.get("/ready")
    assert urlsplit(engine.url).netloc in ready["degraded"][0]


async def test_a_client_that_leaves_makes_room(waiting, engine):
    orchestrator, tasks = await waiting(2, maxRequests=2)
    tasks.pop().cancel()
    await until(lambda: count(orchestrator) == 1)
    tasks.append(asyncio.create_task(orchestrator.chat()))
    await until(lambda: count(orchestrator) == 2)
    await engine.start()
    assert [status for status, _ in await asyncio.gather(*tasks)] == [200, 200]
    assert len(engine.seen) == 2
    assert (count(orchestrator), orchestrator.busy) == (0, 0)


async def test_many_that_wait_and_leave_leave_nothing_behind(waiting, engine):
    orchestrator, _ = await waiting()
    tasks = [asyncio.create_task(orchestrator.chat(stream=n % 2 == 0)) for n in range(50)]
    await until(lambda: count(orchestrator) == 50)
    for task in tasks:
        task.cancel()
    await until(lambda: count(orchestrator) == 0)
    assert not orchestrator.app.services.dispatcher._hold.lines
    await engine.start()
    assert (await orchestrator.chat())[0] == 200
    assert len(engine.seen) == 1


async def test_streams_get_signs_of_life(waiting, engine):
    orchestrator, _ = await waiting(heartbeatSeconds=0.02)
    async with orchestrator.client.post("/v1/chat/completions", json=question(stream=True)) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        assert [await response.content.readuntil(b"\n\n") for _ in range(3)] == [b": waiting for an engine\n\n"] * 3
        await engine.start()
        assert (await response.text()).endswith("data: [DONE]\n\n")


async def test_a_stream_that_waited_in_vain_ends_in_an_error_event(waiting):
    orchestrator, _ = await waiting(heartbeatSeconds=0.02, seconds=0.1)
    text = await orchestrator.stream()
    assert '"code":"no_engine"' in text
    assert "[DONE]" not in text


async def test_nobody_waits_beyond_the_drain(waiting):
    orchestrator, tasks = await waiting(1)
    orchestrator.app.services.dispatcher.drain(0.01)
    status, body = await tasks[0]
    assert (status, body["error"]["code"]) == (503, "shutting_down")
    assert (await orchestrator.chat())[0] == 503


async def test_first_come_first_served(waiting, engine):
    orchestrator, _ = await waiting()
    tasks = []
    for n in range(20):
        tasks.append(asyncio.create_task(orchestrator.chat(n_th=n)))
        await until(lambda n=n: count(orchestrator) == n + 1)
    await engine.start()
    await asyncio.gather(*tasks)
    order = [seen.body["n_th"] for seen in engine.seen]
    batches = [set(order[:FIRST_BATCH]), set(order[FIRST_BATCH:])]
    assert batches == [set(range(FIRST_BATCH)), set(range(FIRST_BATCH, 20))], "sockets mix up one batch at most"


async def test_who_comes_later_does_not_overtake_who_waits(waiting, engine, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.engines.hold.BATCH_SECONDS", 60)
    orchestrator, tasks = await waiting(FIRST_BATCH + 1)
    engine.gate = asyncio.Semaphore(0)
    await engine.start()
    await until(lambda: len(engine.seen) == FIRST_BATCH)
    late = asyncio.create_task(orchestrator.chat(late=True))
    await until(lambda: count(orchestrator) == 2)
    for answered in (1, 2):
        engine.gate.release()
        await until(lambda answered=answered: len(engine.seen) == FIRST_BATCH + answered)
    assert [seen for seen in engine.seen if "late" in seen.body] == engine.seen[-1:]
    for _ in range(FIRST_BATCH):
        engine.gate.release()
    assert [status for status, _ in await asyncio.gather(late, *tasks)] == [200] * (FIRST_BATCH + 2)


async def test_a_request_that_found_nobody_waits_without_retries(serve, engine, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.engines.probe.CHECK_SECONDS", 60)
    orchestrator = await serve(config_for(engine, routing={"retries": 0}))
    engine.stop()
    asking = asyncio.create_task(orchestrator.chat())
    await until(lambda: count(orchestrator) == 1)
    await engine.start()
    assert (await asking)[0] == 200
