"""`tandem-operator fetch` as a process of its own, as a Job runs it."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub_double import Commit, HubDouble

COMMAND = [sys.executable, "-c", "from tandem_operator.cli import main; raise SystemExit(main())"]
REPOSITORY = "org/model"
SOURCE = f"hf://{REPOSITORY}"
SHARD = "model-00001-of-00002.safetensors"
OTHER_SHARD = "model-00002-of-00002.safetensors"
_URL = re.compile(r"progress on port (\d+)")


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What `condition` returns once it is true, waited for at most `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)
    return found


class Fetch:
    """One run; its files tell what it said."""

    def __init__(self, folder: Path, number: int, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        self._out, self._errors, self._ending = (folder / f"{name}-{number}" for name in ("out", "errors", "ending"))
        self._ending.touch()
        with self._out.open("wb") as out, self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*COMMAND, *arguments],
                stdout=out,
                stderr=errors,
                env={**environment, "TERMINATION_LOG": str(self._ending)},
            )

    @property
    def log(self) -> str:
        return self._errors.read_text()

    @property
    def said(self) -> str:
        """All that anybody may read."""
        return f"{self.log}{self._out.read_text()}{self._ending.read_text()}"

    def progress(self) -> dict[str, Any]:
        port = until(lambda: _URL.search(self.log))[1]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/progress", timeout=10) as answer:
            return json.load(answer)

    def ended(self) -> tuple[int, dict[str, Any]]:
        """The exit code and the termination message, which is the last line too."""
        code = self.process.wait(20)
        line = self._out.read_text().splitlines()[-1]
        assert self._ending.read_text() == line
        assert len(line.encode()) <= 4096
        return code, json.loads(line)


@pytest.fixture
def hub() -> Iterator[HubDouble]:
    with HubDouble() as double:
        yield double


@pytest.fixture
def files() -> dict[str, bytes]:
    """A small model, with some that no engine loads."""
    return {
        ".gitattributes": b"*.safetensors filter=lfs",
        "README.md": b"# A model",
        "config.json": b'{"architectures": ["Double"]}',
        "model.safetensors.index.json": b"{}",
        SHARD: os.urandom(2_000_000),
        OTHER_SHARD: os.urandom(1_000_000),
        "model.gguf": os.urandom(100_000),
        "modeling_double.py": b"raise SystemExit",
        "tokenizer.json": os.urandom(80_000),
    }


@pytest.fixture
def commit(hub: HubDouble, files: dict[str, bytes]) -> Commit:
    pushed = Commit(files)
    hub.push(REPOSITORY, pushed)
    return pushed


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


@pytest.fixture
def fetch(hub: HubDouble, store: Path, tmp_path: Path) -> Iterator[Callable[..., Fetch]]:
    """Starts a run with further arguments, and variables."""
    running: list[Fetch] = []

    def start(*arguments: str, source: str = SOURCE, **variables: str) -> Fetch:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        home = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), **variables}
        whole = ("fetch", source, "--store", str(store), "--progress-port", "0", *arguments)
        running.append(Fetch(tmp_path, len(running), whole, {**kept, **home}))
        return running[-1]

    yield start
    for run in running:
        run.process.kill()
        run.process.wait()
