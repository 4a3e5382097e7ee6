"""Who gives way when the queue is full."""

from itertools import count
from typing import Any

import pytest
from tandem_contract.config import Hold
from tandem_orchestrator.engines.queue_room import QueueRoom
from tandem_orchestrator.engines.queue_slot import QueueSlot
from tandem_orchestrator.engines.share import Share

NO_TURN: Any = None  # which a queue does not look at
numbers = count()


def slot(tenant, size=1, weight=1, *, batch=False):
    return QueueSlot("m", "m", Share(tenant, weight, batch), size, 1, next(numbers), 0.0, 0.0, NO_TURN)


def full(*slots, workers=1):
    room = QueueRoom(workers)
    for each in slots:
        room.enter(each)
    return room, Hold(max_requests=len(slots) * workers, max_bytes=100 * workers)


def test_nobody_leaves_while_there_is_room():
    room, settings = full(slot("a"), slot("a"))
    room.leave(room.slots()[0])
    assert room.displaced(slot("a"), settings) == []


@pytest.mark.parametrize("workers", [1, 3])
def test_the_youngest_of_who_has_most_leaves(workers):
    slots = [slot("a"), slot("b"), slot("a"), slot("a")]
    room, settings = full(*slots, workers=workers)
    assert room.displaced(slot("b"), settings) == [slots[-1]]
    assert room.displaced(slot("c"), settings) == [slots[-1]]


def test_who_has_most_displaces_nobody():
    room, settings = full(slot("a"), slot("a"), slot("b"))
    assert room.displaced(slot("a"), settings) is None
    assert (room.others("a"), room.others("b"), room.others("c")) == (1, 2, 3)


def test_who_would_have_as_much_displaces_nobody():
    room, settings = full(slot("a"), slot("b"))
    assert room.displaced(slot("c"), settings) is None


def test_by_weight():
    heavy = [slot("a", weight=3) for _ in range(3)]
    light = [slot("b"), slot("b")]
    room, settings = full(*heavy, *light)
    assert room.displaced(slot("a", weight=3), settings) == [light[1]]
    assert room.displaced(slot("b"), settings) is None


def test_batch_gives_way_first_and_displaces_nobody_else():
    batch = slot("a", batch=True)
    room, settings = full(batch, *(slot("b") for _ in range(5)))
    assert room.displaced(slot("b"), settings) == [batch]
    assert room.displaced(slot("c", batch=True), settings) is None


def test_bytes_count_as_much_as_the_number():
    large = [slot("a", 30), slot("a", 30), slot("a", 30)]
    room, settings = full(*large, *(slot("b") for _ in range(3)))
    settings = settings.model_copy(update={"max_requests": 100})
    assert room.displaced(slot("c", 40), settings) == [large[2], large[1]]
    assert room.displaced(slot("c", 70), settings) is None, "it would have more than those whom it displaces"
    assert room.displaced(slot("c", 101), settings) is None


def test_nothing_stays_behind():
    slots = [slot(tenant, 7) for tenant in "aabc"]
    room, _ = full(*slots)
    assert (room.count, room.bytes) == (4, 28)
    for each in slots:
        assert each in room
        room.leave(each)
        assert each not in room
    assert (room.count, room.bytes, room._slots, room._bytes) == (0, 0, {}, {})
