import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tandem_contract.config import KeyLimits, RateLimits
from tandem_orchestrator.errors import LimitExceeded
from tandem_orchestrator.observability.metrics import LIMITED

from tests.unit.orchestrator.limits.clock import Clock, admitted, key, limiter_for


@pytest.fixture
def clock():
    return Clock()


def refusal(limiter, principal):
    with pytest.raises(LimitExceeded) as caught:
        limiter.admit(principal)
    return caught.value, dict(caught.value.headers)


def test_without_limits_nothing_is_counted(clock):
    limiter = limiter_for(clock)
    ticket = limiter.admit(key())
    assert ticket.headers == []
    ticket.settle(5)
    assert not limiter.subjects.get("key:a", 0).requests.total


def test_a_key_gets_its_requests_a_minute(clock):
    limiter, alice, bob = limiter_for(clock), key("a", requests_per_minute=3), key("b", requests_per_minute=3)
    assert len(admitted(limiter, alice, 10)) == 3
    assert len(admitted(limiter, bob, 10)) == 3
    clock.now += 60
    assert not admitted(limiter, alice, 10)
    clock.now += 1
    assert len(admitted(limiter, alice, 10)) == 3


def test_tenants_and_the_service_have_limits_too(clock):
    limiter = limiter_for(clock, tenant_requests_per_minute=3, requests_per_minute=5)
    assert len(admitted(limiter, key("a", "acme"), 2)) == 2
    assert len(admitted(limiter, key("b", "acme"), 9)) == 1
    assert len(admitted(limiter, key("c", "other"), 9)) == 2
    error, _ = refusal(limiter, key("c", "other"))
    assert "this service: the limit of 5 requests per minute" in error.message
    error, _ = refusal(limiter, key("b", "acme"))
    assert error.message.startswith(("the tenant 'acme': the limit of 3", "this service"))


def test_a_refused_request_takes_nothing_from_others(clock):
    limiter = limiter_for(clock, tenant_requests_per_minute=4, requests_per_minute=6)
    greedy = key("a", requests_per_minute=1, concurrent_requests=1)
    assert len(admitted(limiter, greedy, 20)) == 1
    assert len(admitted(limiter, key("b"), 20)) == 3
    assert len(admitted(limiter, key("c", "other"), 20)) == 2


def test_the_error_says_what_and_when(clock):
    limiter, principal = limiter_for(clock), key("alpha", requests_per_minute=2)
    before = LIMITED.labels("key", "requests per minute")._value.get()
    limiter.admit(principal)
    clock.now += 20
    limiter.admit(principal)
    error, headers = refusal(limiter, principal)
    assert error.message == "the key 'alpha': the limit of 2 requests per minute is reached; try again in 41s"
    assert (error.status, error.code) == (429, "rate_limit_exceeded")
    assert headers == {
        b"retry-after": b"41",
        b"x-ratelimit-limit-requests": b"2",
        b"x-ratelimit-remaining-requests": b"0",
        b"x-ratelimit-reset-requests": b"41s",
    }
    assert LIMITED.labels("key", "requests per minute")._value.get() == before + 1


def test_the_limit_that_lasts_longest_is_named(clock):
    limiter, principal = limiter_for(clock), key(requests_per_minute=1, tokens_per_day=10)
    limiter.admit(principal).settle(10)
    error, headers = refusal(limiter, principal)
    assert error.code == "token_budget_exceeded"
    assert "10 tokens per day is reached; try again in 12h0m0s" in error.message
    assert headers[b"retry-after"] == b"43200"


def test_headers_show_the_tightest_limits(clock):
    limiter = limiter_for(clock, tenant_requests_per_minute=4, requests_per_minute=100)
    principal = key(requests_per_minute=50, tokens_per_minute=1000, tokens_per_day=900)
    first = dict(limiter.admit(principal).headers)
    assert first == {
        b"x-ratelimit-limit-requests": b"4",
        b"x-ratelimit-remaining-requests": b"3",
        b"x-ratelimit-reset-requests": b"1m1s",
        b"x-ratelimit-limit-tokens": b"900",
        b"x-ratelimit-remaining-tokens": b"900",
        b"x-ratelimit-reset-tokens": b"12h0m0s",
    }
    clock.now += 30
    limiter.admit(principal).settle(300)
    second = dict(limiter.admit(principal).headers)
    assert second[b"x-ratelimit-remaining-requests"] == b"1"
    assert second[b"x-ratelimit-reset-requests"] == b"31s"
    assert second[b"x-ratelimit-remaining-tokens"] == b"600"


def test_tokens_are_held_against_the_limit_when_they_are_known(clock):
    limiter, principal = limiter_for(clock), key(tokens_per_minute=100)
    first, second = admitted(limiter, principal, 2)
    first.settle(99)
    third = limiter.admit(principal)
    second.settle(500)
    third.settle(0)
    error, headers = refusal(limiter, principal)
    assert "100 tokens per minute" in error.message
    assert headers[b"x-ratelimit-remaining-tokens"] == b"0"
    clock.now += 61
    limiter.admit(principal)


