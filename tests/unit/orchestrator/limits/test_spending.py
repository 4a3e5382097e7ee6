import pytest
from tandem_orchestrator.limits.counters import DAY
from tandem_orchestrator.limits.spending import periods

from tests.unit.orchestrator.limits.clock import Clock, admitted, key, limiter_for

TODAY, MONTH = "2026-11-21", "2026-11"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def limiter(clock):
    return limiter_for(clock)


def spend(limiter, tokens, **limits):
    limiter.admit(key(**(limits or {"tokens_per_day": 1000}))).settle(tokens)


def test_periods_are_named_in_utc(clock):
    assert periods(int(clock())) == (TODAY, MONTH)
    clock.set("2026-12-31T23:59:59")
    assert periods(int(clock())) == ("2026-12-31", "2026-12")


def test_tokens_of_keys_with_budgets_are_written_once(limiter):
    spend(limiter, 10)
    spend(limiter, 5)
    limiter.admit(key("b", requests_per_minute=9)).settle(7)
    assert limiter.spending.batch() == (TODAY, {"a": 15})
    spend(limiter, 3)
    assert limiter.spending.batch() == (TODAY, {"a": 15})  # the same call after an error
    limiter.spending.written({"a": 15})
    assert limiter.spending.batch() == (TODAY, {"a": 3})
    limiter.spending.written({"a": 18})
    assert limiter.spending.batch() is None


def test_tokens_go_to_the_day_they_were_used_on(limiter, clock):
    spend(limiter, 10)
    clock.now += DAY / 2
    spend(limiter, 4)
    spending = limiter.spending
    assert spending.batch() == (TODAY, {"a": 10})
    spending.written({"a": 10})
    assert spending.batch() == ("2026-11-22", {"a": 4})


def test_days_of_former_months_are_not_kept_for_ever(limiter, clock):
    spend(limiter, 10)
    clock.set("2026-12-02T00:00:00")
    spend(limiter, 4)
    assert limiter.spending.batch() == ("2026-12-02", {"a": 4})


def test_what_stands_written_counts_from_the_first_request_on(limiter):
    limiter.spending.loaded({TODAY: {"a": 90}, MONTH: {"a": 90}})
    spend(limiter, 10, tokens_per_day=100)
    assert not admitted(limiter, key(tokens_per_day=100), 1)
    assert not admitted(limiter, key(tokens_per_month=100), 1)
    assert admitted(limiter, key(tokens_per_month=101), 1)


def test_nothing_is_counted_twice_however_writing_and_reading_meet(limiter):
    spending, used = limiter.spending, limiter.subjects.get("key:a", 0).day
    spend(limiter, 10)
    spending.batch()
    spend(limiter, 5)
    limiter.recall()
    assert used.at(int(limiter._clock())) == 15
    spending.written({"a": 10})
    spending.loaded({TODAY: {"a": 10}})
    limiter.recall()
    assert used.at(int(limiter._clock())) == 15
    spending.loaded({TODAY: {"a": 110}})  # another replica has written 100
    limiter.recall()
    assert used.at(int(limiter._clock())) == 115


def test_who_writes_hears_what_others_have_written(limiter, clock):
    spending, subject = limiter.spending, limiter.subjects.get("key:a", 0)
    spending.loaded({TODAY: {"a": 20}, MONTH: {"a": 500}})
    spend(limiter, 10)
    spending.batch()
    spend(limiter, 1)
    spending.written({"a": 70})  # another replica has added 40
    limiter.recall(["a", "unknown"])
    second = int(limiter._clock())
    assert (subject.day.at(second), subject.month.at(second)) == (71, 551)
    clock.now += DAY
    spend(limiter, 3)
    spending.loaded({"2026-11-22": {}, MONTH: {"a": 550}})
    spending.batch()
    spending.written({"a": 71})  # of a day that is over, and all but 1 in the month's total already
    spending.batch()
    spending.written({"a": 7})
    limiter.recall(["a"])
    second = int(limiter._clock())
    assert (subject.day.at(second), subject.month.at(second)) == (7, 558)


@pytest.mark.parametrize(
    ("limits", "used", "soon"),
    [
        ({"tokens_per_day": 1000}, [90], False),
        ({"tokens_per_day": 1000}, [91], True),
        ({"tokens_per_day": 1000}, [60, 30, 1], True),
        ({"tokens_per_month": 1000}, [91], True),
        ({"tokens_per_month": 1000, "tokens_per_minute": 500}, [45], False),
        ({"tokens_per_month": 1000, "tokens_per_minute": 500}, [46], True),
    ],
)
def test_what_others_do_not_know_is_written_once_it_is_a_tenth_of_what_is_left(limiter, limits, used, soon):
    limiter.changed = {}
    for tokens in used:
        spend(limiter, tokens, **limits)
    assert limiter.write_soon.is_set() is limiter.tell_soon.is_set() is soon


def test_a_ledger_that_lost_its_data_gives_nothing_back(limiter):
    limiter.spending.loaded({TODAY: {"a": 90}})
    spend(limiter, 10)
    limiter.spending.loaded({TODAY: {}})
    limiter.recall()
    assert limiter.subjects.get("key:a", 0).day.at(int(limiter._clock())) == 100
