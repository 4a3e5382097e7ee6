"""What a task costs over the chat that it makes, alone and as one of many inputs, in one run in front of one engine.

    .venv/bin/python -m bench.tasks              half a minute on a quiet machine; prints only
    .venv/bin/python -m bench.tasks --quick      a quarter of that

Servers are arranged as for `make bench`. A missed bound is said, and fails nothing.
"""

import gc
import os
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import yaml

from bench import command
from bench.load import Load, post, to_task
from bench.measures import CLIENTS, Effort, with_cpu
from bench.processes import ROOT, Cores, Process
from bench.report import Row, Series, at_most
from bench.targets import Servers
from hack import path, progress

FULL: Final = Effort(rounds=7, seconds=1.5, fill=0, requests=0, leaving=0)
QUICK: Final = Effort(rounds=2, seconds=0.8, fill=0, requests=0, leaving=0)
TASKS: Final[dict[str, Any]] = yaml.safe_load((ROOT / "examples/tasks/tickets.yaml").read_text())
TASK: Final = TASKS["tasks"][0]
TICKET: Final = {
    "customer_id": "CUST123",
    "message": "I was charged twice for my subscription this month. Please refund one of the charges. " * 5,
}
PROMPT: Final = TASK["prompt"].replace("{{ customer_id }}", "CUST123").replace("{{ message }}", TICKET["message"])
SCHEMA: Final = {"name": TASK["name"], "schema": TASK["output"], "strict": True}
AT_ONCE: Final = 100
BOUND: Final = 2.0
CHAT, ONE, SHORT, MANY = "the chat", "a task", "a task at its own path", f"an input among {AT_ONCE}"
WHERE: Final = f"/v1/tasks/{TASK['name']}"
LOADS: Final = {
    CHAT: (
        post(
            messages=[{"role": "user", "content": PROMPT}],
            response_format={"type": "json_schema", "json_schema": SCHEMA},
            **TASK["parameters"],
        ),
        b"completion_tokens",
        1,
    ),
    ONE: (to_task(WHERE, {"input": TICKET}), b"total_tokens", 1),
    SHORT: (to_task(TASK["path"], TICKET), b"requires_human", 1),
    MANY: (to_task(WHERE, {"inputs": [TICKET] * AT_ONCE}), b"total_tokens", AT_ONCE),
}
"""What is measured -> its request, what its answer holds, and how many inputs it has."""


async def measure(effort: Effort) -> list[Row]:
    """Start everything, measure, end everything."""
    cores = Cores.of_this_machine()
    os.sched_setaffinity(0, {cores.load})
    found: dict[str, list[float]] = {what: [] for what in LOADS}
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        async with AsyncExitStack() as stack:
            servers = Servers(Path(folder), cores, stack)
            await servers.engine()
            server = await servers.tandem("tandem", ROOT, **TASKS)
            with progress.step("warm-up"):
                for request, ending, _ in LOADS.values():
                    await Load(server.address, request, ending).run(CLIENTS, seconds=effort.seconds)
            gc.freeze()
            for _ in range(effort.rounds):
                await _round(server, effort, found)
    series = {what: Series(figures) for what, figures in found.items()}
    return [_row(what, series[what], series[CHAT]) for what in (ONE, SHORT, MANY)]


async def _round(server: Process, effort: Effort, found: dict[str, list[float]]) -> None:
    for what, (request, ending, inputs) in LOADS.items():
        load = Load(server.address, request, ending).run(CLIENTS, seconds=effort.seconds)
        outcome, seconds = await with_cpu(server, load)
        found[what].append(seconds / outcome.requests / inputs * 1e6)


def _row(what: str, task: Series, chat: Series) -> Row:
    figures = f"{task.median:.1f} µs, {CHAT} {chat.median:.1f} µs"
    return at_most(f"{what}: CPU, over that of {CHAT}", figures, task.over(chat), BOUND)


def main() -> int:
    """Print the rows."""
    return command.printed("bench.tasks", __doc__, lambda quick: measure(QUICK if quick else FULL))


if __name__ == "__main__":
    path.confine()
    sys.exit(main())
