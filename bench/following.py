"""What it takes to stream responses, beside streamed chats, and to make them in the background."""

import asyncio
import sqlite3
import statistics
import time
from typing import Final

import orjson

from bench.load import Connection, Failed, Load, ask, get, respond
from bench.measures import (
    CLIENTS,
    LONG_SCRIPT,
    LONG_STREAM,
    MEGABYTE,
    SHORT_SCRIPT,
    SHORT_STREAM,
    STREAMS,
    Effort,
    cpu_of_a_token,
)
from bench.processes import Cores, Process
from bench.report import Row, Series, at_most
from bench.targets import Keeping

CHAT: Final = "a chat"
KEPT: Final = "kept"
NOT_KEPT: Final = "not kept"
STREAMED: Final = {
    CHAT: (SHORT_STREAM, LONG_STREAM),
    NOT_KEPT: tuple(respond(stream=True, store=False, double=script) for script in (SHORT_SCRIPT, LONG_SCRIPT)),
    KEPT: tuple(respond(stream=True, double=script) for script in (SHORT_SCRIPT, LONG_SCRIPT)),
}
"""What is streamed -> a short one, and one that does not end."""
MOST_GROWTH: Final = 10  # MB
MOST_SECONDS: Final = 600.0
LOOK_SECONDS: Final = 0.2
LEFT: Final = "SELECT count(*) FROM tandem_response_runs"

Figures = dict[str, Series]


async def streams(servers: Keeping, effort: Effort, __: Cores) -> list[Row]:
    """Measure when a stream's first event comes, and CPU a token, of responses and of chats."""
    first: dict[str, list[float]] = {what: [] for what in STREAMED}
    token: dict[str, list[float]] = {what: [] for what in STREAMED}
    for _ in range(effort.rounds):
        for what, (short, long) in STREAMED.items():
            first[what].append(await first_event(servers.engine, servers.sqlite, short, effort.seconds / 2) * 1e6)
            token[what].append(await cpu_of_a_token(servers.sqlite, effort.seconds, long) * 1e6)
    return of_streams(
        {what: Series(values) for what, values in first.items()},
        {what: Series(values) for what, values in token.items()},
    )


def of_streams(first: Figures, token: Figures) -> list[Row]:
    """Return the rows, of times and CPU in µs."""
    return [
        at_most(what.format(kept), _figures(found, kept), found[kept].over(found[CHAT]), bound)
        for kept in (NOT_KEPT, KEPT)
        for what, found, bound in (
            (
                "a streamed response, {}: time from the engine's first byte to the first event, over a chat's",
                first,
                1.3,
            ),
            (f"{STREAMS} streamed responses, {{}}: CPU a token, over a chat's", token, 2),
        )
    ]


def _figures(found: Figures, kept: str) -> str:
    return f"{found[kept].median:.1f} µs, {CHAT} {found[CHAT].median:.1f} µs"


async def first_event(engine: Process, server: Process, request: bytes, seconds: float) -> float:
    """Return the median time from when the engine begins a stream to when one client has the first event of it."""
    ended = asyncio.Event()
    connection = await Connection.open(server.address, lambda _, __: ended.set())
    await ask(engine.address, get("/begun"))
    came: list[float] = []
    try:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            ended.clear()
            connection.first = 0.0
            connection.send(request)
            await ended.wait()
            if connection.failure:
                raise Failed(connection.failure)
            came.append(connection.first)
    finally:
        connection.close()
    begun: list[float] = orjson.loads(await ask(engine.address, get("/begun")))
    return statistics.median([after - before for before, after in zip(begun, came, strict=True)])


async def background(servers: Keeping, effort: Effort, __: Cores) -> list[Row]:
    """Queue responses while the engine says nothing, then let it answer."""
    server, engine = servers.sqlite, servers.engine
    number = effort.requests
    request = respond(background=True)
    before = await _asked(engine)
    await Load(server.address, request, b'"queued"').run(CLIENTS, count=CLIENTS)
    await _until_made(servers)
    made = await _asked(engine) - before
    if made != CLIENTS:
        raise Failed(f"{CLIENTS} responses of the background took {made} requests to the engine")
    await ask(engine.address, get("/hold"))
    memory = server.resident_bytes()
    queued = await Load(server.address, request, b'"queued"').run(CLIENTS, count=number)
    grown = (server.resident_bytes() - memory) / MEGABYTE
    begun, cpu = time.perf_counter(), server.cpu_seconds()
    await ask(engine.address, get("/release"))
    await _until_made(servers)
    took, cpu = time.perf_counter() - begun, server.cpu_seconds() - cpu
    taken = await _asked(engine) - before - made
    return of_background(
        number, (memory / MEGABYTE, grown), taken, queued.seconds / number, (took / number, cpu / number)
    )


def of_background(
    number: int, memory: tuple[float, float], taken: int, queuing: float, making: tuple[float, float]
) -> list[Row]:
    """Return the rows: memory before and its growth in MB, requests to the engine, seconds a response."""
    before, grown = memory
    return [
        Row(
            f"memory while {number} responses of the background are queued",
            f"{before:.0f} MB {grown:+.1f} MB",
            bound=f"flat: within {MOST_GROWTH} MB",
            passed=grown <= MOST_GROWTH,
        ),
        Row(
            f"requests to the engine for {number} responses of the background",
            str(taken),
            bound="each once",
            passed=taken == number,
        ),
        Row(
            f"{number} responses of the background: time of one",
            f"to queue {queuing * 1e6:.0f} µs, to make {making[0] * 1e6:.0f} µs with {making[1] * 1e6:.0f} µs of CPU",
        ),
    ]


async def _asked(engine: Process) -> int:
    number: int = orjson.loads(await ask(engine.address, get("/state")))["asked"]
    return number


async def _until_made(servers: Keeping) -> None:
    deadline = time.monotonic() + MOST_SECONDS
    connection = sqlite3.connect(servers.file)
    try:
        while (left := connection.execute(LEFT).fetchone()[0]) > 0:
            if time.monotonic() > deadline:
                raise Failed(f"{left} responses of the background were not made within {MOST_SECONDS:g} s")
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        connection.close()
