"""What a batch costs those who wait for an answer, and how fast it is where nobody does.

    python3 -m bench.batches              about seven minutes; prints
    python3 -m bench.batches --quick      about two

The engine ([busy_engine.py](busy_engine.py)) runs 32 requests together, each of which makes the others slower. A batch
runs alone first. Then requests of 64 tokens come at random, streamed, so many at the same time on average, in turns
with and without a batch of many lines beside them.
"""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from bench import busy_engine, report
from bench.engine import MODEL
from bench.load import Failed
from bench.processes import ROOT, Cores, free_port, running, until_ready
from bench.report import Row
from hack import path, progress

TOKENS: Final = 64
LINE_TOKENS: Final = 128
LINES: Final = 5_000
MOST_SLOWER: Final = 1.10
LEAST_SHARE: Final = 0.8  # of what the engine can do
LEVELS: Final = (1.0, 4.0, 12.0)  # requests at the same time, on average
SPEED: Final = TOKENS * busy_engine.step_seconds(1)  # seconds of a request that is alone

Times = list[tuple[float, float]]
"""Seconds until the first token of each request, and until its end."""


class Server:
    """An orchestrator, and who speaks to it."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def ask(self, method: str, where: str, **what: Any) -> dict[str, Any]:
        async with self._session.request(method, f"{self._url}/v1/{where}", **what) as response:
            document: dict[str, Any] = await response.json()
            if response.status != 200:
                raise Failed(f"{method} {where}: {response.status} {document}")
            return document

    async def begin(self) -> str:
        """Begin a batch of many lines; return its id once it is in progress."""
        body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": LINE_TOKENS}
        line = {"method": "POST", "url": "/v1/chat/completions", "body": body}
        form = aiohttp.FormData({"purpose": "batch"})
        lines = b"".join(orjson.dumps({"custom_id": str(n), **line}) + b"\n" for n in range(LINES))
        form.add_field("file", lines, filename="input.jsonl")
        file = await self.ask("POST", "files", data=form)
        wanted = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        batch = await self.ask("POST", "batches", json=wanted)
        await self._until(batch["id"], "in_progress")
        return str(batch["id"])

    async def cancel(self, batch: str) -> None:
        await self.ask("POST", f"batches/{batch}/cancel")
        await self._until(batch, "cancelled")

    async def done(self, batch: str) -> int:
        """Return how many lines have an outcome."""
        return int((await self.ask("GET", f"batches/{batch}"))["request_counts"]["completed"])

    async def request(self) -> tuple[float, float]:
        body = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": TOKENS, "stream": True}
        began, first = time.perf_counter(), 0.0
        async with self._session.post(f"{self._url}/v1/chat/completions", json=body) as response:
            async for _ in response.content.iter_any():
                first = first or time.perf_counter() - began
            if response.status != 200:
                raise Failed(f"a request was answered {response.status}")
        return first, time.perf_counter() - began

    async def _until(self, batch: str, status: str) -> None:
        async with asyncio.timeout(60):
            while (await self.ask("GET", f"batches/{batch}"))["status"] != status:  # noqa: ASYNC110 # it is elsewhere
                await asyncio.sleep(0.05)


async def load(server: Server, level: float, seconds: float, number: int) -> Times:
    """Send requests at random moments, the same ones for the same `number`; return their times."""
    chance = random.Random(number)
    tasks: list[asyncio.Task[tuple[float, float]]] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        tasks.append(asyncio.create_task(server.request()))
        await asyncio.sleep(chance.expovariate(level / SPEED))
    return await asyncio.gather(*tasks)


async def beside(server: Server, level: float, rounds: int, seconds: float) -> list[Row]:
    """Measure requests with and without a batch beside them, in turns."""
    alone: Times = []
    together: Times = []
    made = 0
    for number in range(rounds):
        alone += await load(server, level, seconds, number)
        batch = await server.begin()
        await asyncio.sleep(3)  # until it has all of the engine
        before = await server.done(batch)
        together += await load(server, level, seconds, number)
        made += await server.done(batch) - before
        await server.cancel(batch)
    rows = []
    for name, place in (("first token", 0), ("whole answer", 1)):
        for share in (50, 95):
            one, other = (_percentile([each[place] for each in times], share) for times in (alone, together))
            what = f"{name}, p{share}, {level:g} at a time"
            figures = f"{one * 1000:.1f} ms alone, {other * 1000:.1f} ms beside a batch"
            ratio = other / one
            rows.append(Row(what, figures, f"{ratio:.3f}", f"at most {MOST_SLOWER:g}", ratio <= MOST_SLOWER))
    what = f"lines beside {level:g} at a time"
    return [*rows, Row(what, f"{made / rounds / seconds:.2f}/s, {len(alone)} and {len(together)} requests")]


async def idle(server: Server, seconds: float) -> Row:
    """Measure a batch alone."""
    batch = await server.begin()
    await asyncio.sleep(8)
    before, began = await server.done(batch), time.monotonic()
    await asyncio.sleep(seconds)
    rate = (await server.done(batch) - before) / (time.monotonic() - began)
    await server.cancel(batch)
    slots = busy_engine.SLOTS
    first = slots / LINE_TOKENS  # of a step's requests, on average
    most = slots / LINE_TOKENS / (busy_engine.step_seconds(slots) + busy_engine.PREFILL * first)
    figures = f"{rate:.2f} lines/s of {most:.2f} that the engine can do"
    return Row("a batch alone", figures, f"{rate / most:.3f}", f"at least {LEAST_SHARE}", rate / most >= LEAST_SHARE)


def _percentile(values: list[float], share: int) -> float:
    return statistics.quantiles(values, n=100)[share - 1]


@asynccontextmanager
async def started(folder: Path, cores: Cores) -> AsyncIterator[Server]:
    """Start engine and orchestrator; end both."""
    engine_port, port = free_port(), free_port()
    file = folder / "config.yaml"
    upstream = {"name": "engine", "url": f"http://127.0.0.1:{engine_port}", "model": MODEL, "type": "vllm"}
    database = {"url": f"sqlite:///{folder}/tandem.db"}
    standalone = {"host": "127.0.0.1", "port": port}
    files = {"folder": f"{folder}/files"}
    file.write_bytes(
        orjson.dumps({"upstreams": [upstream], "database": database, "files": files, "standalone": standalone})
    )
    python = str(ROOT / ".venv/bin/python")
    engine = [python, "-m", "bench.busy_engine", "--port", str(engine_port)]
    tandem = [str(ROOT / ".venv/bin/tandem-orchestrator"), "serve", "--config", str(file)]
    with (
        running("engine", engine, engine_port, cores.engine, folder) as engine_process,
        running("tandem", tandem, port, cores.target, folder) as tandem_process,
    ):
        await until_ready(engine_process, "/v1/models", folder)
        await until_ready(tandem_process, "/ready", folder)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            yield Server(f"http://127.0.0.1:{port}", session)


async def run(rounds: int, seconds: float) -> list[Row]:
    """Measure all."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        async with started(Path(folder), Cores.of_this_machine()) as server:
            with progress.step("a batch alone"):
                rows.append(await idle(server, seconds))
            for level in LEVELS:
                with progress.step(f"{level:g} at a time"):
                    rows += await beside(server, level, rounds, seconds)
    return rows


def main() -> int:
    """Print the rows."""
    parser = argparse.ArgumentParser(
        prog="python3 -m bench.batches", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one short round")
    options = parser.parse_args()
    return report.printed(run(1, 15.0) if options.quick else run(2, 25.0))


if __name__ == "__main__":
    path.confine()
    sys.exit(main())
