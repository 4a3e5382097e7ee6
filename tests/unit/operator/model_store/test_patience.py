"""How long it is waited for the hub."""

import threading

import pytest
from tandem_operator.model_store.errors import PassingError, PermanentError, StoppedError
from tandem_operator.model_store.patience import Patience, pause
from tandem_operator.model_store.progress import Progress


def test_pauses_grow_to_a_minute() -> None:
    assert [pause(attempt, None, 1) for attempt in (1, 2, 3, 6, 7, 99)] == [2, 4, 8, 60, 60, 60]
    assert [pause(attempt, None, 0) for attempt in (1, 2, 99)] == [1, 2, 30]


@pytest.mark.parametrize("chance", [0, 0.5, 1])
def test_what_the_hub_asks_for_is_the_least(chance) -> None:
    assert 60 <= pause(1, 60, chance) <= 75


def test_patience_ends_before_a_wait_that_is_longer() -> None:
    def fail() -> None:
        raise PassingError("HubAway", "the hub asks to wait 100 s (429)", 100)

    with pytest.raises(PassingError, match=r"the hub asks to wait 100 s \(429\); given up after 0 s") as caught:
        Patience(99, Progress(), threading.Event()).persist(fail)
    assert caught.value.reason == "HubAway"


def test_what_does_not_pass_is_not_tried_again() -> None:
    tries: list[None] = []

    def fail() -> None:
        tries.append(None)
        raise PermanentError("Gated", "no")

    with pytest.raises(PermanentError):
        Patience(99, Progress(), threading.Event()).persist(fail)
    assert len(tries) == 1


def test_a_wait_is_ended_by_a_stop() -> None:
    stop = threading.Event()
    stop.set()

    def fail() -> None:
        raise PassingError("HubAway", "away", 50)

    with pytest.raises(StoppedError):
        Patience(99, Progress(), stop).persist(fail)
