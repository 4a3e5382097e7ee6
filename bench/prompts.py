"""What a task's prompt costs to write, over the same template rendered by Jinja as it comes, in one run.

    .venv/bin/python -m bench.prompts            a few seconds; prints only

A missed bound is said, and fails nothing.
"""

import sys
from collections.abc import Callable, Mapping
from timeit import timeit
from typing import Any, Final

import yaml
from jinja2 import Environment, StrictUndefined
from tandem_contract.prompt_template import compiled

from bench import report
from bench.report import Row, Series, at_most
from bench.targets import ROOT
from hack import path

TICKETS: Final = yaml.safe_load((ROOT / "examples/tasks/tickets.yaml").read_text())["tasks"]
TICKET: Final = {"customer_id": "CUST123", "message": "I was charged twice. Please refund one of the charges. " * 10}
VALUES: Final[list[Mapping[str, Any]]] = [
    TICKET,
    {"request": TICKET, "analysis": {"category": "billing", "priority": "high", "customer_sentiment": "angry"}},
]
ROUNDS: Final = 15
TIMES: Final = 10_000
BOUND: Final = 1.5


async def measure() -> list[Row]:
    """Return a row for the prompt of each sample."""
    return [_row(task["name"], task["prompt"], values) for task, values in zip(TICKETS, VALUES, strict=True)]


def _row(name: str, template: str, values: Mapping[str, Any]) -> Row:
    prompt, plain = compiled(template), Environment(undefined=StrictUndefined, autoescape=False).from_string(template)
    assert prompt.written(values) == plain.render(values)  # or they are not the same
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(_microseconds(lambda: prompt.written(values)))
        theirs.append(_microseconds(lambda: plain.render(values)))
    mine, others = Series(ours), Series(theirs)
    figures = f"{mine.median:.1f} µs, {others.median:.1f} µs"
    return at_most(f"the prompt of {name}, over Jinja's own", figures, mine.over(others), BOUND)


def _microseconds(write: Callable[[], str]) -> float:
    return timeit(write, number=TIMES) / TIMES * 1e6


if __name__ == "__main__":
    path.confine()
    sys.exit(report.printed(measure()))
