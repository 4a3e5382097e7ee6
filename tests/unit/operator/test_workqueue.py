"""What is worked on when."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tandem_operator import workqueue
from tandem_operator.kube.store import Key
from tandem_operator.workqueue import RetryError, WorkQueue

A, B = Key("ns", "a"), Key("ns", "b")


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

    async def work(self, key: Key) -> None:
        self.running += 1
        self.begun.put_nowait(key)
        await self.end.wait()
        self.running -= 1
        if self.failures:
            self.failures -= 1
            raise RetryError("later")


@asynccontextmanager
async def working(worker: Worker, workers: int = 2) -> AsyncIterator[WorkQueue]:
    queue = WorkQueue(worker.work, workers)
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


async def test_pauses_grow_to_a_bound(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(workqueue, "LONGEST_PAUSE", 0.004)
    pauses: list[float] = []
    loop = asyncio.get_running_loop()
    call_later = loop.call_later

    def noted(delay: float, callback: object, *args: object) -> asyncio.TimerHandle:
        if callback == queue.add:
            pauses.append(delay)
        return call_later(delay, callback, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_later", noted)
    worker = Worker()
    worker.failures = 5
    worker.end.set()
    async with working(worker) as queue:
        queue.add(A)
        for _ in range(6):
            await worker.begun.get()
    assert pauses == [0.001, 0.002, 0.004, 0.004, 0.004]
    assert "failed 5 times" in caplog.text
