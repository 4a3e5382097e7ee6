"""When a replica's breaker opens, and what closes it."""

from tandem_orchestrator.engines.breaker import Breaker


def fail(breaker):
    return breaker.fail(breaker.row)


def test_it_opens_after_failures_in_a_row():
    breaker = Breaker(3)
    assert [fail(breaker), fail(breaker)] == [False, False]
    breaker.succeed()
    assert [fail(breaker), fail(breaker), fail(breaker)] == [False, False, True]
    assert (breaker.admits, breaker.closed, breaker.state) == (False, False, "open")


def test_requests_that_fail_side_by_side_fail_once():
    breaker = Breaker(2)
    rows = [breaker.row for _ in range(50)]
    assert not any(breaker.fail(row) for row in rows)
    assert fail(breaker)


def opened():
    breaker = Breaker(2)
    fail(breaker)
    assert fail(breaker)
    breaker.half_open()
    return breaker


def test_a_success_after_the_rest_closes_it():
    breaker = opened()
    assert (breaker.admits, breaker.closed, breaker.state) == (True, False, "half-open")
    breaker.succeed()
    assert (breaker.admits, breaker.closed, breaker.row) == (True, True, 0)


def test_a_failure_after_the_rest_opens_it_again():
    breaker = opened()
    assert fail(breaker)
    assert not breaker.admits


def test_an_answer_from_before_it_opened_does_not_close_it():
    breaker = Breaker(1)
    fail(breaker)
    breaker.succeed()
    assert not breaker.admits
    breaker.reset()
    assert breaker.closed


def test_it_opens_once():
    breaker = Breaker(1)
    assert [fail(breaker), fail(breaker)] == [True, False]


def test_a_rest_that_ends_late_does_not_disturb():
    breaker = Breaker(1)
    breaker.half_open()
    assert breaker.closed
