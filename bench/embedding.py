"""How fast texts become vectors, beside the bare model.

    .venv/bin/python -m bench.embedding        half a minute; prints only

`make bench` has the same rows. The engine is a double that embeds one text after the other in 2 ms, and is asked for
the bare rate by aiohttp, which reads nothing of its answers; the static model is that of the tests, whose bare rate is
that of a loop in one thread.
"""

import asyncio
import base64
import os
import sys
import time
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import aiohttp
import orjson
import uvloop
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.retrieval.embedding.embedder import Embedder
from tandem_orchestrator.retrieval.embedding.engine_embedder import BATCHES
from tandem_orchestrator.retrieval.embedding.static_model import StaticModel

from bench.load import Failed
from bench.processes import ROOT, Cores
from bench.report import Row, Series, at_least
from hack import path
from tests import static_model
from tests.engine_double import EngineDouble, Reply
from tests.sockets.redis_server import running_redis
from tests.sockets.running import Orchestrator, config_for

DIMENSION: Final = 384
SECONDS_A_TEXT: Final = 0.002
BATCH: Final = 64
WORDS: Final = "of the words that a piece of a document has, some 150 or so in all. " * 10
TEXTS: Final = [f"{number} {WORDS}" for number in range(1024)]
ROUNDS: Final = 3
LOOK_SECONDS: Final = 0.001
MOST_BLOCKED: Final = 50  # ms

Figures = dict[str, list[float]]
Embed = Callable[[], Awaitable[Any]]


