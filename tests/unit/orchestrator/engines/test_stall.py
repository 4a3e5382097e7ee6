"""Which engines are taken to hang."""

import pytest
from tandem_contract.config import UpstreamType
from tandem_contract.progress import Progress
from tandem_orchestrator.engines.stall import DOUBT_SECONDS, HUNG_SECONDS, LONGEST_GAP, Question, Stall
from tandem_orchestrator.engines.types import ENGINE_TYPES

VLLM = ENGINE_TYPES[UpstreamType.VLLM]
LONG = int(2 * HUNG_SECONDS)


class Engine:
    """One that is looked at each second, and gives no answer to the question unless it is told to."""

    def __init__(self, iterations=5):
        self.stall = Stall()
        self.now = 1000.0
        self.iterations = iterations
        self.look()
        self.look(moves=True)

    def look(self, *, moves=False, runs=False, sent=0):
        self.now += 1
        self.iterations += moves
        self.stall.seen(self.now, self.iterations, runs=runs, sent=sent)
        if self.stall.in_doubt:
            self.stall.question = Question.OPEN

    def looks(self, seconds, **seen):
        for _ in range(int(seconds)):
            self.look(**seen)

    def progress(self):
        return self.stall.progress(self.now)


@pytest.fixture
def engine():
    return Engine()


@pytest.mark.parametrize("seen", [{"sent": 3}, {"runs": True}], ids=["requests of ours", "its own word"])
def test_one_that_has_work_and_does_not_move_hangs(engine, seen):
    engine.looks(DOUBT_SECONDS - 1, **seen)
    assert engine.progress() is Progress.MOVES
    engine.looks(2, **seen)
    assert engine.progress() is Progress.STANDS
    engine.looks(HUNG_SECONDS - DOUBT_SECONDS - 2, **seen)
    assert engine.progress() is Progress.STANDS
    engine.look(**seen)
    assert (engine.progress(), engine.stall.hangs, engine.stall.seconds) == (Progress.HANGS, True, HUNG_SECONDS)
    engine.look(moves=True)
    assert (engine.progress(), engine.stall.hangs) == (Progress.MOVES, False)


def test_one_that_is_found_to_hang_does_so_until_it_moves_though_its_clients_leave(engine):
    engine.looks(HUNG_SECONDS, sent=1)
    engine.looks(LONG)
    assert engine.progress() is Progress.HANGS


def test_one_whose_clients_give_up_is_asked_itself_and_found(engine):
    engine.looks(DOUBT_SECONDS, sent=1)
    engine.looks(HUNG_SECONDS - DOUBT_SECONDS)
    assert engine.progress() is Progress.HANGS


def test_a_slow_one_that_many_wait_for_does_not_hang(engine):
    for _ in range(20):
        engine.looks(HUNG_SECONDS - 5, runs=True, sent=1)
        assert not engine.stall.hangs
        engine.look(moves=True, runs=True, sent=1)
    assert engine.progress() is Progress.MOVES


def test_an_idle_one_does_not_hang(engine):
    engine.looks(LONG)
    assert engine.progress() is None


def test_requests_that_end_without_being_generated_for_do_not_add_up(engine):
    for _ in range(LONG):
        engine.look(sent=1)
        engine.looks(3)
    assert engine.progress() is None
    assert engine.stall.seconds < 2


def test_one_that_was_started_again_does_not_hang(engine):
    engine.looks(HUNG_SECONDS - 1, sent=1)
    engine.iterations = 0
    engine.looks(2, sent=1)
    assert (engine.progress(), engine.stall.seconds) == (Progress.MOVES, 1)


def test_one_that_was_never_seen_to_move_hangs_as_well():
    stall = Stall()
    for second in range(int(HUNG_SECONDS) + 1):
        assert stall.progress(second) is not Progress.MOVES
        stall.seen(float(second), 0, runs=False, sent=1)
        if stall.in_doubt:
            stall.question = Question.OPEN
    assert stall.hangs


def test_time_in_which_it_tells_nothing_proves_nothing(engine):
    engine.looks(DOUBT_SECONDS, sent=1)
    engine.now += 10 * HUNG_SECONDS
    engine.look(sent=1)
    assert engine.stall.seconds == DOUBT_SECONDS + LONGEST_GAP
    assert engine.stall.progress(engine.now + LONGEST_GAP + 1) is None
    engine.looks(HUNG_SECONDS, sent=1)
    assert engine.stall.hangs
    assert engine.stall.progress(engine.now + LONGEST_GAP + 1) is None


def test_one_that_answers_the_question_only_seemed_to_hang(engine):
    engine.looks(DOUBT_SECONDS, sent=1)
    assert engine.stall.question is Question.OPEN
    engine.stall.question = Question.NONE
    engine.look(moves=True, sent=1)
    engine.looks(DOUBT_SECONDS - 1, sent=1)
    assert not engine.stall.in_doubt


@pytest.mark.parametrize(("runs", "hangs"), [(True, True), (False, False)])
def test_where_the_question_is_refused_the_engine_must_say_itself_that_it_has_work(engine, runs, hangs):
    engine.looks(DOUBT_SECONDS - 1, sent=1)
    engine.look(sent=1)
    engine.stall.question = Question.REFUSED
    engine.looks(LONG, sent=1, runs=runs)
    assert engine.stall.hangs is hangs
    engine.look(moves=True)
    assert engine.stall.question is Question.NONE, "it may be asked again"


ITERATIONS = b'vllm:iteration_tokens_total_count{engine="%d"} %b\n'
CACHE = b'vllm:kv_cache_usage_perc{engine="0"} %b\n'


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        (ITERATIONS % (0, b"3.0"), ITERATIONS % (0, b"3.0"), False),
        (ITERATIONS % (0, b"3.0"), ITERATIONS % (0, b"4.0"), True),
        (ITERATIONS % (0, b"3.0") + CACHE % b"0.1", ITERATIONS % (0, b"3.0") + CACHE % b"0.2", True),
        (ITERATIONS % (0, b"3") + ITERATIONS % (1, b"3"), ITERATIONS % (0, b"3") + ITERATIONS % (1, b"4"), True),
        (ITERATIONS % (0, b"3.0"), ITERATIONS % (0, b"3.0") + b"vllm:iteration_tokens_total_sum 4.0\n", False),
    ],
)
def test_vllms_own_word_of_its_progress(before, after, moved):
    assert VLLM.progress(before)
    assert (VLLM.progress(before) != VLLM.progress(after)) is moved


@pytest.mark.parametrize("raw", [b"", CACHE % b"0.1", b"# HELP vllm:iteration_tokens_total_count x\n"])
def test_a_vllm_that_counts_no_iterations_is_not_judged(raw):
    assert VLLM.progress(raw) is None


def test_other_types_tell_no_progress():
    others = [kind for name, kind in ENGINE_TYPES.items() if name is not UpstreamType.VLLM]
    assert {kind.progress(ITERATIONS % (0, b"3.0")) for kind in others} == {None}
