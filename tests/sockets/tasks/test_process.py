"""A real process whose tasks are in a file: a change counts without a restart, and a mistake changes nothing."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.sockets.process import Process, serving
from tests.sockets.running import until_awaited
from tests.sockets.tasks.conftest import FITS, GIVEN, PATH, TICKET, says

SECOND = {**TICKET, "version": "2", "prompt": "Second: {{ message }}"}
BROKEN = {**SECOND, "prompt": "Third: {{ subject }}"}


class TasksFile:
    """Replaced in one step, as a mounted ConfigMap is: nobody reads half of it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "tickets.yaml"

    def write(self, content: list[Any] | str) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(content if isinstance(content, str) else yaml.safe_dump({"tasks": content}))
        new.replace(self.path)


@pytest.fixture
def file(tmp_path):
    return TasksFile(tmp_path)


@pytest.fixture
def config(tmp_path, engine, file):
    path = tmp_path / "config.yaml"
    upstream = {"name": "engine", "url": engine.url, "model": "double"}
    path.write_text(yaml.safe_dump({"upstreams": [upstream], "tasksFrom": [{"file": str(file.path)}]}))
    return str(path)


async def versions(running: Process, times: int = 12) -> Counter[str]:
    """How many of some requests each version answers: all are answered."""
    found: Counter[str] = Counter()
    for _ in range(times):
        async with running.client.post(PATH, json={"input": GIVEN}) as response:
            document = await response.json()
            assert (response.status, document["output"]) == (200, FITS), document
            found[document["version"]] += 1
    return found


async def until_told(running: Process, problem: str) -> None:
    """Waits until /health tells of a problem, or of none at all."""

    async def problems() -> str:
        async with running.client.get("/health") as response:
            return "".join((await response.json()).get("problems", []))

    await until_awaited(problems, lambda found: problem in found if problem else not found, 20.0)


async def test_tasks_change_are_refused_and_are_rolled_back(engine, file, config):
    engine.rule = lambda _: says(FITS)
    file.write([TICKET])
    async with serving("--config", config) as running:
        assert set(await versions(running)) == {"1"}

        file.write([{**TICKET, "weight": 0}, SECOND])
        await until_awaited(lambda: versions(running, 1), lambda found: found["2"], 20.0)
        assert set(await versions(running)) == {"2"}
        assert engine.seen[-1].body["messages"][0]["content"].startswith("Second: ")

        for wrong, problem in (
            ([TICKET, BROKEN], "tasks.1.prompt: the input has no property 'subject'"),
            ("tasks: [", "not YAML (line "),
        ):
            file.write(wrong)
            await until_told(running, f"{file.path}: {problem}")
            assert set(await versions(running)) == {"2"}
            assert (await running.metrics())["tandem_config_reload_success"] == 0

        file.write([TICKET])
        await until_told(running, "")
        assert set(await versions(running)) == {"1"}
        running.terminate()
        code, lines = await running.ended()
    assert code == 0
    told = [str(line["problem"]) for line in lines if str(line["event"]).startswith("configuration refused")]
    assert [problem.partition(": ")[0] for problem in told] == [str(file.path)] * 2
