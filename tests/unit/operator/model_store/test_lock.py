"""One process at a time, and none for ever."""

import os
import subprocess
import sys
import threading
import time

import pytest
from tandem_operator.model_store import lock as locks
from tandem_operator.model_store.errors import PassingError, StoppedError
from tandem_operator.model_store.lock import DEAD_AFTER, Lock, held

ELSEWHERE = "node-7 pid:[4026531836] 1"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "org--name" / "main"


def of_another(folder, line: str = f"{ELSEWHERE}\n0\n", number: int = 1):
    folder.parent.mkdir(exist_ok=True)
    path = folder.with_name(f"main.lock.{number}")
    path.write_text(line)
    return path


def test_one_holds_it_until_its_release(folder) -> None:
    first, second = Lock(folder), Lock(folder)
    assert first.acquire()
    assert not second.acquire()
    assert first.beat()
    first.release()
    assert second.acquire()
    second.release()
    assert not any(folder.parent.iterdir())


def test_one_that_counts_on_is_never_taken_over(folder) -> None:
    clock = Clock()
    lock, path = Lock(folder, clock), of_another(folder)
    for beat in range(5):
        path.write_text(f"{ELSEWHERE}\n{beat}\n")
        assert not lock.acquire()
        clock.now += DEAD_AFTER - 1
        assert not lock.acquire()


def test_one_that_stands_still_is_taken_over(folder) -> None:
    clock = Clock()
    lock, path = Lock(folder, clock), of_another(folder)
    assert not lock.acquire()
    clock.now += DEAD_AFTER + 1
    assert lock.acquire()
    assert not path.exists()
    assert [path.name for path in folder.parent.iterdir()] == ["main.lock.2"]


def test_a_dead_process_of_this_host_is_known_at_once(folder) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    of_another(folder, f"{locks._owner().rpartition(' ')[0]} {ended.pid}\n0\n")
    assert Lock(folder).acquire()


def test_one_that_was_left_long_ago_needs_no_watching(folder) -> None:
    path = of_another(folder)
    long_ago = time.time() - 2 * 3600
    os.utime(path, (long_ago, long_ago))
    assert Lock(folder).acquire()


def test_whoever_was_taken_over_notices_and_takes_nothing_with_it(folder) -> None:
    first = Lock(folder)
    assert first.acquire()
    of_another(folder, number=2)
    assert not first.beat()
    first.release()
    assert not Lock(folder).acquire()


def test_work_ends_when_the_lock_is_lost(folder, monkeypatch) -> None:
    monkeypatch.setattr(locks, "_BEAT", 0.01)
    stop = threading.Event()

    def work() -> None:
        with held(Lock(folder), stop, pytest.fail):
            of_another(folder, number=2)
            assert stop.wait(20)
            raise StoppedError

    with pytest.raises(PassingError, match="taken over") as caught:
        work()
    assert caught.value.reason == "LockLost"


def test_a_waiter_is_told_once_and_comes_next(folder, monkeypatch) -> None:
    monkeypatch.setattr(locks, "_LOOK", 0.01)
    first = Lock(folder)
    told: list[None] = []
    assert first.acquire()

    def tell() -> None:
        told.append(None)
        first.release()

    with held(Lock(folder), threading.Event(), tell):
        assert not first.acquire()
    assert len(told) == 1


def test_of_many_that_come_at_once_one_gets_it(folder) -> None:
    gate = threading.Barrier(8)
    got: list[bool] = []

    def come() -> None:
        lock = Lock(folder)
        gate.wait(20)
        got.append(lock.acquire())

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 7 + [True]
