"""What a database takes for the rows of responses alone: the INSERT of the orchestrator, in a transaction each.

    .venv/bin/python -m bench.bare_writes URL CONNECTIONS SECONDS

The tables are those of an orchestrator that has kept a response of tenant `bench` there; each row is that one with
another id. Prints JSON: the median time of a transaction in µs, and how many a second there were. A SQLite file has one
writer at a time, so it has one connection.
"""

import argparse
import asyncio
import sqlite3
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import asyncpg
import orjson
import uvloop
from tandem_orchestrator.responses import ids, statements
from tandem_orchestrator.store.statement import Compiled

SQLITE: Final = "sqlite:///"
TEMPLATE: Final = "SELECT * FROM tandem_responses WHERE tenant = 'bench' AND previous_id IS NULL LIMIT 1"

Written = dict[str, float]
Arguments = Callable[[], Sequence[Any]]


def of_file(path: str, seconds: float) -> Written:
    """Write with the settings of the orchestrator's connection."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("foreign_keys=ON", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}")
    found = connection.execute(TEMPLATE)
    row = dict(zip([column[0] for column in found.description], found.fetchone(), strict=True))
    found.close()
    statement = statements.ADD.sqlite
    times, arguments, begun = [], arguments_of(statement, row), time.perf_counter()
    while time.perf_counter() - begun < seconds:
        values, started = arguments(), time.perf_counter()
        connection.execute(statement.sql, values)  # no BEGIN: it is a transaction of its own
        times.append(time.perf_counter() - started)
    connection.close()
    return written(times, time.perf_counter() - begun)


async def of_server(url: str, connections: int, seconds: float) -> Written:
    """Write on as many connections at once."""
    opened = [await asyncpg.connect(url) for _ in range(connections)]
    row = dict(await opened[0].fetchrow(TEMPLATE))
    statement = statements.ADD.postgresql
    times: list[float] = []
    arguments, begun = arguments_of(statement, row), time.perf_counter()

    async def work(connection: Any) -> None:
        while time.perf_counter() - begun < seconds:
            values, started = arguments(), time.perf_counter()
            await connection.fetch(statement.sql, *values)
            times.append(time.perf_counter() - started)

    await asyncio.gather(*map(work, opened))
    took = time.perf_counter() - begun
    await asyncio.gather(*(connection.close() for connection in opened))
    return written(times, took)


def arguments_of(statement: Compiled, row: dict[str, Any]) -> Arguments:
    """Return what makes the arguments of one row after the other."""
    return lambda: statement.arguments({**row, "id": ids.response()})


def written(times: list[float], seconds: float) -> Written:
    return {"p50": statistics.median(times) * 1e6, "per_second": len(times) / seconds}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("connections", type=int)
    parser.add_argument("seconds", type=float)
    options = parser.parse_args()
    if options.url.startswith(SQLITE):
        outcome = of_file(options.url.removeprefix(SQLITE), options.seconds)
    else:
        outcome = uvloop.run(of_server(options.url, options.connections, options.seconds))
    print(orjson.dumps(outcome).decode())
