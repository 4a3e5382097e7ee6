import asyncio
from typing import Any

import pytest
from tandem_orchestrator.errors import ClientLeft, TookTooLong
from tandem_orchestrator.gateway.watch import ClientWatch, TimeLimit
from tandem_orchestrator.transport.served import Served


def limit(seconds):
    return TimeLimit(seconds, lambda: TookTooLong("too long"))


def cancellations() -> int:
    task = asyncio.current_task()
    assert task
    return task.cancelling()


async def test_what_takes_too_long_is_cut():
    with pytest.raises(TookTooLong), limit(0.01)():
        await asyncio.Event().wait()
    assert cancellations() == 0


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


class Client(Served):
    """Answers for the server: tells whether the client is there."""

    def __init__(self):
        self.gone = False
        self.leave: Any = None

    def go(self):
        self.gone = True
        self.leave()

    def watch(self, seconds=5.0):
        return ClientWatch(self, limit(seconds))

    def on_leave(self, leave):
        self.leave = leave
        if leave is not None and self.gone:
            leave()


async def test_a_client_that_leaves_cuts_the_body():
    client = Client()
    asyncio.get_running_loop().call_soon(client.go)
    with pytest.raises(ClientLeft), client.watch():
        await asyncio.Event().wait()
    assert cancellations() == 0
    assert client.leave is None


async def test_a_client_that_waits_for_too_long():
    with pytest.raises(TookTooLong), Client().watch(0.01):
        await asyncio.Event().wait()
    assert cancellations() == 0


async def test_a_client_that_has_left_already():
    client = Client()
    client.gone = True
    with pytest.raises(ClientLeft), client.watch():
        pytest.fail("there is nobody left to answer")
    await asyncio.sleep(0)  # no cancellation is on its way


async def test_an_answer_that_was_complete_in_time_stands():
    client = Client()
    with client.watch():
        assert client.leave is not None
    assert client.leave is None
    await asyncio.sleep(0)
