import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hack import cache, tools
from hack.__main__ import main
from hack.failure import Failure


def test_a_failure_is_a_message_and_no_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise Failure("the disk is full")

    monkeypatch.setattr(tools, "folders", fail)
    assert main(["tools", "helm"]) == 1
    assert capsys.readouterr().err == "error: the disk is full\n"


def test_an_interruption_says_how_to_go_on(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tools, "folders", interrupt)
    assert main(["tools", "helm"]) == 1
    assert "interrupted" in capsys.readouterr().err


def test_standard_output_has_nothing_but_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "uv"]) == 0
    assert capsys.readouterr().out == f"{cache.root()}/uv\n"


@pytest.mark.parametrize(("command", "status"), [("kubeconfig", 1), ("status", 1), ("down", 0)])
def test_without_a_cluster_every_command_says_so(capsys: pytest.CaptureFixture[str], command: str, status: int) -> None:
    assert main([command]) == status
    output = capsys.readouterr()
    assert "no cluster is up" in output.out + output.err


@pytest.mark.parametrize(("argument", "unbuffered"), [("cache", ""), ("cache", "1"), ("--help", "")])
def test_it_ends_like_any_program_when_the_reader_of_its_output_goes(
    argument: str, unbuffered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "hack", argument]
    root = Path(__file__).parents[3]
    try:
        ended = subprocess.run(command, cwd=root, stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False)
    finally:
        os.close(writer)
    assert (ended.returncode, ended.stderr) == (-signal.SIGPIPE, b"")
