"""How many requests are taken to wait inside an engine."""

from itertools import count
from sys import maxsize

import pytest
from tandem_contract.config import UpstreamType
from tandem_orchestrator.engines.backlog import START, Backlog
from tandem_orchestrator.engines.types import ENGINE_TYPES

VLLM = ENGINE_TYPES[UpstreamType.VLLM]


def waiting(backlog, in_flight):
    """How many are taken to wait: the least bound that as many in flight keep."""
    return next(bound for bound in count() if in_flight <= backlog.most(bound))


def test_what_was_sent_since_waits_too_where_some_waited():
    backlog = Backlog()
    backlog.seen(10, 20, in_flight=30)
    assert [waiting(backlog, in_flight) for in_flight in (30, 35, 20)] == [10, 15, 10]


def test_an_engine_in_which_none_ever_waited_has_room():
    backlog = Backlog()
    backlog.seen(0, 3, in_flight=3)
    assert waiting(backlog, 500) == 0
    assert backlog.in_flight == 3


def test_an_engine_runs_what_it_ran_while_some_waited():
    backlog = Backlog()
    backlog.seen(5, 20, in_flight=25)
    backlog.seen(0, 12, in_flight=12)
    assert [waiting(backlog, in_flight) for in_flight in (12, 20, 23)] == [0, 0, 3]
    backlog.seen(0, 24, in_flight=24)  # it can do more than was thought
    backlog.seen(0, 12, in_flight=12)
    assert [waiting(backlog, in_flight) for in_flight in (24, 25)] == [0, 1]
    backlog.seen(2, 8, in_flight=10)  # or less, since the prompts are long now
    backlog.seen(0, 6, in_flight=6)
    assert [waiting(backlog, in_flight) for in_flight in (8, 10)] == [0, 2]


def test_an_engine_that_does_not_tell_is_taken_to_be_full():
    backlog = Backlog()
    backlog.seen(0, 3, in_flight=3)
    backlog.missed()
    assert waiting(backlog, 10) == 7
    backlog.seen(0, 10, in_flight=10)
    assert waiting(backlog, 10) == 0


def test_every_type_is_known():
    assert set(ENGINE_TYPES) == set(UpstreamType)


SEVERAL = b"""# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0"} 3.0
vllm:num_requests_waiting{engine="1"} 4.0
vllm:num_requests_waiting_by_reason{reason="capacity"} 9.0
vllm:num_requests_running{engine="0"} 7.0
"""


@pytest.mark.parametrize(
    ("raw", "counts"),
    [
        (b'vllm:num_requests_waiting{engine="0",model_name="m"} 3.0\n', (3, 0)),
        (SEVERAL, (7, 7)),
        (b"vllm:num_requests_waiting 2\nvllm:num_requests_running 1e1", (2, 10)),
        (b"vllm:num_requests_waiting nothing", None),
        (b"vllm:num_requests_running 2", None),
        (b"llamacpp:requests_deferred 2\n", None),
        (b"", None),
    ],
)
def test_vllms_own_counts(raw, counts):
    assert VLLM.counts(raw) == counts


@pytest.mark.parametrize(
    ("waiting", "running", "in_flight", "turns"),
    [
        (0, 0, 0, START),
        (0, 100, 100, 200),  # it has run them all so far: twice as many are tried
        (2, 32, 34, 34),
        (10, 32, 42, 34),
        (468, 32, 500, 34),
        (10, 32, 21, 18),  # half of them are another process's, which gives up as many
        (10, 32, 0, 1),  # all of them are: one gets in by its turn
        (1000, 1, 1, 1),
    ],
)
def test_few_wait_inside_where_turns_are_taken(waiting, running, in_flight, turns):
    backlog = Backlog()
    backlog.seen(waiting, running, in_flight)
    assert backlog.turns == turns


def test_what_a_full_engine_has_shown_to_run_is_filled_and_a_little_more():
    backlog = Backlog()
    backlog.seen(5, 32, 37)
    backlog.seen(0, 10, 10)
    assert backlog.turns == 10 + 22 + 2
    backlog.seen(0, 40, 40)
    assert backlog.turns == 40 + 5 + 2, "it runs more than it did: yet more is tried"


def test_what_an_engine_has_run_is_not_tried_anew_after_a_pause():
    backlog = Backlog()
    for running in (100, 0):
        backlog.seen(0, running, running)
        assert backlog.turns == 200


def test_an_engine_that_does_not_tell_in_time_gets_no_more():
    backlog = Backlog()
    backlog.missed()
    assert backlog.turns == START
    backlog.seen(5, 32, 37)
    backlog.missed()
    assert backlog.turns == 34


@pytest.mark.parametrize("before", [(100, 0), (60, 60), (1, 99)])
def test_processes_that_know_nothing_of_each_other_come_to_equal_parts(before):
    """Both have more to send than the engine takes."""
    backlogs, ours = (Backlog(), Backlog()), list(before)
    for _ in range(100):
        inside = sum(ours)
        for number, backlog in enumerate(backlogs):
            backlog.seen(max(0, inside - 32), min(inside, 32), ours[number])
        ours = [backlog.turns for backlog in backlogs]
    assert 32 <= sum(ours) <= 40
    assert abs(ours[0] - ours[1]) <= 4


def test_a_burst_before_the_first_word_waits_for_it_where_one_is_to_be_heard():
    assert Backlog().turns == START
    assert Backlog(told=False).turns == maxsize
    silent = Backlog()
    silent.untold()
    assert silent.turns == maxsize
