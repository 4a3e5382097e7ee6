import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tandem_orchestrator.errors import LimitExceeded
from tandem_orchestrator.limits import worker_counters
from tandem_orchestrator.limits.worker_counters import SharedCounters

from tests.unit.orchestrator.limits.clock import Clock, admitted, key, limiter_for


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def workers(clock, tmp_path):
    """Makes limiters of workers that share one file."""

    def make(count, **limits):
        return [limiter_for(clock, SharedCounters(tmp_path / "limits", n, count), **limits) for n in range(count)]

    return make


def test_workers_share_each_limit(workers):
    one, two, three = workers(3, tenant_requests_per_minute=9, requests_per_minute=14)
    principal = key(requests_per_minute=5)
    assert [len(admitted(each, principal, 2)) for each in (one, two, three)] == [2, 2, 1]
    assert [len(admitted(each, key("b"), 3)) for each in (three, two)] == [3, 1]
    assert [len(admitted(each, key("c", "other"), 3)) for each in (one, two)] == [3, 2]


def test_shared_counts_are_gone_after_a_minute(workers, clock):
    one, two = workers(2)
    principal = key(requests_per_minute=4)
    admitted(one, principal, 1)
    clock.now += 2
    admitted(two, principal, 1)
    clock.now += 30
    admitted(one, principal, 1)
    assert len(admitted(two, principal, 9)) == 1
    clock.now += 29  # 61 s after the first
    assert len(admitted(two, principal, 9)) == 1
    clock.now += 2
    assert len(admitted(one, principal, 9)) == 1


def test_workers_share_tokens_budgets_and_places(workers, clock):
    one, two = workers(2)
    principal = key(tokens_per_minute=10)
    one.admit(principal).settle(10)
    assert not admitted(two, principal, 1)
    spender = key("b", tokens_per_day=10, tokens_per_month=15)
    two.admit(spender).settle(10)
    assert not admitted(one, spender, 1)
    clock.set("2026-11-22T00:00:00")
    one.admit(spender).settle(5)
    assert not admitted(two, spender, 1)
    busy = key("c", concurrent_requests=2)
    ticket = one.admit(busy)
    two.admit(busy)
    assert not admitted(two, busy, 1)
    ticket.settle(0)
    assert len(admitted(two, busy, 2)) == 1


def test_a_worker_that_is_started_again_goes_on_with_its_counts(workers, clock, tmp_path):
    one, two = workers(2)
    principal = key(requests_per_minute=9, concurrent_requests=3, tokens_per_day=100)
    admitted(one, principal, 2)[0].settle(40)
    held = admitted(two, principal, 1)
    again = limiter_for(clock, SharedCounters(tmp_path / "limits", 0, 2))
    assert len(admitted(two, principal, 9)) == 2  # the place that it held when it ended is free
    for ticket in held:
        ticket.settle(0)
    headers = dict(again.admit(principal).headers)
    assert headers[b"x-ratelimit-remaining-requests"] == b"3"
    assert headers[b"x-ratelimit-remaining-tokens"] == b"60"


def test_a_file_for_another_number_of_workers_is_refused(tmp_path):
    SharedCounters(tmp_path / "limits", 0, 2)
    with pytest.raises(ValueError, match="another number of workers"):
        SharedCounters(tmp_path / "limits", 0, 3)


def test_workers_of_one_server_know_each_other(tmp_path):
    one, two = (SharedCounters(tmp_path / "limits", n, 2) for n in range(2))
    assert one.server == two.server
    assert one.server != SharedCounters(tmp_path / "other", 0, 2).server


def test_slots_of_forgotten_subjects_are_used_again(workers, clock, monkeypatch):
    monkeypatch.setattr(worker_counters, "SLOTS", 4)
    one, two = workers(2)
    for round_ in range(3):
        principals = [key(f"key-{round_}-{number}", requests_per_minute=5) for number in range(4)]
        for principal in principals:
            tickets = [*admitted(one, principal, 3), *admitted(two, principal, 3)]
            assert len(tickets) == 5
            for ticket in tickets:
                ticket.settle(0)
        clock.now += 61
        one.sweep()
        two.sweep()


def test_without_a_free_slot_a_worker_counts_for_itself_and_says_so(workers, monkeypatch):
    monkeypatch.setattr(worker_counters, "SLOTS", 1)
    one, two = workers(2)
    admitted(one, key("first", requests_per_minute=5), 1)
    second = key("second", requests_per_minute=5)
    with capture_logs() as logs:
        assert [len(admitted(each, second, 9)) for each in (one, two)] == [5, 5]
    assert [line["event"] for line in logs] == ["no room for more shared counts, some limits are each worker's own"] * 2
    assert len(admitted(two, key("first", requests_per_minute=5), 9)) == 4


def test_budgets_keep_their_slot(workers, clock, monkeypatch, tmp_path):
    monkeypatch.setattr(worker_counters, "SLOTS", 1)
    (one,) = workers(1)
    one.admit(key("spender", tokens_per_month=10)).settle(10)
    clock.now += 61
    one.sweep()
    again = limiter_for(clock, SharedCounters(tmp_path / "limits", 0, 1))
    admitted(again, key("other", requests_per_minute=5), 1)
    assert not admitted(again, key("spender", tokens_per_month=10), 1)


def test_the_file_takes_little_room(tmp_path):
    SharedCounters(tmp_path / "limits", 0, 4)
    assert (tmp_path / "limits").stat().st_blocks * 512 < 200_000
    assert (tmp_path / "limits").read_bytes()[:8] == struct.pack("q", 4)


@settings(max_examples=20)
@given(
    st.integers(1, 8),
    st.lists(st.tuples(st.integers(0, 2), st.floats(0, 45, allow_nan=False), st.integers(1, 6)), max_size=40),
)
def test_workers_together_never_admit_more_than_the_limit(tmp_path_factory, limit, steps):
    clock, file = Clock(), tmp_path_factory.mktemp("shared") / "limits"
    limiters = [limiter_for(clock, SharedCounters(file, n, 3)) for n in range(3)]
    times: list[float] = []
    for worker, forward, attempts in steps:
        clock.now += forward
        times += [clock.now] * len(admitted(limiters[worker], key(requests_per_minute=limit), attempts))
    assert all(sum(end - 60 < other <= end for other in times) <= limit for end in times)
    clock.now += 61
    assert len(admitted(limiters[0], key(requests_per_minute=limit), limit + 5)) == limit


def test_a_count_between_counting_and_reading_is_seen(workers, monkeypatch):
    one, two = workers(2)
    principal = key(requests_per_minute=1)
    one.subjects.get("key:a", int(one._clock()))
    two.subjects.get("key:a", int(two._clock()))
    seen = worker_counters.SharedWindow._others_now
    met: list[bool] = []

    def between(window):
        if not met:
            met.append(True)
            with pytest.raises(LimitExceeded):
                two.admit(principal)
        return seen(window)

    monkeypatch.setattr(worker_counters.SharedWindow, "_others_now", between)
    one.admit(principal)
    assert not admitted(two, principal, 3)
