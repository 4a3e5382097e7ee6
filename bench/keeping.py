"""What it takes to keep responses: over those that are not kept, over bare SQL, and beside agentic-api."""

import asyncio
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import orjson
import structlog

from bench.load import Address, Failed, ask, respond
from bench.measures import CLIENTS, Effort, cpu_of_a_request, median_time
from bench.processes import ROOT, Cores, Process
from bench.report import Row, Series, at_least, at_most
from bench.targets import Keeping, compiled
from hack import versions
from tests.engine_double import EngineDouble
from tests.sockets.running import Orchestrator, config_for

DATABASES: Final = {"SQLite": "sqlite", "PostgreSQL": "postgresql"}
MOST_CPU: Final = {"SQLite": 2, "PostgreSQL": 3}
LEAST_RATE: Final = {"SQLite": 0.7, "PostgreSQL": 0.5}
MOST_ADDED: Final = 2
PEER: Final = f"agentic-api {versions.pinned('tools')['agentic-api']}"
SHORT: Final = 2  # turns of a conversation
LONG: Final = 50
SAID: Final = "Hello, I am an engine double and this answer has 64 bytes in it."

KEPT: Final = respond()
NOT_KEPT: Final = respond(store=False)

Found = dict[tuple[str, str, str], list[float]]
"""Server, request and figure -> what each round gave."""


async def keeping(servers: Keeping, effort: Effort, cores: Cores) -> list[Row]:
    """Measure CPU, time and rate of responses that are kept and of those that are not, and of bare SQL."""
    targets = [
        ("sqlite", "kept", servers.sqlite, KEPT),
        ("sqlite", "not", servers.sqlite, NOT_KEPT),
        ("postgresql", "kept", servers.postgresql, KEPT),
        ("postgresql", "not", servers.postgresql, NOT_KEPT),
    ]
    if servers.agentic is not None:
        targets.append(("agentic", "kept", servers.agentic, respond(store=True)))
    found: Found = {}
    for _ in range(effort.rounds):
        for name, request, server, sent in targets:
            for figure, value in (await _figures(server, effort, sent)).items():
                found.setdefault((name, request, figure), []).append(value)
        for name, url in (("sqlite", f"sqlite:///{servers.file}"), ("postgresql", servers.url)):
            one, many = [await _bare(cores, url, number, effort.seconds / 2) for number in (1, CLIENTS)]
            found.setdefault((name, "bare", "p50"), []).append(one["p50"])
            found.setdefault((name, "bare", "rate"), []).append(many["per_second"])
    return of_keeping(found, servers.absent)


async def _figures(server: Process, effort: Effort, request: bytes) -> dict[str, float]:
    cpu, rate = await cpu_of_a_request(server, effort, request=request)
    time = await median_time(server, effort, request, b"64 bytes", lambda outcome: outcome.latencies)
    return {"cpu": cpu, "rate": rate, "p50": time}


