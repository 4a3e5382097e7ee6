"""A chat's way through the code stays short, and what it enters is compiled."""

import tomllib
from pathlib import Path

import pytest

from bench import reach
from tests.sockets.running import COMPILED

PROJECT = Path(__file__).parents[2]
PACKAGE = "tandem_orchestrator"
PLAIN = {
    f"{PACKAGE}/engines/estimate.py": "once a stream whose usage is not told, and then most of it is orjson",
    f"{PACKAGE}/gateway/tool_use.py": "one look a request, unless tools take part",
    f"{PACKAGE}/observability/logs.py": "one line a request, which orjson writes",
    f"{PACKAGE}/observability/prometheus.py": "prometheus_client's classes stand above its own",
}
"""Modules that a chat enters and that stay Python, and why."""


def listed() -> list[str]:
    settings = tomllib.loads((PROJECT / "orchestrator/pyproject.toml").read_text())
    names: list[str] = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["mypyc"]["include"]
    return names


@pytest.fixture(scope="module")
def ways(tmp_path_factory):
    if COMPILED:
        pytest.skip("compiled functions cannot be counted")
    return reach.ways(str(tmp_path_factory.mktemp("reach")))


def test_a_chat_goes_through_few_files_and_calls(ways):
    way = ways["a blocking chat"]
    assert len(way.calls) <= 25, way
    assert way.calls.total() <= 144, way


def test_an_llmservice_is_read_built_and_checked_in_few_files(ways):
    way = ways["an LLMService, read, built and checked"]
    assert len(way.calls) <= 34, way  # volumes, adapters, caches of models and what releases lack among them


def test_what_a_chat_enters_is_compiled(ways):
    entered = {file for name, way in ways.items() if "chat" in name for file in way.calls if file.startswith(PACKAGE)}
    assert entered - set(listed()) == PLAIN.keys()
    assert not PLAIN.keys() & listed()


def test_each_compiled_module_is_there():
    assert [file for file in listed() if not (PROJECT / "orchestrator" / file).is_file()] == []
    assert len(set(listed())) == len(listed())
