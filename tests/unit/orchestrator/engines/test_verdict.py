"""What a failed attempt means, and how often a request goes on its way again."""

import asyncio

import pytest
from tandem_contract.config import Routing, Timeouts, Upstream
from tandem_orchestrator.engines.answers import refusal
from tandem_orchestrator.engines.attempts import Attempts
from tandem_orchestrator.engines.credentials import EngineKey
from tandem_orchestrator.engines.replica import Replica
from tandem_orchestrator.engines.verdict import ForReplica, ForRequest, Verdict, blames_engine, judge
from tandem_orchestrator.errors import (
    Cut,
    EngineError,
    Full,
    KeyRefused,
    KeyUnusable,
    Malformed,
    Stopping,
    TimedOut,
    Unreachable,
)

OVER, UNSENT, TURNED_AWAY, NO_ROOM, FAILED, DIED = ForRequest
WELL, RESTS, DOUBTED, DOWN = ForReplica


@pytest.mark.parametrize(
    ("error", "request_", "replica"),
    [
        (Unreachable("no"), UNSENT, DOWN),
        (TimedOut("no", phase="connect"), UNSENT, DOWN),
        (KeyUnusable("no file"), UNSENT, DOWN),
        (KeyRefused("no"), TURNED_AWAY, DOUBTED),
        (TimedOut("no", phase="first_byte"), OVER, DOUBTED),
        (TimedOut("no", phase="idle"), OVER, DOUBTED),
        (Full("no", retry_after=1), NO_ROOM, RESTS),
        (Cut("no"), DIED, DOUBTED),
        (Stopping("no"), DIED, DOUBTED),
        (Malformed("no"), FAILED, DOUBTED),
        (EngineError("no"), FAILED, DOUBTED),
        *((refusal(status, {}, b"{}"), OVER, WELL) for status in (400, 404, 413, 422, 429, 501, 505)),
        *((refusal(status, {}, b"{}"), FAILED, DOUBTED) for status in (500, 502, 504)),
        *((refusal(status, {}, b"{}"), TURNED_AWAY, DOUBTED) for status in (401, 403, 503)),
    ],
)
def test_what_a_failure_means(error, request_, replica):
    assert judge(error) == Verdict(request_, replica)


@pytest.mark.parametrize(
    "said",
    [
        "cannot schedule new futures after shutdown",
        "cannot schedule new futures after interpreter shutdown",
        "EngineCore encountered an issue. See stack trace (above) for the root cause.",
    ],
)
def test_the_last_words_of_vllm(said):
    for shape in (b'{"error":{"message":"%b","code":500}}', b'{"message":"%b"}', b'{"detail":"%b"}', b'{"error":"%b"}'):
        assert isinstance(refusal(500, {}, shape % said.encode()), Stopping)
    assert not isinstance(refusal(400, {}, b'{"error":{"message":"%b"}}' % said.encode()), Stopping)


def server():
    upstream = Upstream(name="engine", url="http://127.0.0.1:9")
    return Replica(upstream, None, EngineKey(upstream), (Timeouts(), Routing()), lambda _: None)


def cut(*, stale=False):
    error = Cut("no")
    error.stale = stale
    return error


UNREACHABLE, FULL, BROKEN = Unreachable("no"), refusal(503, {}, b""), refusal(500, {}, b"")
SLOW, NO = TimedOut("no", phase="idle"), refusal(400, {}, b"")


@pytest.mark.parametrize(
    ("error", "to_blame"),
    [
        *((refusal(status, {}, b"{}"), False) for status in (400, 404, 413, 422, 429)),
        *((refusal(status, {}, b"{}"), True) for status in (401, 500, 501, 502, 503, 504)),
        (Full("no", retry_after=1), False),
        (KeyUnusable("no file"), False),
        (Unreachable("no"), True),
        (TimedOut("no", phase="idle"), True),
        (Malformed("no"), True),
        (Stopping("no"), True),
        (cut(), True),
        (cut(stale=True), False),
    ],
)
def test_whom_to_blame(error, to_blame):
    assert blames_engine(error) == to_blame


