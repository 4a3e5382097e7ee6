"""What Anthropic's Messages cost over chats, whole and streamed, in one run in front of one engine.

    .venv/bin/python -m bench.messages              about a minute on a quiet machine; prints only
    .venv/bin/python -m bench.messages --quick      a quarter of that

Servers are arranged as for `make bench`. A missed bound is said, and fails nothing.
"""

import gc
import os
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import orjson

from bench import command
from bench.load import Load, message, post
from bench.measures import CLIENTS, LONG_SCRIPT, LONG_STREAM, STREAMS, Effort, cpu_of_a_token, with_cpu
from bench.processes import Cores, Process
from bench.report import Row, Series, at_most
from bench.targets import ROOT, Servers
from hack import path, progress

FULL: Final = Effort(rounds=7, seconds=1.5, fill=0, requests=0, leaving=0)
QUICK: Final = Effort(rounds=2, seconds=0.8, fill=0, requests=0, leaving=0)
BOUND: Final = 1.5
WHOLE: Final = "whole: CPU a request"
STREAMED: Final = "streamed, 16 tokens: CPU a request"
TOKEN: Final = f"{STREAMS} streams: CPU a token"
LONG_MESSAGE: Final = message(orjson.dumps({"double": LONG_SCRIPT}).decode(), stream=True)
LOADS: Final = {
    WHOLE: ((post(), b"64 bytes"), (message(), b"64 bytes")),
    STREAMED: ((post(stream=True), b"[DONE]"), (message(stream=True), b"message_stop")),
}
"""What is measured -> requests of a chat and of a message, each with what its answer ends with."""


async def measure(effort: Effort) -> list[Row]:
    """Start everything, measure, end everything."""
    cores = Cores.of_this_machine()
    os.sched_setaffinity(0, {cores.load})
    found: dict[str, tuple[list[float], list[float]]] = {what: ([], []) for what in (*LOADS, TOKEN)}
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        async with AsyncExitStack() as stack:
            servers = Servers(Path(folder), cores, stack)
            await servers.engine()
            server = await servers.tandem("tandem", ROOT)
            with progress.step("warm-up"):
                for pair in LOADS.values():
                    for request, ending in pair:
                        await Load(server.address, request, ending).run(CLIENTS, seconds=effort.seconds)
            gc.freeze()
            for _ in range(effort.rounds):
                await _round(server, effort, found)
    return [_row(what, Series(chats), Series(messages)) for what, (chats, messages) in found.items()]


async def _round(server: Process, effort: Effort, found: dict[str, tuple[list[float], list[float]]]) -> None:
    for what, pair in LOADS.items():
        for figures, (request, ending) in zip(found[what], pair, strict=True):
            load = Load(server.address, request, ending).run(CLIENTS, seconds=effort.seconds)
            outcome, seconds = await with_cpu(server, load)
            figures.append(seconds / outcome.requests * 1e6)
    for figures, request in zip(found[TOKEN], (LONG_STREAM, LONG_MESSAGE), strict=True):
        figures.append(await cpu_of_a_token(server, effort.seconds, request) * 1e6)


def _row(what: str, chats: Series, messages: Series) -> Row:
    figures = f"{messages.median:.1f} µs, a chat {chats.median:.1f} µs"
    return at_most(f"a message, {what}, over a chat's", figures, messages.over(chats), BOUND)


def main() -> int:
    """Print the rows."""
    return command.printed("bench.messages", __doc__, lambda quick: measure(QUICK if quick else FULL))


if __name__ == "__main__":
    path.confine()
    sys.exit(main())
