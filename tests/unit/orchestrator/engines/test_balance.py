"""Which replica gets a request."""

from collections import Counter
from dataclasses import dataclass, field
from zlib import crc32

from tandem_orchestrator.engines.balance import MUCH_BUSIER, SLACK, pick


@dataclass(eq=False)
class Fake:
    name: str
    in_flight: int = 0
    token: int = field(init=False)

    def __post_init__(self):
        self.token = crc32(self.name.encode())


def replicas(n):
    return [Fake(f"10.0.0.{i}:8000") for i in range(n)]


def test_the_least_busy_one():
    a, b, c = replicas(3)
    a.in_flight, b.in_flight, c.in_flight = 2, 1, 3
    assert pick([a, b, c], 0) is b


def test_equally_busy_ones_take_turns():
    some = replicas(4)
    some[0].in_flight = 1
    counts = Counter(pick(some, 0).name for _ in range(400))
    assert sorted(counts.values()) == [100, 100, 200], "the one behind the busy one stands in for it"


def test_the_same_beginning_meets_the_same_replica():
    some = replicas(5)
    prefix = crc32(b"You are a helpful assistant")
    favourite = pick(some, prefix)
    assert {pick(order, prefix) for order in (some, some[::-1], some[2:] + some[:2])} == {favourite}


def test_beginnings_spread_evenly_and_move_little():
    some = replicas(4)
    prefixes = [crc32(str(n).encode()) for n in range(4000)]
    before = [pick(some, prefix) for prefix in prefixes]
    counts = Counter(replica.name for replica in before)
    assert min(counts.values()) > 800
    after = [pick(some[:3], prefix) for prefix in prefixes]
    assert all(new is old for old, new in zip(before, after, strict=True) if old is not some[3])


def test_a_much_busier_favourite_is_left_alone():
    some = replicas(3)
    favourite = pick(some, 12345)
    for replica in some:
        replica.in_flight = 10
    favourite.in_flight = 10 * MUCH_BUSIER + SLACK
    assert pick(some, 12345) is favourite
    favourite.in_flight += 1
    assert pick(some, 12345) is not favourite


def test_another_one_than_those_that_were_tried():
    a, b = replicas(2)
    b.in_flight = 50
    assert pick([a, b], 0, [a]) is b
    assert pick([a], 0, [a]) is a
    assert pick([a, b], 7, [a, b]) in (a, b)
