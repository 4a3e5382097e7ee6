import re

import pytest

from hack import progress


def test_a_step_says_when_it_begins_and_how_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.step("thing") as step:
        step.result = "built"
    first, last = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\[ +\d+\.\ds\] thing …", first)
    assert re.fullmatch(r"\[ +\d+\.\ds\] thing … built \(0\.\d s\)", last)


def test_a_step_that_fails_says_so_and_hides_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="reason"), progress.step("thing"):
        raise ValueError("reason")
    assert "thing … FAILED" in capsys.readouterr().err


def test_a_long_step_shows_that_it_lives(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "BEAT_SECONDS", 0.01)
    with progress.step("thing") as step:
        step.detail = "half way"
        beats = ""
        while "thing … half way (0 s)" not in beats:
            beats += capsys.readouterr().err
