"""Run other programs."""

import os
import shlex
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from hack.failure import Failure


def run(
    argv: Iterable[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    text: str | None = None,
) -> str:
    """Run a program to its end and return its standard output. `env` is added to this process's environment,
    `text` is its standard input.

    Raises Failure with the command and the last lines of its output where it does not end with 0.
    """
    command = [str(part) for part in argv]
    try:
        result = subprocess.run(
            command,
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise Failure(
            f"{command[0]} is not installed, or not declared in hack/path.py or hack/tools: {error}"
        ) from error
    if result.returncode != 0:
        output = tail(result.stdout + result.stderr)
        raise Failure(f"this command ended with {result.returncode}:\n  {shlex.join(command)}\n{output}")
    return result.stdout


def tail(text: str, lines: int = 25) -> str:
    """Return the last lines of a program's output, indented."""
    return "\n".join(f"  | {line}" for line in text.strip().splitlines()[-lines:])