async def measure(cores: Cores) -> list[Row]:
    """Measure in processes of their own, engine and Redis on the orchestrator's core: they have little to do."""
    command = ["taskset", "--cpu-list", str(cores.target), sys.executable, "-m", "bench.embedding", "figures"]
    process = await asyncio.create_subprocess_exec(
        *command, env={"PATH": os.environ["PATH"], **_cache()}, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise Failed("bench.embedding failed")
    return rows({name: Series(values) for name, values in orjson.loads(output.splitlines()[-1]).items()})


def rows(found: dict[str, Series]) -> list[Row]:
    """Return the rows, of texts a second, µs and ms."""
    cpu = found["engine cpu"]
    blocked = max(found["blocked"].values)
    return [
        at_least(
            f"embedding by an engine, {BATCH} texts a request: rate, over the bare engine's",
            _figures(found["engine"], found["bare engine"]),
            found["engine"].over(found["bare engine"]),
            0.8,
        ),
        Row(
            "embedding by an engine: CPU a text of the orchestrator",
            f"{cpu.median:.0f} µs, of one that Redis knows {found['cached cpu'].median:.0f} µs",
        ),
        at_least(
            "embedding by a static model in the process: rate, over the bare model's",
            _figures(found["static"], found["bare static"]),
            found["static"].over(found["bare static"]),
            0.8,
        ),
        Row(
            "the longest that it kept others waiting meanwhile",
            f"{blocked:.0f} ms",
            bound=f"at most {MOST_BLOCKED} ms",
            passed=blocked <= MOST_BLOCKED,
        ),
        Row(
            "a question's vector",
            f"{found['question'].median:.0f} µs by a static model, {found['cached question'].median:.0f} µs from Redis",
        ),
    ]


def _figures(ours: Series, bare: Series) -> str:
    return f"{ours.median:.0f}/s, bare {bare.median:.0f}/s"


class Model:
    """An engine that has computed its answers before, and takes its time for them."""

    def __init__(self) -> None:
        numbers = array("f", [DIMENSION**-0.5] * DIMENSION)
        value = base64.b64encode(numbers.tobytes()).decode()
        self._entries = [{"object": "embedding", "index": n, "embedding": value} for n in range(BATCH)]
        self._free_at = 0.0

    def __call__(self, request: dict[str, Any]) -> Reply:
        number = len(request["input"])
        self._free_at = max(self._free_at, time.monotonic()) + number * SECONDS_A_TEXT
        return Reply(entries=self._entries[:number], before_first_byte=self._free_at - time.monotonic())


async def serve() -> None:
    async with EngineDouble() as engine:
        engine.remember = False
        engine.rule = Model()
        print(engine.url, flush=True)
        await asyncio.Event().wait()


@asynccontextmanager
async def engine_running() -> AsyncIterator[str]:
    """Return the URL of the engine, which is ended at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.embedding", "engine", cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.kill()
        await process.wait()


async def figures() -> Figures:
    """Measure everything in turns."""
    async with engine_running() as url:
        with running_redis() as redis:
            return await _all(url, {"url": redis.url})


async def _all(url: str, redis: dict[str, Any]) -> Figures:
    folder = static_model.folder()
    upstreams = [{"name": "engine", "url": url, "model": "double"}]
    settings = {"upstreams": upstreams, "hold": {"maxRequests": 0}}
    by_engine = await _started(**settings, retrieval={"embedding": {"model": "double", "batchSize": BATCH}})
    cached = await _started(**settings, redis=redis, retrieval={"embedding": {"model": "double", "batchSize": BATCH}})
    static = await _started(**settings, retrieval={"embedding": {"path": str(folder)}})
    model = StaticModel(folder, None)
    _loop(model)
    found: Figures = {}
    record = Record("bench")
    try:
        await _embedder(cached).documents(TEXTS, record)
        for _ in range(ROUNDS):
            found.setdefault("bare engine", []).append(await bare_rate(url))
            for name, server in (("engine", by_engine), ("cached", cached)):
                before = time.process_time()
                found.setdefault(name, []).append(await _rate(partial(_embedder(server).documents, TEXTS, record)))
                found.setdefault(f"{name} cpu", []).append((time.process_time() - before) / len(TEXTS) * 1e6)
            found.setdefault("bare static", []).append(await _rate(lambda: asyncio.to_thread(_loop, model)))
            looking = asyncio.create_task(_longest_pause())
            found.setdefault("static", []).append(await _rate(lambda: _embedder(static).documents(TEXTS, record)))
            looking.cancel()
            found.setdefault("blocked", []).append(await looking * 1e3)
            for name, server in (("question", static), ("cached question", cached)):
                found.setdefault(name, []).append(await _question(_embedder(server), record))
    finally:
        for server in (by_engine, cached, static):
            await server.stop()
    return found


async def _started(**settings: Any) -> Orchestrator:
    server = Orchestrator(config_for(**settings))
    await server.start()
    return server


def _embedder(server: Orchestrator) -> Embedder:
    assert server.app.embedders.now is not None
    return server.app.embedders.now


async def bare_rate(url: str) -> float:
    """Return how many vectors a second the engine makes for who does nothing with them."""
    return await _rate(lambda: _bare(url))


async def _rate(embed: Embed) -> float:
    begun = time.perf_counter()
    await embed()
    return len(TEXTS) / (time.perf_counter() - begun)


async def _question(embedder: Embedder, record: Record) -> float:
    """Return the µs that one takes."""
    await embedder.query("Which is it?", record)
    begun = time.perf_counter()
    for _ in range(100):
        await embedder.query("Which is it?", record)
    return (time.perf_counter() - begun) * 1e4


async def _bare(url: str) -> None:
    """Ask for all vectors, `BATCHES` requests at a time."""
    batches = [TEXTS[start : start + BATCH] for start in range(0, len(TEXTS), BATCH)]
    async with aiohttp.ClientSession(url) as client:

        async def ask() -> None:
            while batches:
                body = {"model": "double", "input": batches.pop(), "encoding_format": "base64"}
                async with client.post("/v1/embeddings", json=body) as response:
                    await response.read()

        await asyncio.gather(*(ask() for _ in range(BATCHES)))


def _loop(model: StaticModel) -> None:
    for text in TEXTS:
        model.vector(text)


async def _longest_pause() -> float:
    longest = 0.0
    try:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(LOOK_SECONDS)
            longest = max(longest, time.perf_counter() - before - LOOK_SECONDS)
    except asyncio.CancelledError:
        return longest


def _cache() -> dict[str, str]:
    return {name: os.environ[name] for name in ("HOME", "TANDEM_CACHE", "XDG_CACHE_HOME") if name in os.environ}


if __name__ == "__main__":
    path.confine()
    if sys.argv[1:] == ["engine"]:
        uvloop.run(serve())
    measured = uvloop.run(figures())
    if sys.argv[1:] == ["figures"]:
        print(orjson.dumps(measured).decode())
    else:
        print(*rows({name: Series(values) for name, values in measured.items()}), sep="\n")
