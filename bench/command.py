"""What benchmarks of one table have for a command line."""

import argparse
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from bench import report
from bench.report import Row

Measure = Callable[[bool], Coroutine[Any, Any, list[Row]]]
"""Measures, in few and short rounds where it is told true."""


def printed(module: str, about: str | None, measure: Measure) -> int:
    """Read the command line of `python3 -m MODULE`, print the rows, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog=f"python3 -m {module}", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few and short rounds")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    return report.printed(measure(options.quick))
