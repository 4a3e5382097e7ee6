"""A client that leaves ends the engine's work, and leaves nothing behind."""

import asyncio

import pytest

from tests.engine_double import Reply
from tests.sockets.running import MATH_TOOL, config_for, question, until


async def leave_when(orchestrator, condition, path="/v1/chat/completions", **fields):
    task = asyncio.create_task(_ask(orchestrator, path, fields))
    await until(condition)
    task.cancel()
    await asyncio.wait([task])


async def _ask(orchestrator, path, fields):
    async with orchestrator.client.post(path, json=question(**fields)) as response:
        await response.read()


@pytest.mark.parametrize(
    ("fields", "reply"),
    [
        ({}, Reply(before_first_byte=30)),
        ({"stream": True}, Reply(before_first_byte=30)),
        ({"stream": True}, Reply(fault="hang")),
        ({}, Reply(fault="hang")),
        ({"tools": [MATH_TOOL]}, Reply(before_first_byte=30)),
        ({"tools": [MATH_TOOL], "stream": True}, Reply(fault="hang")),
    ],
)
async def test_the_engine_sees_it_within_a_second(orchestrator, engine, fields, reply):
    engine.replies.append(reply)
    loop = asyncio.get_running_loop()
    await leave_when(orchestrator, lambda: engine.running, **fields)
    left = loop.time()
    await engine.until(lambda: engine.seen[0].outcome == "left")
    assert loop.time() - left < 1
    assert orchestrator.busy == 0


async def test_simple_chat_too(orchestrator, engine):
    engine.replies.append(Reply(before_first_byte=30))
    task = asyncio.create_task(orchestrator.client.post("/chat", json={"messages": [{"role": "user", "content": "?"}]}))
    await until(lambda: engine.running)
    task.cancel()
    await engine.until(lambda: engine.seen[0].outcome == "left")


async def test_a_client_that_does_not_read_stops_the_engine_from_writing(serve, engine):
    orchestrator = await serve(config_for(engine))
    pieces = 3_000
    engine.replies.append(Reply(" ".join(["x" * 10_000] * pieces)))
    response = await orchestrator.client.post("/v1/chat/completions", json=question(stream=True))
    connection = next(iter(orchestrator.upstreams.all[0].replicas[0].pool._all))
    await until(lambda: connection.paused, 10)
    for _ in range(500):  # turns of the loop, in each of which more would come
        await asyncio.sleep(0)
    assert connection._response._buffered < 2_000_000
    assert engine.seen[0].outcome == ""
    text = await response.text()
    assert text.count('"content":" x') == pieces - 1
    assert text.endswith("data: [DONE]\n\n")


async def test_many_cancellations_lose_no_connection(orchestrator, engine):
    engine.rule = lambda request: Reply(before_first_byte=30 if request["n_th"] % 2 else 0, fault="hang")
    waiting: set[asyncio.Task[None]] = set()
    for n in range(200):
        waiting.add(asyncio.create_task(_ask(orchestrator, "/v1/chat/completions", {"stream": n % 4 < 2, "n_th": n})))
        if len(waiting) == 20:
            arrived = n + 1
            await until(lambda arrived=arrived: len(engine.seen) == arrived)
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)
            waiting.clear()
    await until(lambda: orchestrator.busy == 0 and engine.running == 0)
    assert {seen.outcome for seen in engine.seen} == {"left"}
    engine.rule = lambda _: Reply()
    assert (await orchestrator.chat())[0] == 200
    assert orchestrator.upstreams.all[0].replicas[0].pool.idle <= 2


async def test_leaving_while_connections_open_leaks_none(orchestrator, engine):
    for delay in range(40):
        task = asyncio.create_task(_ask(orchestrator, "/v1/chat/completions", {}))
        for _ in range(delay):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    await until(lambda: orchestrator.busy == 0)
    await engine.until(lambda: engine.running == 0)
