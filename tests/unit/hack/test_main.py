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
