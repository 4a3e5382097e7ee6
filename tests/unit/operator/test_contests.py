"""How often a field that somebody writes back is put right."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from tandem_operator.api.component import Reference
from tandem_operator.kube.contests import FIRST_PAUSE, LONGEST_PAUSE, Contests
from tandem_operator.kube.difference import MANAGER, Difference, Write, stamped
from tandem_operator.kube.store import Key

KEY = Key("namespace", "demo")
CHILD = Reference("Service", "demo")
FIELD = Difference(("spec", "type"), manager="hand")
OTHER = Difference(("spec", "externalIPs"), extra=True)
EXACT = Difference(("spec", "selector", "x"), extra=True, exact=True)


def write(*corrects: Difference, drift: bool = True, spec: str = "a") -> Write:
    manifest = {"kind": "Service", "metadata": {"name": "demo"}, "spec": spec}
    return Write(stamped(manifest), MANAGER, corrects, drift)


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def contests(time: Time) -> Contests:
    return Contests(time)


def attempts(contests: Contests, time: Time, answer: Callable[[], list[Difference]]) -> Iterator[float]:
    """When a field that is always changed again is written, looked at every second, for three hours."""
    for _ in range(10_800):
        if not contests.holds(KEY, write(FIELD)):
            contests.note(KEY, write(FIELD), answer())
            yield time.now
        time.now += 1


def test_a_client_that_writes_back_is_fought_ever_less(contests: Contests, time: Time) -> None:
    times = list(attempts(contests, time, list))
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses[:7] == [1, 1, FIRST_PAUSE, 240, 480, 960, LONGEST_PAUSE]
    assert set(pauses[7:]) == {LONGEST_PAUSE}
    (contest,) = contests.of(KEY)
    assert (contest.child, contest.path, contest.by) == (CHILD, "spec.type", "hand")


def test_an_admission_policy_is_fought_ever_less(contests: Contests, time: Time) -> None:
    times = list(attempts(contests, time, lambda: [FIELD]))
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses[:5] == [FIRST_PAUSE, 240, 480, 960, LONGEST_PAUSE]
    assert [contest.by for contest in contests.of(KEY)] == ["an admission policy or webhook"]


def test_two_corrections_are_no_contest(contests: Contests) -> None:
    for _ in range(2):
        contests.note(KEY, write(FIELD), [])
        assert not contests.holds(KEY, write(FIELD))
        assert contests.of(KEY) == []


def test_what_the_spec_changes_is_no_contest(contests: Contests) -> None:
    for spec in "abcdef":
        contests.note(KEY, write(FIELD, drift=False, spec=spec), [])
        assert not contests.holds(KEY, write(FIELD, spec=spec))
    assert contests.of(KEY) == []


def test_another_wish_and_another_field_are_written_at_once(contests: Contests) -> None:
    contests.note(KEY, write(FIELD), [FIELD])
    assert contests.holds(KEY, write(FIELD))
    assert not contests.holds(KEY, write(FIELD, OTHER))
    assert not contests.holds(KEY, write(FIELD, spec="b"))
    assert not contests.holds(KEY, write())
    assert not contests.holds(Key("namespace", "other"), write(FIELD))


def test_a_contest_is_over_when_it_has_been_calm(contests: Contests, time: Time) -> None:
    for _ in range(3):
        contests.note(KEY, write(FIELD), [])
    assert contests.of(KEY)
    time.now += FIRST_PAUSE + 600
    assert not contests.of(KEY)
    contests.note(KEY, write(FIELD), [])
    assert not contests.of(KEY)


def test_a_policy_is_over_when_our_write_is_taken_as_it_is(contests: Contests) -> None:
    contests.note(KEY, write(FIELD), [FIELD])
    contests.note(KEY, write(FIELD), [])
    assert not contests.of(KEY)


def test_a_policy_is_over_when_nothing_differs(contests: Contests) -> None:
    contests.note(KEY, write(FIELD), [FIELD])
    contests.settle(KEY, CHILD, [FIELD])
    assert contests.of(KEY)
    contests.settle(KEY, CHILD, [])
    assert not contests.of(KEY)


def test_an_addition_that_comes_back_in_our_own_write_is_left_alone(contests: Contests, time: Time) -> None:
    contests.note(KEY, write(OTHER), [OTHER])
    time.now += 10 * LONGEST_PAUSE
    assert contests.holds(KEY, write(OTHER))
    assert not contests.of(KEY)


def test_an_addition_to_a_selector_is_not(contests: Contests) -> None:
    contests.note(KEY, write(EXACT), [EXACT])
    assert [contest.path for contest in contests.of(KEY)] == ["spec.selector.x"]


def test_children_that_are_gone_are_forgotten(contests: Contests) -> None:
    contests.note(KEY, write(FIELD), [FIELD])
    contests.keep(KEY, {CHILD})
    assert contests.of(KEY)
    contests.keep(KEY, ())
    assert not contests.of(KEY)
