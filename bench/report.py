"""What was measured, next to its bound."""

import asyncio
import os
import platform
import statistics
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import uvloop

from bench.load import Failed
from bench.processes import Cores
from hack.failure import Failure

PACKAGES: Final = ("uvicorn", "uvloop", "httptools", "orjson", "fastapi", "httpx")
HEADER: Final = (
    "| what | figures | ratio: median (least-most of the rounds) | bound | |\n| --- | --- | --- | --- | --- |"
)


@dataclass(frozen=True)
class Series:
    """One figure, measured in each round."""

    values: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def over(self, other: "Series") -> "Series":
        """Return ratios of the same round, so that what slows a whole round down cancels out."""
        return Series([mine / theirs for mine, theirs in zip(self.values, other.values, strict=True)])

    def minus(self, other: "Series") -> "Series":
        return Series([mine - theirs for mine, theirs in zip(self.values, other.values, strict=True)])

    def __str__(self) -> str:
        return f"{self.median:.2f} ({min(self.values):.2f}-{max(self.values):.2f})"


@dataclass(frozen=True)
class Row:
    """A line of the table. `bound` is told as people read it; `passed` is None where there is none."""

    what: str
    figures: str
    ratio: str = ""
    bound: str = ""
    passed: bool | None = None

    def __str__(self) -> str:
        return self.line()

    def line(self, failed: str = "FAIL") -> str:
        """Return it, with `failed` where the bound does not hold."""
        verdict = {True: "pass", False: failed, None: ""}[self.passed]
        return f"| {self.what} | {self.figures} | {self.ratio} | {self.bound} | {verdict} |"


def at_most(what: str, figures: str, ratio: Series, bound: float) -> Row:
    return Row(what, figures, str(ratio), f"at most {bound:g}", ratio.median <= bound)


def at_least(what: str, figures: str, ratio: Series, bound: float) -> Row:
    return Row(what, figures, str(ratio), f"at least {bound:g}", ratio.median >= bound)


def printed(measure: Coroutine[Any, Any, Sequence[Row]]) -> int:
    """Run a measurement and print its rows, in which a missed bound is said; return the process's exit code."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            rows = runner.run(measure)
    except (Failed, Failure) as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print("\n".join([HEADER, *(row.line("missed") for row in rows)]))
    return 0


def document(rows: Sequence[Row], cores: Cores, arrangement: str, nginx: str, seconds: float) -> str:
    """Return RESULTS.md. `nginx` is its version."""
    table = "\n".join([HEADER, *map(str, rows)])
    return f"""# How fast the orchestrator is

Written by `{" ".join(["python3 -m bench", *sys.argv[1:]])}` (`make bench`) on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, \
in {seconds:.0f} s.

{table}

## Where
- {_processor()}, {os.cpu_count()} cores, load average before {os.getloadavg()[2]:.1f}; {platform.platform()}
- Python {platform.python_version()}, {", ".join(f"{name} {version(name)}" for name in PACKAGES)}; {nginx}
- Core {cores.target}: the server under measurement; core {cores.engine}: the engine; core {cores.load}: the load

## How
{arrangement}
"""


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
