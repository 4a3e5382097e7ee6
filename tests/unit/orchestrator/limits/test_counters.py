from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tandem_orchestrator.limits.counters import Period, Window, day, month

NOON = 1_795_000_000


def second(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def test_a_count_is_gone_a_minute_after_its_second():
    window = Window()
    window.add(NOON, 3)
    assert window.at(NOON + 60) == 3
    assert window.at(NOON + 61) == 0


def test_counts_leave_one_second_after_the_other():
    window = Window()
    for each in range(10):
        window.add(NOON + each, 1)
    assert [window.at(NOON + later) for later in (60, 61, 65, 70, 71)] == [10, 9, 5, 0, 0]


def test_a_window_holds_no_more_than_its_minute():
    window = Window()
    for each in range(1000):
        window.add(NOON + each, 1)
    assert len(window.buckets) <= 62


def test_waiting_ends_when_enough_has_left():
    window = Window()
    window.add(NOON, 2)
    window.add(NOON + 10, 5)
    assert window.wait(7, NOON + 20) == 41
    assert window.wait(5, NOON + 20) == 51
    assert window.reset(NOON + 20) == 41


def test_a_clock_that_is_put_back_a_little_loses_and_doubles_nothing():
    window = Window()
    window.add(NOON, 1)
    window.add(NOON - 30, 1)
    assert window.at(NOON - 30) == 2
    assert window.at(NOON + 60) == 2
    assert window.at(NOON + 61) == 0


def test_a_clock_that_is_put_back_far_does_not_stop_the_window():
    window = Window()
    window.add(NOON, 5)
    assert window.at(NOON - 3600) == 0
    window.add(NOON - 3600, 1)
    assert window.at(NOON - 3600 + 61) == 0


def test_what_was_counted_elsewhere_is_told_from_what_was_counted_here():
    window = Window()
    window.at(NOON)
    window.absorb(NOON - 5, 4)
    window.absorb(NOON - 61, 100)
    window.absorb(NOON + 7, 1)
    window.add(NOON, 2)
    assert window.at(NOON) == 7
    assert dict(window.own(0)) == {NOON: 2, NOON - 5: 0}
    assert window.own(NOON) == [(NOON, 2)]
    assert window.at(NOON + 56) == 3


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 5)), max_size=60))
def test_the_sum_is_that_of_the_last_sixty_one_seconds(steps):
    window, now, counted = Window(), NOON, []
    for forward, count in steps:
        now += forward
        window.add(now, count)
        counted.append((now, count))
        assert window.at(now) == sum(each for when, each in counted if when >= now - 60)


@pytest.mark.parametrize(
    ("bounds", "inside", "start", "end"),
    [
        (day, "2026-11-21T00:00:00", "2026-11-21", "2026-11-22"),
        (day, "2026-11-21T23:59:59", "2026-11-21", "2026-11-22"),
        (month, "2026-11-21T12:00:00", "2026-11-01", "2026-12-01"),
        (month, "2026-12-31T23:59:59", "2026-12-01", "2027-01-01"),
        (month, "2028-02-29T12:00:00", "2028-02-01", "2028-03-01"),
    ],
)
def test_periods_are_those_of_the_calendar(bounds, inside, start, end):
    assert bounds(second(inside)) == (second(start), second(end))


def test_a_period_starts_at_zero_at_midnight():
    period = Period(day)
    period.add(second("2026-11-21T23:59:59"), 10)
    assert period.wait(10, second("2026-11-21T23:59:59")) == 1
    assert period.at(second("2026-11-22")) == 0


def test_what_all_have_used_raises_a_period_and_never_lowers_it():
    period, now = Period(month), second("2026-11-21")
    period.add(now, 10)
    period.raise_to(now, 30)
    period.add(now, 5)
    assert period.at(now) == 35
    period.raise_to(now, 20)
    assert period.at(now) == 35
