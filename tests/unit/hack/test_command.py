from pathlib import Path

import pytest

from hack.command import run, tail
from hack.failure import Failure


def test_run_returns_the_output_and_takes_input_and_environment(tmp_path: Path) -> None:
    assert run(["sh", "-c", "cat; echo $ANSWER; pwd"], text="in ", env={"ANSWER": "42"}, cwd=tmp_path) == (
        f"in 42\n{tmp_path}\n"
    )


def test_a_failure_shows_the_command_and_the_end_of_its_output() -> None:
    with pytest.raises(Failure, match=r"ended with 3:\n  sh -c 'seq 100 >&2; exit 3'\n(.*\n)+  \| 100$") as caught:
        run(["sh", "-c", "seq 100 >&2; exit 3"])
    assert "| 75" not in str(caught.value)


def test_a_program_that_is_missing_is_named() -> None:
    with pytest.raises(Failure, match="no-such-program is not installed"):
        run(["no-such-program"])


def test_tail_keeps_the_last_lines() -> None:
    assert tail("a\nb\nc\n", lines=2) == "  | b\n  | c"
