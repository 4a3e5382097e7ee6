"""What is worked on when."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from tandem_operator import workqueue
from tandem_operator.kube.store import Key
from tandem_operator.workqueue import RetryError, WorkQueue

A, B = Key("ns", "a"), Key("ns", "b")
ELSEWHERE = Key("elsewhere", "a")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workqueue, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(workqueue, "FIRST_PAUSE", 0.001)


class Worker:
    """Work that ends when it is told to."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[Key] = asyncio.Queue()
        self.end = asyncio.Event()
        self.running = 0
        self.failures = 0
        self.complaints: list[tuple[Key, str]] = []

    async def work(self, key: Key) -> None:
        self.running += 1
        self.begun.put_nowait(key)
        await self.end.wait()
        self.running -= 1
        if self.failures:
            self.failures -= 1
            raise RetryError("later")

    async def complain(self, key: Key, error: Exception) -> None:
        self.complaints.append((key, str(error)))


@asynccontextmanager
async def working(worker: Worker, workers: int = 2) -> AsyncIterator[WorkQueue]:
    queue = WorkQueue(worker.work, worker.complain, workers)
    task = asyncio.create_task(queue.run())
    yield queue
    task.cancel()
    await asyncio.wait({task})


async def test_asking_twice_is_asking_once() -> None:
    worker = Worker()
    worker.end.set()
    async with working(worker) as queue:
        for key in (A, A, A, B):
            queue.add(key)
        assert {await worker.begun.get(), await worker.begun.get()} == {A, B}
        queue.add(B)
        assert await worker.begun.get() == B, "there was no second A before"


async def test_a_key_is_worked_on_by_one_at_a_time_and_once_more_afterwards() -> None:
    worker = Worker()
    async with working(worker) as queue:
        queue.add(A)
        await worker.begun.get()
        queue.add(A)
        queue.add(A)
        queue.add(B)
        assert await worker.begun.get() == B
        assert worker.running == 2
        assert worker.begun.empty()
        worker.end.set()
        assert await worker.begun.get() == A
        queue.add(B)
        assert await worker.begun.get() == B, "there was no third A before"


async def test_a_failure_is_tried_again_and_does_not_stop_the_others() -> None:
    worker = Worker()
    worker.failures = 3
    worker.end.set()
    async with working(worker, workers=1) as queue:
        queue.add(A)
        for _ in range(4):
            assert await worker.begun.get() == A
        queue.add(B)
        assert await worker.begun.get() == B, "there was no fifth A before"


def test_pauses_grow_to_a_bound() -> None:
    assert [workqueue._pause(failures) for failures in (1, 2, 7, 8)] == [0.001, 0.002, 0.064, 0.128]
    assert workqueue._pause(100_000) == workqueue._pause(17), "and not to where numbers end"


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while True:
            if holds():
                return
            await asyncio.sleep(0)


async def test_a_key_has_one_timer_and_a_change_replaces_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workqueue, "FIRST_PAUSE", 3600.0)
    worker = Worker()
    worker.failures = 5
    worker.end.set()
    async with working(worker) as queue:
        for attempt in range(5):
            queue.add(A, urgent=True)
            assert await worker.begun.get() == A
            await until(lambda: queue.pauses(A))
            assert len(queue._timers) == 1, attempt
        queue.add(A)
        assert not queue.pauses(A)
        assert await worker.begun.get() == A
        await until(lambda: not queue._failures)
        assert not queue._timers


async def test_news_during_an_attempt_that_fails_shorten_the_pause(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker()
    worker.failures = 1
    async with working(worker) as queue:
        queue._failures[A] = workqueue._Failures(0.0, 20)
        queue.add(A)
        await worker.begun.get()
        queue.add(A)
        worker.end.set()
        assert await asyncio.wait_for(worker.begun.get(), 10) == A
    assert "failed 21 times, next attempt in 0 s" in caplog.text


async def test_who_keeps_failing_is_complained_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workqueue, "PATIENCE", 0.02)
    worker = Worker()
    worker.failures = 6
    worker.end.set()
    async with working(worker) as queue:
        queue.add(A)
        for _ in range(7):
            await worker.begun.get()
    assert 0 < len(worker.complaints) < 6
    assert set(worker.complaints) == {(A, "later")}


async def test_an_attempt_that_hangs_is_given_up_and_complained_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workqueue, "LONGEST_ATTEMPT", 0.02)
    monkeypatch.setattr(workqueue, "PATIENCE", 0.01)
    worker = Worker()
    async with working(worker) as queue:
        queue.add(A)
        await worker.begun.get()
        assert await worker.begun.get() == A
    assert worker.complaints
    assert "RetryError: it was not done after 0 s" in caplog.text


MANY = [Key("ns", str(number)) for number in range(300)]


@asynccontextmanager
async def at_work(worker: Worker) -> AsyncIterator[WorkQueue]:
    """A queue whose only worker is at work."""
    async with working(worker, workers=1) as queue:
        queue.add(Key("ns", "at work"))
        await worker.begun.get()
        yield queue


async def ordered(queue: WorkQueue, worker: Worker, count: int) -> list[Key]:
    """Let one worker take what is in line, after what it does now."""
    await until(lambda: len(queue._urgent) + len(queue._routine) == count)
    worker.end.set()
    return [await worker.begun.get() for _ in range(count)]


async def test_a_change_goes_before_what_is_new_and_its_namespace_takes_turns() -> None:
    worker = Worker()
    async with at_work(worker) as queue:
        for key in MANY:
            queue.add(key)
        queue.add(ELSEWHERE)
        queue.add(MANY[250], urgent=True)
        order = await ordered(queue, worker, 301)
    assert order.index(MANY[250]) == 0
    assert order.index(ELSEWHERE) <= 2
    assert sorted(order) == sorted([*MANY, ELSEWHERE])


async def test_what_is_urgent_does_not_keep_the_others_waiting_for_ever() -> None:
    worker = Worker()
    async with at_work(worker) as queue:
        for key in MANY:
            queue.add(key, urgent=True)
        queue.add(ELSEWHERE)
        order = await ordered(queue, worker, 301)
    assert order.index(ELSEWHERE) < 4


async def test_what_waits_becomes_urgent_by_a_change() -> None:
    worker = Worker()
    async with working(worker, workers=1) as queue:
        queue.add(Key("ns", "at work"))
        await worker.begun.get()
        for key in (A, B):
            queue.add(key)
        await until(lambda: len(queue._routine) == 2)
        queue.add(B, urgent=True)
        assert await ordered(queue, worker, 2) == [B, A]
