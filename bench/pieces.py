"""Pieces of hand-written machinery, each beside what a library does in its place: CPU of this process for one use.

    .venv/bin/python -m bench.pieces engine PORT | metrics | limits PORT

Prints JSON: variant -> µs in each round. `engine` asks a bench.engine, `limits` a redis-server. `bench.machinery`
makes rows of it, with the compiled orchestrator on PYTHONPATH.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
import uvloop
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from redis.asyncio import Redis
from tandem_contract.config import KeyLimits, RateLimits, Timeouts
from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.limits.limiter import Limiter
from tandem_orchestrator.limits.worker_counters import SharedCounters
from tandem_orchestrator.observability import metrics as tandem_metrics
from tandem_orchestrator.observability.prometheus import FOLDER_VARIABLE, Labelled
from tandem_orchestrator.transport.pool import Pool

from bench.engine import REQUEST
from tests.sockets.redis_server import PASSWORD

ANSWER: Final = b"64 bytes"
ROUNDS: Final = 7
AT_ONCE: Final = 32
ENOUGH: Final = 10**9
SECONDS: Final = 0.02
TOKENS: Final = 30
WORKERS: Final = 2

Uses = Callable[[int], Awaitable[None]]
"""Uses a piece so many times."""


async def in_turns(variants: Mapping[str, Uses], count: int) -> dict[str, list[float]]:
    """Measure each variant in each round: what slows a whole round down slows all of them."""
    found: dict[str, list[float]] = {name: [] for name in variants}
    for uses in variants.values():
        await uses(count // 10)
    for _ in range(ROUNDS):
        for name, uses in variants.items():
            begun = time.process_time()
            await uses(count)
            found[name].append((time.process_time() - begun) / count * 1e6)
    return found


def one_by_one(use: Callable[[], None]) -> Uses:
    """Use a piece that waits for nothing."""

    async def uses(count: int) -> None:
        for _ in range(count):
            use()

    return uses


def at_once(use: Callable[[], Awaitable[None]]) -> Uses:
    """Use a piece from many tasks."""

    async def uses(count: int) -> None:
        left = iter(range(count))

        async def work() -> None:
            for _ in left:
                await use()

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))

    return uses


async def engine(port: int) -> dict[str, list[float]]:
    """Send a request to an engine and read the answer: with our pool, and with aiohttp."""
    body = orjson.dumps(REQUEST)
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    headers = {"host": "engine", "content-type": "application/json", "content-length": str(len(body))}
    lines = ["POST /v1/chat/completions HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    head = "".join(f"{line}\r\n" for line in [*lines, ""]).encode()
    pool = Pool(url, Timeouts())

    async def ours() -> None:
        response = await pool.send(head, body)
        try:
            assert ANSWER in await response.read_all(ENOUGH)
        finally:
            response.close()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:

        async def theirs() -> None:
            async with session.post(url, data=body, headers=headers) as response:
                assert ANSWER in await response.read()

        try:
            return await in_turns({"ours": at_once(ours), "aiohttp": at_once(theirs)}, 2_000)
        finally:
            pool.close()


async def metrics() -> dict[str, list[float]]:
    """Count one chat request: ours; prometheus_client's own with its children kept; and with `labels()` each time."""
    ours = _counting(
        tandem_metrics.REQUESTS_IN_FLIGHT,
        Labelled(tandem_metrics.ENGINE_SECONDS),
        Labelled(tandem_metrics.REQUEST_LATENCY),
        Labelled(tandem_metrics.TOKENS),
    )
    ours()  # its children are there before the client's own values come back
    if FOLDER_VARIABLE in os.environ:
        values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    flight = Gauge("flight", "", registry=registry, multiprocess_mode="livesum")
    upstream = Histogram("upstream", "", ["upstream"], buckets=tandem_metrics.SECONDS, registry=registry)
    latency = Histogram("latency", "", ["route", "status"], buckets=tandem_metrics.SECONDS, registry=registry)
    tokens = Counter("tokens", "", ["tenant", "model", "kind"], registry=registry)
    theirs = _counting(flight, Labelled(upstream), Labelled(latency), Labelled(tokens))

    def asked() -> None:
        flight.inc()
        upstream.labels("engine").observe(SECONDS)
        flight.dec()
        latency.labels("/v1/chat/completions", 200).observe(SECONDS)
        tokens.labels("tenant", "model", "prompt").inc(TOKENS)
        tokens.labels("tenant", "model", "completion").inc(TOKENS)

    variants = {"ours": ours, "kept": theirs, "asked": asked}
    return await in_turns({name: one_by_one(use) for name, use in variants.items()}, 10_000)


def _counting(
    flight: Gauge, upstream: Labelled[Histogram], latency: Labelled[Histogram], tokens: Labelled[Counter]
) -> Callable[[], None]:
    def use() -> None:
        flight.inc()
        upstream["engine"].observe(SECONDS)
        flight.dec()
        latency["/v1/chat/completions", 200].observe(SECONDS)
        tokens["tenant", "model", "prompt"].inc(TOKENS)
        tokens["tenant", "model", "completion"].inc(TOKENS)

    return use


async def limits(port: int) -> dict[str, list[float]]:
    """Hold a request against all limits of its key: counted in this process, in memory of two workers, and in Redis."""
    figures = KeyLimits(
        requests_per_minute=ENOUGH,
        tokens_per_minute=ENOUGH,
        concurrent_requests=ENOUGH,
        tokens_per_day=ENOUGH,
        tokens_per_month=ENOUGH,
    )
    principal = Principal("key", "tenant", figures)

    def counting(limiter: Limiter) -> Uses:
        return one_by_one(lambda: limiter.admit(principal).settle(TOKENS))

    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        shared = SharedCounters(Path(folder) / "limits", 0, WORKERS)
        async with Redis(host="127.0.0.1", port=port, password=PASSWORD) as redis:
            variants = {
                "own": counting(Limiter(RateLimits())),
                "shared": counting(Limiter(RateLimits(), shared)),
                "redis": at_once(lambda: _in_redis(redis)),
            }
            return await in_turns(variants, 1_000)


async def _in_redis(redis: Redis) -> None:
    """Do the same with counts that every request asks for and changes: two round trips."""
    second = int(time.time())
    minute, quotas = f"requests:{second // 60}", (f"minute:{second // 60}", f"day:{second // 86_400}", "month")
    async with redis.pipeline(transaction=False) as pipe:
        pipe.incr(minute)
        pipe.expire(minute, 60)
        pipe.incr("concurrent")
        pipe.mget(quotas)
        requests, _, concurrent, tokens = await pipe.execute()
    assert max(requests, concurrent, *(int(each or 0) for each in tokens)) < ENOUGH
    async with redis.pipeline(transaction=False) as pipe:
        pipe.decr("concurrent")
        for quota in quotas:
            pipe.incrby(quota, TOKENS)
        await pipe.execute()


PIECES: Final[dict[str, Any]] = {"engine": engine, "metrics": metrics, "limits": limits}


if __name__ == "__main__":
    name, *ports = sys.argv[1:]
    sys.stdout.buffer.write(orjson.dumps(uvloop.run(PIECES[name](*map(int, ports)))))
