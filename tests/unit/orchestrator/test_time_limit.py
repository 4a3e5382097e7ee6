import asyncio

import pytest
from tandem_orchestrator.errors import ClientLeft, TookTooLong
from tandem_orchestrator.gateway.time_limit import TimeLimit
from tandem_orchestrator.gateway.watch import ClientWatch


def limit(seconds):
    return TimeLimit(seconds, lambda: TookTooLong("too long"))


async def test_what_takes_too_long_is_cut():
    with pytest.raises(TookTooLong), limit(0.01)():
        await asyncio.Event().wait()
    assert asyncio.current_task().cancelling() == 0


async def test_each_body_has_its_own_time():
    shared = limit(0.1)
    ended = []

    async def body(name, seconds):
        try:
            with shared():
                await asyncio.sleep(seconds)
                ended.append(name)
        except TookTooLong:
            ended.append(f"{name} cut")

    async def later():
        await asyncio.sleep(0.05)
        await body("later", 0.07)

    await asyncio.gather(body("short", 0.01), body("long", 5), later())
    assert ended == ["short", "long cut", "later"]


async def test_a_cancellation_from_elsewhere_is_none_of_its_own():
    async def body():
        with limit(5)():
            await asyncio.Event().wait()

    task = asyncio.create_task(body())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_client_that_leaves_cuts_the_body():
    left = asyncio.Event()

    async def receive():
        await left.wait()
        return {"type": "http.disconnect"}

    asyncio.get_running_loop().call_soon(left.set)
    with pytest.raises(ClientLeft), ClientWatch(receive, limit(5)):
        await asyncio.Event().wait()
    assert asyncio.current_task().cancelling() == 0


async def test_a_client_that_waits_for_too_long():
    async def receive():
        await asyncio.Event().wait()

    with pytest.raises(TookTooLong), ClientWatch(receive, limit(0.01)):
        await asyncio.Event().wait()
    assert asyncio.current_task().cancelling() == 0


async def test_a_client_that_has_left_already():
    async def receive():
        return {"type": "http.disconnect"}

    with pytest.raises(ClientLeft), ClientWatch(receive, limit(5)):
        pytest.fail("there is nobody left to answer")
    await asyncio.sleep(0)


async def test_a_client_that_leaves_while_the_body_ends_disturbs_nothing():
    left = asyncio.Event()

    async def receive():
        await left.wait()
        return {"type": "http.disconnect"}

    with ClientWatch(receive, limit(5)):
        left.set()
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_a_client_sends_meanwhile_is_skipped():
    messages: asyncio.Queue[dict] = asyncio.Queue()
    seen = []

    async def receive():
        seen.append(await messages.get())
        return seen[-1]

    with ClientWatch(receive, limit(5)):
        for _ in range(3):
            messages.put_nowait({"type": "http.request"})
            await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)
    assert len(seen) == 3
