import asyncio

import pytest
from tandem_orchestrator.tasks.many import WAITING, each


async def test_a_slow_one_holds_up_those_behind_it_and_no_more_than_a_few_of_them_are_kept():
    gate = asyncio.Event()
    begun, written = [], []

    async def make(number):
        begun.append(number)
        if number == 0:
            await gate.wait()
        return b"%d" % number

    async def write(number, made):
        written.append((number, made))

    doing = asyncio.create_task(each(100, 3, make, write, ordered=True))
    for _ in range(200):  # turns of the loop, of which it needs a few a thing
        await asyncio.sleep(0)
    assert (len(begun), written) == (3 * WAITING, [])
    gate.set()
    await doing
    assert written == [(n, b"%d" % n) for n in range(100)]


@pytest.mark.parametrize("ordered", [True, False])
async def test_no_more_are_under_way_than_may_be(ordered):
    now = most = 0
    written = []

    async def make(number):
        nonlocal now, most
        now += 1
        most = max(most, now)
        for _ in range(number % 5 + 1):
            await asyncio.sleep(0)
        now -= 1
        return b""

    async def write(number, _):
        written.append(number)

    await each(50, 7, make, write, ordered=ordered)
    assert most == 7
    assert sorted(written) == list(range(50))
    assert (written == sorted(written)) is ordered


async def test_what_is_under_way_ends_with_it():
    ended = []

    async def make(number):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)
        return b""

    async def write(_, __):
        raise AssertionError

    doing = asyncio.create_task(each(10, 4, make, write, ordered=True))
    for _ in range(5):
        await asyncio.sleep(0)
    doing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await doing
    assert sorted(ended) == [0, 1, 2, 3]
