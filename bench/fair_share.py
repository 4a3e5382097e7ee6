"""What one tenant's flood costs another, with turns and without; and what turns cost where nobody queues.

    python3 -m bench.fair_share           about three minutes; prints
    python3 -m bench.fair_share --quick   about one

The engine ([busy_engine.py](busy_engine.py)) runs 32 requests together, of which each makes a step 1 % slower. One
tenant sends a request of 64 tokens each second: alone, and then beside 500 of another tenant's, of 32 to 128 tokens,
which come all at once. Once everybody's requests go to the engine as they come (`routing.fairShare: false`), and once
tenants take turns. What a request costs is measured before an engine that answers at once ([engine.py](engine.py)).
"""

import argparse
import asyncio
import math
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from bench import report
from bench.engine import MODEL
from bench.load import KEY, Failed, Load
from bench.measures import CLIENTS, FULL, PLAIN, QUICK, Effort, cpu_of_a_request
from bench.processes import ROOT, Cores, Process, free_port, running, until_ready
from bench.report import Row, Series, at_most
from bench.targets import compiled
from hack import path, progress

FLOOD: Final = "flood-key-of-no-use-elsewhere"
REQUESTS: Final = 500
TOKENS: Final = 64
LEAST_TOKENS: Final = 32
MOST_TOKENS: Final = 128
GROWTH: Final = 0.01
EVERY_SECONDS: Final = 1.0
MOST_SLOWER: Final = 2.0
MOST_CPU: Final = 1.03


@dataclass(frozen=True)
class Servers:
    """Orchestrators with turns and without, in front of a busy engine and of one that answers at once."""

    fair: Process
    unfair: Process
    quick_fair: Process
    quick_unfair: Process


class Client:
    """A tenant."""

    def __init__(self, server: Process, key: str, session: aiohttp.ClientSession) -> None:
        self._url = f"http://{server.address.host}:{server.address.port}/v1/chat/completions"
        self._headers = {"authorization": f"Bearer {key}"}
        self._session = session

    async def ask(self, tokens: int) -> float:
        """Return seconds until the answer is there."""
        body = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": tokens}
        began = time.perf_counter()
        async with self._session.post(self._url, json=body, headers=self._headers) as response:
            answer = await response.text()
            if response.status != 200:
                raise Failed(f"a request was answered {response.status}: {answer}")
        return time.perf_counter() - began

    async def steadily(self, seconds: float) -> list[float]:
        """Ask again and again; return how long each answer took."""
        asking = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            asking.append(asyncio.create_task(self.ask(TOKENS)))
            await asyncio.sleep(EVERY_SECONDS)
        return await asyncio.gather(*asking)


async def beside_a_flood(server: Process, session: aiohttp.ClientSession, seconds: float) -> list[float]:
    """Return the times of the one while the other floods."""
    chance, flood = random.Random(1), Client(server, FLOOD, session)
    tasks = [asyncio.create_task(flood.ask(chance.randint(LEAST_TOKENS, MOST_TOKENS))) for _ in range(REQUESTS)]
    try:
        await asyncio.sleep(EVERY_SECONDS)
        return await Client(server, KEY, session).steadily(seconds)
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        if failed := [end for end in ends if isinstance(end, Failed)]:
            raise failed[0]


async def floods(servers: Servers, seconds: float) -> list[Row]:
    """Measure a tenant alone, and beside one that floods."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        with progress.step("alone"):
            alone = _p95(await Client(servers.fair, KEY, session).steadily(seconds))
        with progress.step("beside a flood, in turns"):
            fair = _p95(await beside_a_flood(servers.fair, session, seconds))
        with progress.step("beside a flood, as they come"):
            unfair = _p95(await beside_a_flood(servers.unfair, session, seconds))
    what = f"p95 beside a flood of {REQUESTS}, over alone"
    return [
        at_most(f"{what}; in turns", f"{fair:.2f} s, {alone:.2f} s alone", Series([fair / alone]), MOST_SLOWER),
        Row(f"{what}; as they come", f"{unfair:.2f} s", str(Series([unfair / alone]))),
    ]


async def costs(servers: Servers, effort: Effort) -> Row:
    """Measure the CPU of a request that does not queue, with turns and without, in turns."""
    fair: list[float] = []
    unfair: list[float] = []
    both = ((servers.quick_fair, fair), (servers.quick_unfair, unfair))
    with progress.step("without a queue"):
        for server, _ in both:
            await Load(server.address, PLAIN).run(CLIENTS, seconds=effort.seconds)
        for number in range(effort.rounds):
            for server, found in both if number % 2 else reversed(both):
                found.append((await cpu_of_a_request(server, effort))[0])
    one, other = Series(fair), Series(unfair)
    figures = f"{one.median:.1f} µs, {other.median:.1f} µs without"
    return at_most("a request that does not queue: CPU, with turns over without", figures, one.over(other), MOST_CPU)


def _p95(times: list[float]) -> float:
    return sorted(times)[math.ceil(0.95 * len(times)) - 1]


@asynccontextmanager
async def started(folder: Path, cores: Cores) -> AsyncIterator[Servers]:
    """Start all; end all."""
    with ExitStack() as stack:

        async def start(name: str, command: list[str], port: int, core: int, ready: str) -> Process:
            process = stack.enter_context(running(name, command, port, core, folder))
            await until_ready(process, ready, folder)
            return process

        async def engine(name: str, *options: str) -> int:
            port = free_port()
            command = [sys.executable, "-m", f"bench.{name}", "--port", str(port), *options]
            await start(name, command, port, cores.engine, "/v1/models")
            return port

        async def tandem(name: str, engine_port: int, *, fair: bool) -> Process:
            port, file = free_port(), folder / f"{name}.yaml"
            file.write_bytes(orjson.dumps(_config(engine_port, fair=fair)))
            serve = ["serve", "--config", str(file), "--host", "127.0.0.1", "--port", str(port)]
            python = str(ROOT / ".venv/bin/python")
            command = ["env", f"PYTHONPATH={compiled(ROOT)}", python, "-m", "tandem_orchestrator.cli", *serve]
            return await start(name, command, port, cores.target, "/ready")

        busy, quick = await engine("busy_engine", "--growth", str(GROWTH)), await engine("engine")
        yield Servers(
            await tandem("fair", busy, fair=True),
            await tandem("unfair", busy, fair=False),
            await tandem("quick-fair", quick, fair=True),
            await tandem("quick-unfair", quick, fair=False),
        )


def _config(engine_port: int, *, fair: bool) -> dict[str, Any]:
    return {
        "upstreams": [{"name": "engine", "url": f"http://127.0.0.1:{engine_port}", "model": MODEL}],
        "keys": {"values": [f"steady:{KEY}", f"flood:{FLOOD}"]},
        "routing": {"fairShare": fair, "maxWaiting": 2 * REQUESTS},
    }


async def run(seconds: float, effort: Effort) -> list[Row]:
    """Measure all."""
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        async with started(Path(folder), Cores.of_this_machine()) as servers:
            return [*await floods(servers, seconds), await costs(servers, effort)]


def main() -> int:
    """Print the rows."""
    parser = argparse.ArgumentParser(
        prog="python3 -m bench.fair_share", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    options = parser.parse_args()
    return report.printed(run(12.0, QUICK) if options.quick else run(28.0, FULL))


if __name__ == "__main__":
    path.confine()
    sys.exit(main())
