"""What responses cost: kept or not, over bare SQL, beside agentic-api, streamed beside chats, and in the background.

    .venv/bin/python -m bench.responses              about five minutes on a quiet machine; prints only
    .venv/bin/python -m bench.responses --quick      about a minute and a half
    .venv/bin/python -m bench.responses streams      only that

Servers are arranged as for `make bench`. PostgreSQL has the core of engine and load, does not wait for its disk, and
its CPU is not counted. All but the keeping itself is measured over SQLite. agentic-api asks the same engine, for
responses, as it takes them from engines. A missed bound is said, and fails nothing.
"""

import argparse
import gc
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

from bench import following, keeping, report
from bench.load import Load
from bench.measures import CLIENTS, Effort
from bench.processes import Cores
from bench.targets import keeping_running
from hack import path, progress
from tests.sockets.postgres import running_postgres

FULL: Final = Effort(rounds=5, seconds=1.5, fill=0, requests=10_000, leaving=0)
QUICK: Final = Effort(rounds=2, seconds=0.6, fill=0, requests=1_000, leaving=0)
ALL: Final = {
    measure.__name__: measure
    for measure in (keeping.keeping, keeping.conversations, following.streams, following.background)
}


async def run(effort: Effort, names: list[str]) -> list[report.Row]:
    """Start everything, measure, end everything."""
    cores = Cores.of_this_machine()
    os.sched_setaffinity(0, {cores.load})
    rows: list[report.Row] = []
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder, running_postgres() as postgres:
        async with keeping_running(Path(folder), cores, await postgres.create()) as servers:
            with progress.step("warm-up"):
                for server in (servers.sqlite, servers.postgresql):
                    for request in (keeping.KEPT, keeping.NOT_KEPT):
                        await Load(server.address, request).run(CLIENTS, seconds=effort.seconds)
            gc.freeze()
            for name in names:
                with progress.step(name):
                    rows += await ALL[name](servers, effort, cores)
    return rows


def main() -> int:
    """Print the rows."""
    parser = argparse.ArgumentParser(
        prog="python3 -m bench.responses", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few and short rounds, a tenth of the background")
    parser.add_argument("measures", nargs="*", choices=[*ALL, []], help="only these")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    return report.printed(run(QUICK if options.quick else FULL, options.measures or [*ALL]))


if __name__ == "__main__":
    path.confine()
    sys.exit(main())
