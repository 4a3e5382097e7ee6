"""What hand-written machinery saves, each beside the library or the plain way that would do in its place.

    .venv/bin/python -m bench.machinery        under a minute; prints only

`make bench` has the same rows. What is no longer below its bound goes.
"""

import asyncio
import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import orjson
import uvloop

from bench import report
from bench.load import Failed, Load, post
from bench.measures import CLIENTS, MEGABYTE, Effort, cpu_of_a_request
from bench.pieces import WORKERS
from bench.processes import ROOT, Cores, Process
from bench.report import Row, Series, at_most
from bench.targets import Machinery, compiled, machinery_running
from hack import path
from hack.failure import Failure
from tests.sockets.redis_server import RedisServer

FULL: Final = Effort(rounds=5, seconds=1.0, fill=0, requests=0, leaving=0)
QUICK: Final = Effort(rounds=2, seconds=0.5, fill=0, requests=0, leaving=0)

Found = dict[str, Series]


async def measure(cores: Cores, effort: Effort) -> list[Row]:
    """Start what is compared, measure it in turns, end it."""
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder, ExitStack() as stack:
        redis = RedisServer(Path(folder))
        stack.callback(redis.stop)
        redis.start()
        async with machinery_running(Path(folder), cores) as servers:
            for server in servers.compared:
                await Load(server.address, post()).run(CLIENTS, seconds=effort.seconds)
            rows = of_pieces(
                await _pieces(cores, "engine", servers.engine.address.port),
                await _pieces(cores, "metrics"),
                await _pieces(cores, "metrics", folder=Path(folder)),
                await _pieces(cores, "limits", redis.port),
            )
            return [*rows, *await _of_servers(servers, effort)]


async def _pieces(cores: Cores, name: str, *ports: int, folder: Path | None = None) -> Found:
    """Measure pieces in a process of their own; with a folder, as several workers keep their metrics in it."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": compiled(ROOT)}
    if folder is not None:
        environment["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    command = ["taskset", "--cpu-list", str(cores.target), sys.executable, "-m", "bench.pieces", name, *map(str, ports)]
    process = await asyncio.create_subprocess_exec(*command, env=environment, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise Failed(f"bench.pieces {name} failed")
    return {variant: Series(figures) for variant, figures in orjson.loads(output).items()}


def of_pieces(engine: Found, metrics: Found, in_files: Found, limits: Found) -> list[Row]:
    """Return a row for each piece."""
    return [
        _row("requests to engines: our pool's CPU, over aiohttp's", engine["ours"], engine["aiohttp"], 0.5, "aiohttp"),
        _row("metrics of a request: CPU, over prometheus_client's", *_counting(metrics, 0.95)),
        _row(f"metrics of a request, {WORKERS} workers: CPU, over prometheus_client's", *_counting(in_files, 0.8)),
        _row(
            f"limits of a request, shared by {WORKERS} workers in memory: CPU, over asking Redis",
            limits["shared"],
            limits["redis"],
            0.1,
            f"of one process alone {limits['own'].median:.1f} µs, asking Redis",
        ),
    ]


def _counting(found: Found, bound: float) -> tuple[Series, Series, float, str]:
    name = f"its own with `labels()` each time {found['asked'].median:.1f} µs, with children kept"
    return found["ours"], found["kept"], bound, name


async def _of_servers(servers: Machinery, effort: Effort) -> list[Row]:
    cpu: dict[Process, list[float]] = {server: [] for server in servers.compared}
    rate: dict[Process, list[float]] = {server: [] for server in servers.compared}
    for _ in range(effort.rounds):
        for server in servers.compared:
            spent, per_second = await cpu_of_a_request(server, effort)
            cpu[server].append(spent)
            rate[server].append(per_second)
    bare, uvicorn, compiled, plain = (
        Series(cpu[server]) for server in (servers.ours, servers.uvicorn, servers.compiled, servers.plain)
    )
    several, one = Series(rate[servers.workers]), Series(rate[servers.compiled])
    together, alone = (server.own_bytes() / MEGABYTE for server in (servers.workers, servers.compiled))
    return [
        _row("requests of clients: our protocol's CPU, over uvicorn's", bare, uvicorn, 0.85, "uvicorn"),
        _row("a request, compiled: CPU, over plain Python's", compiled, plain, 0.9, "plain"),
        Row(
            f"throughput of {WORKERS} workers on all cores, which engine and load have too, over one's",
            f"{several.median:.0f}/s, one {one.median:.0f}/s",
            str(several.over(one)),
        ),
        Row(
            f"memory of {WORKERS} workers, over {WORKERS} servers of one",
            f"{together:.0f} MB, {WORKERS} of one {WORKERS * alone:.0f} MB",
            f"{together / (WORKERS * alone):.2f}",
        ),
    ]


def _row(what: str, ours: Series, theirs: Series, bound: float, name: str) -> Row:
    return at_most(what, f"{ours.median:.1f} µs, {name} {theirs.median:.1f} µs", ours.over(theirs), bound)


def main() -> int:
    """Print the rows; 1 where one is beyond its bound."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        cores = Cores.of_this_machine()
        os.sched_setaffinity(0, {cores.load})
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            rows = runner.run(measure(cores, FULL))
    except (Failed, Failure) as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 2
    print("\n".join([report.HEADER, *map(str, rows)]))
    return 1 if any(row.passed is False for row in rows) else 0


if __name__ == "__main__":
    path.confine()
    sys.exit(main())
