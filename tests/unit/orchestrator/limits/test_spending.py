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
    limiter.spending.written()
    assert limiter.spending.batch() == (TODAY, {"a": 3})
    limiter.spending.written()
    assert limiter.spending.batch() is None


def test_tokens_go_to_the_day_they_were_used_on(limiter, clock):
    spend(limiter, 10)
    clock.now += DAY / 2
    spend(limiter, 4)
    spending = limiter.spending
    assert spending.batch() == (TODAY, {"a": 10})
    spending.written()
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
    spending.written()
    spending.loaded({TODAY: {"a": 10}})
    limiter.recall()
    assert used.at(int(limiter._clock())) == 15
    spending.loaded({TODAY: {"a": 110}})  # another replica has written 100
    limiter.recall()
    assert used.at(int(limiter._clock())) == 115


def test_a_ledger_that_lost_its_data_gives_nothing_back(limiter):
    limiter.spending.loaded({TODAY: {"a": 90}})
    spend(limiter, 10)
    limiter.spending.loaded({TODAY: {}})
    limiter.recall()
    assert limiter.subjects.get("key:a", 0).day.at(int(limiter._clock())) == 100
