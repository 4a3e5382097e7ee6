"""A task that changes while it is asked: no restart, and no request that fails."""

import asyncio
from collections import Counter

import pytest
from tandem_orchestrator.config import ConfigError

from tests.sockets.running import until
from tests.sockets.tasks.conftest import FITS, GIVEN, PATH, TICKET, says, with_tasks

SECOND = {**TICKET, "version": "2", "prompt": "Second: {{ message }}"}


class Load:
    """Asks all the time, and counts what versions answer."""

    def __init__(self, orchestrator):
        self._orchestrator = orchestrator
        self.versions: Counter[str] = Counter()
        self.failures = []
        self._tasks = [asyncio.create_task(self._ask(n % 2)) for n in range(4)]

    async def _ask(self, bare):
        while True:
            path, body = ("/analyze", GIVEN) if bare else (PATH, {"input": GIVEN})
            async with self._orchestrator.client.post(path, json=body) as response:
                answer = await response.json()
                if response.status != 200:
                    self.failures.append(answer)
                self.versions[response.headers["x-tandem-task-version"] if bare else answer["version"]] += 1

    async def some(self, count=60):
        """Waits for answers to as many requests, of which the first were perhaps asked before."""
        self.versions.clear()
        await until(lambda: self.versions.total() >= count, 20.0)
        return dict(self.versions)

    async def end(self):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def test_a_version_gets_a_share_and_is_taken_back(serve, engine):
    engine.rule = lambda _: says(FITS)
    orchestrator = await serve(with_tasks(engine, {**TICKET, "weight": 1}))
    load = Load(orchestrator)
    assert set(await load.some()) == {"1"}
    orchestrator.app.reload(with_tasks(engine, {**TICKET, "weight": 3}, SECOND))
    await load.some(8)
    shares = await load.some(400)
    assert 50 < shares["2"] < 150, "a quarter, within 5.8 standard deviations"
    orchestrator.app.reload(with_tasks(engine, TICKET))
    await load.some(8)
    assert set(await load.some()) == {"1"}
    await load.end()
    assert load.failures == []


async def test_requests_in_flight_end_with_the_version_that_they_began_with(serve, engine):
    engine.rule = lambda _: says(FITS)
    engine.gate = asyncio.Semaphore(0)
    orchestrator = await serve(with_tasks(engine))
    asked = asyncio.create_task(post(orchestrator, PATH, input=GIVEN))
    await engine.until(lambda: engine.running == 1)
    orchestrator.app.reload(with_tasks(engine, SECOND))
    engine.gate.release()
    assert (await asked)[1]["version"] == "1"
    engine.gate = None
    assert (await post(orchestrator, PATH, input=GIVEN))[1]["version"] == "2"
    assert engine.seen[-1].body["messages"][0]["content"].startswith("Second: ")
    orchestrator.app.reload(with_tasks(engine, {**TICKET, "name": "other", "path": "/other"}))
    for path in (PATH, "/analyze"):
        assert (await post(orchestrator, path, input=GIVEN))[0] == 404
    assert (await post(orchestrator, "/other", **GIVEN)) == (200, FITS)


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"output": {"type": "objekt"}}, "tasks.0.output.type: no JSON schema"),
        (
            {"input": {"properties": {"message": {"pattern": "(?=x)"}}}},
            "tasks.0.input.properties.message.pattern: no JSON",
        ),
        (
            {"output": None, "outputClass": "absent"},
            "tasks.0.outputClass: no installed package has an entry point 'absent'",
        ),
    ],
)
async def test_a_task_that_cannot_be_used_is_refused_and_the_former_one_stays(serve, engine, wrong, problem):
    engine.rule = lambda _: says(FITS)
    orchestrator = await serve(with_tasks(engine))
    with pytest.raises(ConfigError, match=r"tasks\.0") as raised:
        orchestrator.app.reload(with_tasks(engine, {**TICKET, **wrong}))
    assert problem in raised.value.problems[0]
    assert (await post(orchestrator, PATH, input=GIVEN))[0] == 200


async def post(orchestrator, path, **body):
    async with orchestrator.client.post(path, json=body) as response:
        return response.status, await response.json()
