"""The watches go on, whatever ends them."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import kopf
import pytest
from kopf._cogs.aiokits.aiotoggles import ToggleSet
from kopf._cogs.structs.references import Insights, Resource
from kopf._core.reactor import orchestration, queueing
from tandem_operator import watches as module
from tandem_operator.watches import Watches


class Kopf:
    """Stands for kopf: each beginning is noted, and lasts until it is told to fail."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[int] = asyncio.Queue()
        self.beginnings = 0
        self.cancelled = 0
        self.failure: asyncio.Future[None]

    async def spawn_tasks(self, **_: Any) -> list[asyncio.Task[None]]:
        self.failure = asyncio.get_running_loop().create_future()
        tasks = [asyncio.create_task(part) for part in (self._watch(), self._fail(self.failure))]
        self.beginnings += 1
        self.begun.put_nowait(self.beginnings)
        return tasks

    async def _watch(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled += 1

    async def _fail(self, failure: asyncio.Future[None]) -> None:
        await failure


@pytest.fixture
def framework(monkeypatch: pytest.MonkeyPatch) -> Kopf:
    stands_in = Kopf()
    monkeypatch.setattr(kopf, "spawn_tasks", stands_in.spawn_tasks)
    monkeypatch.setattr(module, "_PAUSES", (0.0, 0.01))
    return stands_in


@asynccontextmanager
async def watching(capabilities: frozenset[str] = frozenset()) -> AsyncIterator[tuple[Watches, asyncio.Task[None]]]:
    memo: Any = None
    watches = Watches(memo, (), capabilities)
    task = asyncio.create_task(watches.run())
    yield watches, task
    task.cancel()
    await asyncio.wait({task})


async def begins(framework: Kopf) -> int:
    return await asyncio.wait_for(framework.begun.get(), 10)


async def test_they_begin_again_after_an_error_and_all_that_was_begun_is_ended(
    framework: Kopf, caplog: pytest.LogCaptureFixture
) -> None:
    async with watching():
        for time in (1, 2, 3, 4):
            assert await begins(framework) == time
            assert framework.cancelled == time - 1
            framework.failure.set_exception(ValueError("404"))
        assert await begins(framework) == 5
    assert framework.cancelled == 5
    assert "the watches ended, and begin anew in 0 s: ValueError: 404" in caplog.text


async def test_they_begin_again_when_other_apis_are_served(framework: Kopf) -> None:
    async with watching(frozenset({"a"})) as (watches, _):
        await begins(framework)
        watches.cover(frozenset({"a"}))
        await asyncio.sleep(0)
        assert framework.begun.empty()
        watches.cover(frozenset())
        assert await begins(framework) == 2
        watches.begin_anew()
        assert await begins(framework) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_them_in_time_and_between_two_beginnings(
    framework: Kopf, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching() as (_, task):
        await begins(framework)
        os.kill(os.getpid(), number)
        await asyncio.wait_for(task, 10)
    monkeypatch.setattr(module, "_PAUSES", (3600.0,))
    async with watching() as (_, task):
        await begins(framework)
        framework.failure.set_exception(ValueError("404"))
        while framework.cancelled < 2:  # noqa: ASYNC110 # a pause begins, of which nothing tells
            await asyncio.sleep(0)
        os.kill(os.getpid(), number)
        await asyncio.wait_for(task, 10)
    assert framework.beginnings == 2


async def test_watchers_that_kopf_leaves_behind_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own orchestrator ends where one of them fails, and leaves the others."""
    begun, failure, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def watch(*, resource: Resource, **_: Any) -> None:
        if resource.plural == "gone":
            await failure.wait()
            raise ValueError("404")
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def spawn_tasks(*, settings: Any, **_: Any) -> list[asyncio.Task[None]]:
        insights, nothing = Insights(), ToggleSet(any)
        insights.namespaces.add(None)
        insights.watched_resources.update(Resource("", "v1", plural) for plural in ("gone", "pods"))
        parts: dict[str, Any] = {"processor": watch, "identity": "", "operator_paused": nothing}
        task = asyncio.create_task(orchestration.orchestrator(settings=settings, insights=insights, **parts))
        await asyncio.sleep(0)
        async with insights.revised:
            insights.revised.notify_all()
        return [task]

    monkeypatch.setattr(queueing, "watcher", watch)
    monkeypatch.setattr(kopf, "spawn_tasks", spawn_tasks)
    monkeypatch.setattr(module, "_PAUSES", (3600.0,))
    async with watching():
        await asyncio.wait_for(begun.wait(), 10)
        failure.set()
        await asyncio.wait_for(ended.wait(), 10)