def test_tokens_count_when_the_request_ends(clock):
    limiter, principal = limiter_for(clock), key(tokens_per_minute=10)
    ticket = limiter.admit(principal)
    clock.now += 600
    limiter.sweep()
    ticket.settle(10)
    refusal(limiter, principal)


def test_a_place_is_free_again_when_a_request_ends(clock):
    limiter, principal = limiter_for(clock), key(concurrent_requests=2)
    first, _ = admitted(limiter, principal, 5)
    error, headers = refusal(limiter, principal)
    assert "2 requests at the same time" in error.message
    assert (error.code, headers) == ("concurrency_limit_exceeded", {b"retry-after": b"1"})
    first.settle(0)
    assert len(admitted(limiter, principal, 5)) == 1


def test_settling_twice_counts_once(clock):
    limiter, principal = limiter_for(clock), key(concurrent_requests=2, tokens_per_day=100)
    first, _ = admitted(limiter, principal, 2)
    first.settle(30)
    first.settle(30)
    subject = limiter.subjects.get("key:a", 0)
    assert (subject.concurrency.here, subject.day.here) == (1, 30)


def test_budgets_begin_anew_at_midnight_and_with_the_month(clock):
    limiter, principal = limiter_for(clock), key(tokens_per_day=10, tokens_per_month=25)
    clock.set("2026-11-28T23:59:59")
    limiter.admit(principal).settle(10)
    refusal(limiter, principal)
    clock.now += 1
    limiter.admit(principal).settle(15)
    error, _ = refusal(limiter, principal)
    assert "25 tokens per month is reached; try again in 48h0m0s" in error.message
    clock.set("2026-12-01T00:00:00")
    limiter.admit(principal)


def test_defaults_are_for_keys_without_limits_of_their_own(clock):
    limiter = limiter_for(clock, defaults=KeyLimits(requests_per_minute=2))
    assert len(admitted(limiter, key("a"), 5)) == 2
    assert len(admitted(limiter, key("b"), 5)) == 2
    assert len(admitted(limiter, key("c", tokens_per_minute=10), 5)) == 5
    assert len(admitted(limiter, key("anonymous"), 5)) == 2
    error, _ = refusal(limiter, key("anonymous"))
    assert error.message.startswith("requests without a key: the limit of 2")


def test_changed_settings_keep_the_counts(clock):
    limiter, principal = limiter_for(clock, defaults=KeyLimits(requests_per_minute=5)), key()
    assert len(admitted(limiter, principal, 9)) == 5
    limiter.update(RateLimits(defaults=KeyLimits(requests_per_minute=7)))
    assert len(admitted(limiter, principal, 9)) == 2
    limiter.update(RateLimits(defaults=KeyLimits(requests_per_minute=1)))
    _, headers = refusal(limiter, principal)
    assert headers[b"x-ratelimit-remaining-requests"] == b"0"


def test_a_keys_changed_limits_count_at_once(clock):
    limiter = limiter_for(clock)
    assert len(admitted(limiter, key(requests_per_minute=2), 5)) == 2
    assert len(admitted(limiter, key(requests_per_minute=3), 5)) == 1


def test_idle_keys_are_forgotten_but_not_what_they_spent(clock):
    limiter = limiter_for(clock, tenant_requests_per_minute=1000)
    for number in range(100):
        limiter.admit(key(f"key-{number}", f"tenant-{number}", requests_per_minute=9)).settle(3)
    spender = key("spender", tokens_per_month=50)
    limiter.admit(spender).settle(50)
    waiting = limiter.admit(key("waiting", "slow", concurrent_requests=1))
    clock.now += 61
    limiter.sweep()
    assert {subject.name for subject in limiter.subjects} == {"key:spender", "key:waiting"}
    refusal(limiter, spender)
    waiting.settle(0)
    limiter.admit(key("waiting", "slow", concurrent_requests=1))


@settings(max_examples=60)
@given(
    st.integers(1, 8),
    st.lists(st.tuples(st.floats(0, 45, allow_nan=False), st.integers(1, 12)), max_size=40),
)
def test_never_more_than_the_limit_in_any_sixty_seconds(limit, steps):
    clock = Clock()
    limiter, principal = limiter_for(clock), key(requests_per_minute=limit)
    times: list[float] = []
    for forward, attempts in steps:
        clock.now += forward
        times += [clock.now] * len(admitted(limiter, principal, attempts))
    assert all(sum(end - 60 < other <= end for other in times) <= limit for end in times)
    clock.now += 61
    assert len(admitted(limiter, principal, limit + 5)) == limit
