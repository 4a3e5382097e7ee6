"""The list of modules that images have as machine code: what it names is there, and what a chat enters is in it."""

import tomllib
from pathlib import Path

import pytest

from bench.reach import chats
from tests.sockets.running import COMPILED

PROJECT = Path(__file__).parents[2] / "orchestrator"
LEFT_OUT = {
    "tandem_orchestrator/engines/catalogue.py": "one call, which looks a name up",
    "tandem_orchestrator/engines/estimate.py": "a call for a stream, which adds up",
    "tandem_orchestrator/gateway/generate.py": "four calls, which hand on to what is compiled",
    "tandem_orchestrator/gateway/tool_use.py": "one call, where no tools are served",
    "tandem_orchestrator/observability/logs.py": "one call, which compares two numbers",
    "tandem_orchestrator/observability/prometheus.py": "its classes derive from prometheus_client's",
}
"""What a chat enters and stays Python, and why."""


def listed() -> list[str]:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    return settings["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["mypyc"]["include"]


def test_each_module_of_the_list_exists() -> None:
    assert [name for name in listed() if not (PROJECT / name).is_file()] == []
    assert len(set(listed())) == len(listed())


@pytest.mark.skipif(COMPILED, reason="what is compiled is entered unseen")
async def test_what_a_chat_enters_is_compiled_or_named_here(tmp_path: Path) -> None:
    entered = set().union(*(way.calls for way in (await chats(str(tmp_path))).values()))
    assert entered - set(listed()) == set(LEFT_OUT)
    assert not set(LEFT_OUT) & set(listed())
