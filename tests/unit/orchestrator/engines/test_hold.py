"""The queue of requests that wait for an engine."""

import asyncio
from typing import Any

import pytest
from tandem_contract.config import Hold as Settings
from tandem_orchestrator.engines.hold import FIRST_BATCH, Hold
from tandem_orchestrator.engines.share import EVERYBODY, Share
from tandem_orchestrator.errors import NoEngine, ShareExceeded, ShuttingDown


class Waiting:
    """A queue, who waits in it, and who has gone."""

    def __init__(self, workers=1, **settings):
        self.room = 0
        self.on_free: list[Any] = []
        self.hold = Hold(Settings(**settings), workers, lambda _: self.room, self.on_free)
        self.gone = []
        self.tasks = {}

    def slot(self, size=10, model="m", share=EVERYBODY):
        return self.hold.slot(model, model, share, size, 1)

    async def enter(self, name, slot=None, heartbeat=None, **fields):
        slot = slot or self.slot(**fields)
        self.tasks[name] = asyncio.create_task(self._wait(name, slot, heartbeat))
        await asyncio.sleep(0)
        return slot

    async def _wait(self, name, slot, heartbeat):
        await self.hold.wait(slot, heartbeat, lambda: "no engine")
        self.gone.append(name)

    async def advance(self):
        self.room = 1000
        self.hold.advance()
        await asyncio.gather(*self.tasks.values())


async def test_first_come_first_served():
    queue = Waiting()
    for name in range(5):
        await queue.enter(name)
    assert "m" in queue.hold.lines
    await queue.advance()
    assert queue.gone == list(range(5))
    assert "m" not in queue.hold.lines


async def test_who_comes_back_has_the_place_of_before():
    queue = Waiting()
    early = queue.slot()
    await queue.enter("late")
    await queue.enter("early", slot=early)
    await queue.advance()
    assert queue.gone == ["early", "late"]


async def test_a_fresh_engine_gets_them_in_growing_batches(monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.engines.hold.BATCH_SECONDS", 0.0)
    queue = Waiting()
    for name in range(FIRST_BATCH * 3):
        await queue.enter(name)
    queue.room = 1000
    queue.hold.advance()
    queue.hold.advance()  # another replica that appears does not make the batch larger
    assert queue.hold.lines["m"].leaving == FIRST_BATCH
    await queue.advance()
    assert queue.gone == list(range(FIRST_BATCH * 3))


async def test_an_engine_that_goes_again_gets_no_more(monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.engines.hold.BATCH_SECONDS", 0.0)
    queue = Waiting()
    for name in range(FIRST_BATCH + 1):
        await queue.enter(name)
    queue.room = 1000
    queue.hold.advance()
    queue.room = 0
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(queue.gone) == FIRST_BATCH
    await queue.advance()
    assert len(queue.gone) == FIRST_BATCH + 1


async def test_models_wait_apart():
    queue = Waiting()
    queue.hold._room = lambda model: model == "b"
    await queue.enter(1, model="a")
    await queue.enter(2, model="b")
    queue.hold.advance()
    await queue.tasks[2]
    assert queue.gone == [2]
    queue.tasks[1].cancel()


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"max_requests": 2}, "hold.maxRequests"),
        ({"max_requests": 6, "workers": 3}, "hold.maxRequests"),
        ({"max_bytes": 25}, "hold.maxBytes"),
        ({"max_bytes": 75, "workers": 3}, "hold.maxBytes"),
    ],
)
async def test_bounds(settings, word):
    queue = Waiting(**settings)
    for name in range(3):
        await queue.enter(name)
    with pytest.raises(NoEngine, match=word) as caught:
        await queue.tasks.pop(2)
    assert dict(caught.value.headers)[b"retry-after"] == b"5"
    await queue.advance()
    assert queue.gone == [0, 1]


async def test_nobody_waits_where_waiting_is_off():
    queue = Waiting(max_requests=0)
    assert not queue.hold.on
    await queue.enter("first")
    with pytest.raises(NoEngine):
        await queue.tasks["first"]


async def test_who_leaves_makes_room_at_once():
    queue = Waiting(max_requests=1, max_bytes=10)
    await queue.enter("first")
    queue.tasks.pop("first").cancel()
    await asyncio.sleep(0)
    await queue.enter("second")
    await queue.advance()
    assert queue.gone == ["second"]
    assert (queue.hold.waiting.count, queue.hold.waiting.bytes, queue.hold.lines, queue.on_free) == (0, 0, {}, [])


async def test_time_is_up():
    queue = Waiting(seconds=0.02)
    await queue.enter("patient")
    with pytest.raises(NoEngine, match=r"hold\.seconds"):
        await queue.tasks["patient"]
    slot = queue.slot()
    assert not slot.overdue
    slot.deadline = 0
    assert slot.overdue


async def test_heartbeats_go_on_until_the_turn_comes():
    beats = []

    async def heartbeat():
        beats.append(1)
        if len(beats) == 3:
            queue.room = 1
            queue.hold.advance()

    queue = Waiting(heartbeat_seconds=0.01)
    await queue.enter("stream", heartbeat=heartbeat)
    await queue.tasks["stream"]
    assert len(beats) == 3


async def test_nobody_waits_beyond_the_drain():
    queue = Waiting()
    await queue.enter("first")
    queue.hold.drain(0.01)
    with pytest.raises(ShuttingDown):
        await queue.tasks["first"]
    await queue.enter("second")
    with pytest.raises(ShuttingDown):
        await queue.tasks["second"]


async def test_who_leaves_at_its_turn_leaves_it_to_the_next():
    queue = Waiting()
    for name in ("first", "second"):
        await queue.enter(name)
    queue.room = 1
    queue.hold.freed()
    queue.tasks.pop("first").cancel()
    await asyncio.wait(queue.tasks.values(), timeout=1)
    assert queue.gone == ["second"]


async def test_as_many_go_as_there_is_room_for():
    queue = Waiting()
    for name in range(5):
        await queue.enter(name)
    queue.room = 2
    for _ in range(5):
        queue.hold.freed()
    assert (queue.hold.lines["m"].leaving, queue.hold.waiting.count) == (2, 3)
    await queue.advance()


async def test_models_with_replicas_in_common_take_turns():
    queue = Waiting()
    for name in range(6):
        await queue.enter(name, model="ab"[name // 3])
    queue.room = 1
    for _ in range(6):
        queue.hold.freed()
        await asyncio.sleep(0.001)
    assert queue.gone == [0, 3, 1, 4, 2, 5]


async def test_who_is_told_to_leave_a_full_queue_is_told_why():
    queue = Waiting(max_requests=2)
    for name in ("first", "second"):
        await queue.enter(name, share=Share("a"))
    await queue.enter("other", share=Share("b"))
    with pytest.raises(ShareExceeded) as caught:
        await queue.tasks.pop("second")
    assert dict(caught.value.headers)[b"retry-after"] == b"5"
    await queue.advance()
    assert queue.gone == ["first", "other"]
