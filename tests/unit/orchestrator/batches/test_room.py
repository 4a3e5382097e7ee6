"""How many lines may be under way, by what the engines do."""

import pytest
from tandem_orchestrator.batches.room import FEW, LEARN_SECONDS, LONGEST_QUIET, Load, Room
from tandem_orchestrator.batches.slowdown import Slowdown

IDLE = Load(replicas=1, urgent=0, lines=0, waiting=0, capacity=0)


def learned(growth: float) -> Slowdown:
    """Of an engine whose tokens take a share longer for each request beside them."""
    slowdown = Slowdown()
    for running in (1, 2, 4, 8, 16, 32):
        slowdown.note(running, 0.02 * (1 + growth * running))
    return slowdown


class Clock:
    """A room over time, with as many lines as it allows."""

    def __init__(self, slowdown: Slowdown | None = None, most: int = 64) -> None:
        self.room = Room(slowdown or Slowdown())
        self.most = most
        self.moment = 100.0
        self.lines = 0

    def wait(self, seconds: float, load: Load = IDLE) -> int:
        """Returns how many lines there are after `seconds` of a load."""
        for _ in range(round(seconds / 0.01)):
            self.moment += 0.01
            bounds = self.room.bounds(load._replace(lines=self.lines), self.most, self.moment)
            assert bounds.begin <= bounds.keep
            self.lines = min(max(self.lines, bounds.begin), bounds.keep)
        return self.lines


def test_few_lines_first_of_which_it_is_learned_how_long_a_token_takes():
    clock = Clock()
    assert clock.wait(LEARN_SECONDS) == FEW
    clock.room._slowdown.note(FEW, 0.02)
    assert clock.wait(1) > FEW


def test_it_grows_while_nobody_asks():
    clock = Clock(learned(0.03))
    grown = [clock.wait(0.25) for _ in range(14)]
    assert grown == sorted(grown)
    assert 0 < grown[3] < 64
    assert grown[-1] == 64


def test_it_falls_at_once():
    clock = Clock()
    assert clock.wait(10) == 64
    assert clock.wait(0.01, IDLE._replace(urgent=1)) == 0


def test_the_more_others_the_more_lines_may_be_beside_them():
    clock = Clock()
    clock.wait(10)
    assert clock.wait(1, IDLE._replace(urgent=40)) == 4, "a tenth of them"


@pytest.mark.parametrize("growth", [0.001, 0.01, 0.03, 0.1, 1.0])
@pytest.mark.parametrize("urgent", [1, 5, 20, 100])
def test_no_others_are_a_tenth_slower(growth, urgent):
    clock = Clock(learned(growth))
    clock.wait(5)
    lines = clock.wait(5, IDLE._replace(urgent=urgent))
    alone, beside = (1 + growth * running for running in (urgent, urgent + lines))
    assert beside / alone <= 1.1


def test_a_line_goes_on_beside_others_of_an_engine_that_hardly_feels_it():
    clock = Clock(learned(0.01))
    assert clock.wait(5, IDLE._replace(urgent=1)) >= 4


def test_it_does_not_trust_a_measurement_without_end():
    clock = Clock(learned(0.0))
    clock.wait(5)
    assert clock.wait(5, IDLE._replace(urgent=1)) <= 8


def test_it_leaves_a_tenth_of_the_engine():
    clock = Clock()
    assert clock.wait(10, IDLE._replace(capacity=20)) == 18


@pytest.mark.parametrize(("urgent", "lines"), [(10, 8), (16, 2), (18, 0), (25, 0)])
def test_it_leaves_others_the_places_that_they_may_need(urgent, lines):
    clock = Clock(learned(0.01))
    clock.wait(10, IDLE._replace(capacity=20))
    assert clock.wait(5, IDLE._replace(capacity=20, urgent=urgent)) == lines


def test_it_does_not_grow_while_some_wait_inside():
    clock = Clock(learned(0.03))
    lines = clock.wait(0.8)
    assert clock.wait(10, IDLE._replace(waiting=1)) == lines


def test_no_engine():
    clock = Clock()
    assert clock.wait(10, IDLE._replace(replicas=0)) == 0


def test_short_gaps_between_others_are_not_filled():
    clock = Clock()
    for _ in range(30):
        clock.wait(0.5, IDLE._replace(urgent=1))
        clock.wait(1)
    clock.wait(0.5, IDLE._replace(urgent=1))
    assert clock.wait(2) == 0
    assert clock.wait(10) == 64


def test_after_a_long_time_it_is_quiet_whatever_came_before():
    clock = Clock()
    for _ in range(10):
        clock.wait(0.1, IDLE._replace(urgent=1))
        clock.wait(60)
    clock.wait(0.1, IDLE._replace(urgent=1))
    assert clock.wait(LONGEST_QUIET - 1) == 0
    assert clock.wait(5) > 0


def test_several_replicas():
    slowdown = learned(0.03)
    one, four = Clock(slowdown), Clock(slowdown)
    assert four.wait(5, IDLE._replace(urgent=4, replicas=4)) >= 4 * one.wait(5, IDLE._replace(urgent=1))