async def _bare(cores: Cores, url: str, connections: int, seconds: float) -> dict[str, float]:
    command = ["taskset", "--cpu-list", str(cores.target), sys.executable, "-m", "bench.bare_writes"]
    process = await asyncio.create_subprocess_exec(
        *command,
        url,
        str(connections),
        str(seconds),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": compiled(ROOT)},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise Failed("bench.bare_writes failed")
    figures: dict[str, float] = orjson.loads(output)
    return figures


def of_keeping(found: Found, absent: str) -> list[Row]:
    """Return the rows; `absent` is why there is no peer, where there is none."""
    series = {key: Series(values) for key, values in found.items()}
    rows = []
    for database, name in DATABASES.items():
        get = partial(_get, series, name)
        rows += [
            at_most(
                f"{database}: a response that is kept: CPU, over one that is not",
                f"{get('kept', 'cpu').median:.0f} µs, not kept {get('not', 'cpu').median:.0f} µs",
                get("kept", "cpu").over(get("not", "cpu")),
                MOST_CPU[database],
            ),
            _added(database, get("kept", "p50").minus(get("not", "p50")), get("bare", "p50")),
            at_least(
                f"{database}: {CLIENTS} clients, responses a second that are kept, over those that are not",
                f"{get('kept', 'rate').median:.0f}/s, not kept {get('not', 'rate').median:.0f}/s",
                get("kept", "rate").over(get("not", "rate")),
                LEAST_RATE[database],
            ),
            Row(
                f"{database}: {CLIENTS} clients, responses a second that are kept, over bare transactions",
                f"{get('kept', 'rate').median:.0f}/s, bare {get('bare', 'rate').median:.0f}/s",
                str(get("kept", "rate").over(get("bare", "rate"))),
            ),
        ]
    return [*rows, *_beside_peer(series, absent)]


def _get(series: dict[tuple[str, str, str], Series], name: str, request: str, figure: str) -> Series:
    return series[name, request, figure]


def _added(database: str, added: Series, bare: Series) -> Row:
    return at_most(
        f"{database}: one client, time (p50) that keeping adds, over that of the bare transaction",
        f"{added.median:.0f} µs, bare {bare.median:.0f} µs",
        added.over(bare),
        MOST_ADDED,
    )


def _beside_peer(series: dict[tuple[str, str, str], Series], absent: str) -> list[Row]:
    rate = f"SQLite: {CLIENTS} clients, responses a second that are kept, over those of {PEER}"
    time = f"SQLite: one client, time (p50) of a response that is kept, over that of {PEER}"
    if absent:
        return [Row(what, f"not measured: {absent}") for what in (rate, time)]
    ours, theirs = (partial(_get, series, name, "kept") for name in ("sqlite", "agentic"))
    return [
        at_least(
            rate,
            f"{ours('rate').median:.0f}/s, {PEER} {theirs('rate').median:.0f}/s",
            ours("rate").over(theirs("rate")),
            2,
        ),
        at_most(
            time,
            f"{ours('p50').median:.0f} µs, {PEER} {theirs('p50').median:.0f} µs",
            ours("p50").over(theirs("p50")),
            1,
        ),
    ]


async def conversations(servers: Keeping, effort: Effort, __: Cores) -> list[Row]:
    """Measure what the number of turns before costs, beyond what the same text costs when it is sent."""
    ids = await _chain(servers.sqlite.address, LONG - 1)
    figures: dict[int, tuple[list[float], list[float]]] = {SHORT: ([], []), LONG: ([], [])}
    for _ in range(effort.rounds):
        for turns, (by_id, by_text) in figures.items():
            for request, found in ((continued(ids[turns - 2]), by_id), (in_full(turns), by_text)):
                found.append((await cpu_of_a_request(servers.sqlite, effort, request=request))[0])
    return of_conversations(
        {turns: (Series(by_id), Series(by_text)) for turns, (by_id, by_text) in figures.items()},
        await statements_of(servers.file.with_name("counted.db"), SHORT),
        await statements_of(servers.file.with_name("counted.db"), LONG),
    )


def continued(response_id: str) -> bytes:
    """Return a request that continues a response; it is not kept, so that all are alike."""
    return respond(previous_response_id=response_id, store=False)


def in_full(turns: int) -> bytes:
    """Return a request that brings the same turns with it."""
    before = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": SAID}] * (turns - 1)
    return respond(input=[*before, {"role": "user", "content": "Hello"}], store=False)


async def _chain(address: Address, turns: int) -> list[str]:
    ids: list[str] = []
    for _ in range(turns):
        before = {"previous_response_id": ids[-1]} if ids else {}
        ids.append(orjson.loads(await ask(address, respond(**before)))["id"])
    return ids


def of_conversations(cpu: dict[int, tuple[Series, Series]], few: int, many: int) -> list[Row]:
    """Return the rows, of CPU by id and by text, and of the statements of a request."""
    beyond = {turns: by_id.minus(by_text) for turns, (by_id, by_text) in cpu.items()}
    figures = [
        f"{turns} turns {beyond[turns]} µs: {by_id.median:.0f} less {by_text.median:.0f}"
        for turns, (by_id, by_text) in sorted(cpu.items(), reverse=True)
    ]
    return [
        Row(
            f"a conversation of {LONG} turns: statements of a request, over one of {SHORT}",
            f"{many}, {SHORT} turns {few}",
            f"{many / few:.2f}",
            "equal",
            passed=many == few,
        ),
        Row(
            f"a conversation of {LONG} turns: CPU of a request by its id, less that of the same text sent",
            "; ".join(figures),
            bound=f"at most that of {SHORT} turns",
            passed=beyond[LONG].median <= beyond[SHORT].median,
        ),
    ]


async def statements_of(file: Path, turns: int) -> int:
    """Return how many statements on responses SQLite runs for the last turn of a conversation."""
    structlog.configure(processors=[lambda *_: ""], logger_factory=structlog.ReturnLoggerFactory())
    async with EngineDouble() as engine:
        with _traced() as seen:
            orchestrator = Orchestrator(config_for(engine, database={"url": f"sqlite:///{file}"}))
            await orchestrator.start()
            try:
                body: dict[str, Any] = {"model": engine.model, "input": "Hello"}
                for _ in range(turns):
                    seen.clear()
                    async with orchestrator.client.post("/v1/responses", json=body) as answer:
                        body["previous_response_id"] = (await answer.json())["id"]
                return len(seen)
            finally:
                await orchestrator.stop()


@contextmanager
def _traced() -> Iterator[list[str]]:
    """Return the statements on the tables of responses from now on, but for those of triggers."""
    seen: list[str] = []
    connect = sqlite3.connect

    def note(statement: str) -> None:
        if "tandem_responses" in statement and not statement.startswith("--"):
            seen.append(statement)

    def connected(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.set_trace_callback(note)
        return connection

    with patch.object(sqlite3, "connect", connected):
        yield seen
