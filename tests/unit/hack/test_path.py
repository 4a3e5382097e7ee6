import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hack import path, tools
from hack.command import run
from hack.failure import Failure
from hack.tools import debian
from tests import conftest

PROJECT = Path(__file__).parents[3]
TARGETS = ("test-fast", "test-python", "test-compiled", "test-integration")
ASKS = re.compile(r'\btools\.(?:executable|ensure)\(["\']([\w-]+)["\']\)')


@pytest.fixture
def undeclared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A program that this machine has by chance."""
    program = tmp_path / "bin" / "by-chance"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    run([program.name])
    return program.name


def test_an_undeclared_program_is_not_found(undeclared: str) -> None:
    path.confine()
    with pytest.raises(Failure, match=f"{undeclared} is not installed, or not declared in hack/path.py"):
        run([undeclared])


def test_confined_twice_is_confined_once(undeclared: str) -> None:
    path.confine()
    once = os.environ["PATH"]
    path.confine()
    assert os.environ["PATH"] == once
    assert run(["sh", "-c", "echo it | sed s/it/works/; make --version > /dev/null"]) == "works\n"
    assert run(["python3", "-c", "import sys; print(sys.version_info[:2])"]) == f"{sys.version_info[:2]}\n"


@pytest.mark.parametrize(
    "command", ["python3 -m hack path", "make --silent --eval='path: ; @echo $$PATH' path"], ids=["hack", "make"]
)
def test_commands_and_targets_are_confined(undeclared: str, command: str) -> None:
    found = run(shlex.split(command), cwd=PROJECT).strip()
    assert shutil.which("sed", path=found)
    assert not shutil.which(undeclared, path=found)


def test_scripts_are_confined() -> None:
    scripts = [file for file in (PROJECT / "hack").rglob("*") if file.is_file() and is_script(file)]
    assert {"generate", "lock", "venv", "verify"} <= {script.name for script in scripts}
    for script in scripts:
        assert re.search(r"^PATH=.*\$\(python3 -m hack path\)$", script.read_text(), re.MULTILINE), script


def is_script(file: Path) -> bool:
    with file.open("rb") as content:
        return content.read(2) == b"#!"


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_gets_what_its_tests_ask_for_before_they_run(target: str) -> None:
    recipe = run(["make", "--dry-run", target], cwd=PROJECT)
    got = {name for names in re.findall(r"hack tools (.*) >", recipe) for name in names.split()}
    folders = re.findall(r"\btests/\w+", recipe)
    asked = {name for folder in folders for file in (PROJECT / folder).rglob("*.py") for name in asked_in(file)}
    assert folders
    assert asked <= got
    assert got <= {*tools.SOURCES, *debian.PACKAGES}


def asked_in(file: Path) -> list[str]:
    return [] if file.name == "test_tools.py" else ASKS.findall(file.read_text())


def test_tests_are_confined() -> None:
    (folder,) = os.environ["PATH"].split(os.pathsep)
    assert {each.name for each in Path(folder).iterdir()} <= {*path.ESSENTIAL, *path.PREREQUISITES, "python3"}


def test_a_program_that_a_test_does_not_find_is_said_to_be_undeclared() -> None:
    def start() -> None:
        subprocess.run(["by-chance"], check=True)

    call = pytest.CallInfo.from_call(start, "call")
    conftest.pytest_runtest_makereport(call)
    assert call.excinfo
    assert "by-chance is not a program that this project declares" in call.excinfo.value.__notes__[0]