@pytest.mark.parametrize("failure", [UNREACHABLE, FULL, BROKEN, SLOW, cut(), Malformed("no"), KeyRefused("no")])
def test_what_fails_at_a_candidate_goes_to_the_upstream_beside_it(failure):
    attempts, engine = Attempts(), server()
    assert attempts.left(server(), failure)
    assert attempts.failed(engine, FULL, 1, waits=True), "it has all its further attempts yet"


@pytest.mark.parametrize("status", [400, 404, 422])
def test_what_a_candidate_says_of_a_request_is_its_answer(status):
    assert not Attempts().left(server(), refusal(status, {}, b"{}"))


def test_no_third_engine_dies_beside_a_candidate():
    attempts = Attempts()
    assert attempts.left(server(), cut())
    assert not attempts.failed(server(), cut(), 9, waits=True)
    assert attempts.deadly


@pytest.mark.parametrize(
    ("retries", "failures", "again"),
    [
        (2, [FULL, FULL, FULL], [True, True, False]),
        (0, [FULL], [False]),
        (9, [BROKEN, BROKEN], [True, False]),
        (9, [BROKEN, cut()], [True, False]),
        (9, [cut(), BROKEN], [True, False]),
        (9, [cut(), cut()], [True, False]),
        (0, [cut()], [False]),
        (0, [cut(stale=True), cut()], [True, False]),
        (9, [cut(stale=True), cut(stale=True)], [True, False]),
        (9, [cut(stale=True), *[UNREACHABLE] * 50, cut()], [True] * 51 + [False]),
        (0, [UNREACHABLE] * 50, [True] * 50),
        (9, [FULL, FULL, Stopping("no"), FULL, Stopping("no")], [True, True, True, True, False]),
        (9, [SLOW], [False]),
        (9, [NO], [False]),
    ],
)
def test_how_often_a_request_goes_again(retries, failures, again):
    attempts = Attempts()
    assert [attempts.failed(server(), failure, retries, waits=True) for failure in failures] == again
    assert attempts.deadly == (sum(isinstance(failure, Cut) for failure in failures) == 2)


def test_where_nobody_waits_an_engine_that_is_not_there_costs_an_attempt():
    attempts = Attempts()
    assert [attempts.failed(server(), UNREACHABLE, 2, waits=False) for _ in range(3)] == [True, True, False]


def test_deaths_count_through_models_and_passes():
    attempts = Attempts()
    assert attempts.failed(server(), cut(), 2, waits=True)
    attempts.forget()
    attempts.answered(server())
    assert not attempts.failed(server(), cut(), 2, waits=True)
    assert attempts.deadly


def test_a_pass_that_was_answered_is_over():
    attempts = Attempts()
    for _ in range(3):
        assert attempts.failed(server(), BROKEN, 2, waits=True)
        attempts.answered(server())


def test_another_model_gets_what_failed_twice_once():
    attempts = Attempts()
    assert [attempts.failed(server(), BROKEN, 2, waits=True) for _ in range(2)] == [True, False]
    attempts.forget()
    assert not attempts.failed(server(), BROKEN, 2, waits=True)


def test_only_what_another_replica_answers_is_a_replicas_own_fault():
    first, second = server(), server()
    attempts = Attempts()
    attempts.failed(first, BROKEN, 2, waits=True)
    attempts.answered(first)
    assert first.breaker.row == 0
    for row in (1, 2):
        attempts.failed(first, BROKEN, 2, waits=True)
        attempts.answered(second)
        assert (first.breaker.row, second.breaker.row) == (row, 0)


@pytest.mark.parametrize("early", [False, True])
async def test_nobody_waits_for_the_end_of_a_replica_that_is_taken_out(early):
    replica = server()
    replica.mark_up([])
    check = replica.doubt()
    if early:
        replica.retire()
    waiting = asyncio.create_task(replica.settled(check, stopping=True))
    await asyncio.sleep(0)
    replica.retire()
    async with asyncio.timeout(1):
        await waiting
