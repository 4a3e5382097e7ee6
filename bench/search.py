"""How fast and how well chunks are found: in SQLite beside sqlite-vec, in PostgreSQL beside an exact scan.

    .venv/bin/python -m bench.search                 about fifteen minutes on a quiet machine; prints only
    .venv/bin/python -m bench.search --chunks 20000  what is to be seen with fewer
    .venv/bin/python -m bench.search sqlite          only that database

Each round asks the same questions in all ways; a ratio is of the 95th percentiles of one round. The exact scan and
sqlite-vec compare with all chunks, filter or not. A missed bound is said, and fails nothing.
"""

import argparse
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final
from uuid import uuid4

import asyncpg
import numpy as np
import sqlite_vec
from tandem_contract.config import Database as Settings
from tandem_orchestrator.retrieval.index.chunks import Query
from tandem_orchestrator.retrieval.index.indexes import Index, Indexes
from tandem_orchestrator.store.database import Database

from bench import report
from bench.passages import DIMENSIONS, Passages
from hack import path, progress
from tests.sockets.postgres import FAST, running_postgres

ROUNDS: Final = 3
QUESTIONS: Final = 40
FOUND: Final = 10
SHARES: Final = (0.01, 0.1, 0.5)
AT_ONCE: Final = 500  # chunks in a transaction
ADDED: Final = 3_000  # chunks by which the rate of adding is measured
POSTGRESQL: Final = (*(setting for setting in FAST if "shared_buffers" not in setting), "shared_buffers=1GB")
RECALL: Final = 0.95
FASTER: Final = {"sqlite": 4, "postgresql": 10}

Ask = Callable[[int], Awaitable[Any]]


@dataclass(frozen=True)
class Place:
    """A database, and what searches all of it in the plain way."""

    system: str
    database: Database
    indexes: Indexes
    plainly: Callable[[Index, Passages], Any]

    async def filled(self, passages: Passages, chunks: int) -> tuple[Index, float]:
        """Return an index that holds chunks, and how many of them a second were added before it was tended."""
        index = self.indexes.index(uuid4().hex, DIMENSIONS)
        await index.create()
        seconds = await self.add(index, passages, 0, chunks)
        await index.tend()
        return index, chunks / seconds

    async def add(self, index: Index, passages: Passages, first: int, end: int) -> float:
        began = perf_counter()
        for start in range(first, end, AT_ONCE):
            await self.database.write(index.adding(passages.chunks(start, min(end, start + AT_ONCE))))
        return perf_counter() - began


async def measure(place: Place, chunks: int) -> list[report.Row]:
    """Return the rows of one database."""
    name = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[place.system]
    passages = Passages.like_embeddings(2 * chunks, QUESTIONS)
    half = Passages(passages.vectors[:chunks], passages.questions, passages.words[:chunks], passages.asked)
    with progress.step(f"{name}: {chunks} chunks"):
        index, rate = await place.filled(half, chunks)
    filters = {share: half.share_of_files(share) for share in SHARES}
    ways: dict[str, Ask] = {"vector": _vector(index, half), "hybrid": _hybrid(index, half)}
    ways |= {f"{share:.0%}": _vector(index, half, files) for share, files in filters.items()}
    async with place.plainly(index, half) as plain:
        with progress.step(f"{name}: searches"):
            p95 = await _rounds({"plain": plain, **ways})
    with progress.step(f"{name}: recall"):
        recalls = {"all": await _recall(index, half, None)}
        recalls |= {f"{share:.0%}": await _recall(index, half, files) for share, files in filters.items()}
    rows = [
        report.at_least(
            f"{name}: p95 of the plain scan over a search of {'all' if way == 'vector' else way}",
            f"{p95['plain'].median:.1f} / {p95[way].median:.1f} ms",
            p95["plain"].over(p95[way]),
            FASTER[place.system],
        )
        for way in ("vector", *(f"{share:.0%}" for share in SHARES))
    ]
    rows += [
        report.at_least(f"{name}: recall@{FOUND}, {share} of the files", "", report.Series([recall]), RECALL)
        for share, recall in recalls.items()
    ]
    hybrid = p95["hybrid"].over(p95["vector"])
    figures = f"{p95['hybrid'].median:.1f} / {p95['vector'].median:.1f} ms"
    rows.append(report.at_most(f"{name}: p95 of hybrid search over vectors alone", figures, hybrid, 2))
    rows += await _growth(place, name, passages, (index, half, rate))
    rows.append(await _worst(place, name, chunks))
    return rows


async def _growth(
    place: Place, name: str, passages: Passages, before: tuple[Index, Passages, float]
) -> list[report.Row]:
    index, half, rate = before
    chunks = len(half.vectors)
    with progress.step(f"{name}: {2 * chunks} chunks"):
        twice, _ = await place.filled(passages, 2 * chunks)
    p95 = await _rounds({"once": _vector(index, half), "twice": _vector(twice, passages)})
    figures = f"{p95['twice'].median:.1f} / {p95['once'].median:.1f} ms"
    rows = [
        report.at_most(
            f"{name}: p95 at {2 * chunks} chunks over {chunks}", figures, p95["twice"].over(p95["once"]), 2.2
        )
    ]
    seconds = await place.add(index, passages, chunks, chunks + ADDED)
    rows.append(
        report.Row(
            f"{name}: chunks added a second, to {chunks} that were tended / to none",
            f"{ADDED / seconds:.0f} / {rate:.0f}",
        )
    )
    await index.drop()
    await twice.drop()
    return rows


async def _worst(place: Place, name: str, chunks: int) -> report.Row:
    with progress.step(f"{name}: isotropic"):
        passages = Passages.isotropic(chunks, QUESTIONS)
        index, _ = await place.filled(passages, chunks)
        recall = await _recall(index, passages, None)
        await index.drop()
    return report.Row(f"{name}: recall@{FOUND} where nothing is near", f"{recall:.2f}")


async def _rounds(ways: dict[str, Ask]) -> dict[str, report.Series]:
    """Return the 95th percentile of each round in milliseconds."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for ask in ways.values():
        await ask(0)
    for _ in range(ROUNDS):
        took: dict[str, list[float]] = {name: [] for name in ways}
        for question in range(QUESTIONS):
            for name, ask in ways.items():
                began = perf_counter()
                await ask(question)
                took[name].append(perf_counter() - began)
        for name, seconds in took.items():
            found[name].append(1e3 * float(np.percentile(seconds, 95)))
    return {name: report.Series(values) for name, values in found.items()}


async def _recall(index: Index, passages: Passages, files: Sequence[str] | None) -> float:
    right = 0
    for question in range(QUESTIONS):
        found = await index.search(Query(FOUND, vector=passages.questions[question].tolist(), files=files))
        right += len({each[:2] for each in found} & passages.nearest(question, FOUND, files))
    return right / (FOUND * QUESTIONS)


def _vector(index: Index, passages: Passages, files: Sequence[str] | None = None) -> Ask:
    queries = [Query(FOUND, vector=vector, files=files) for vector in passages.questions.tolist()]
    return lambda question: index.search(queries[question])


def _hybrid(index: Index, passages: Passages) -> Ask:
    asked = zip(passages.questions.tolist(), passages.asked, strict=True)
    queries = [Query(FOUND, vector=vector, text=text) for vector, text in asked]
    return lambda question: index.search(queries[question])


@asynccontextmanager
async def _sqlite_vec(_: Index, passages: Passages) -> AsyncIterator[Ask]:
    """Fill a vec0 table of floats, and search it; in this thread, which costs nothing beside."""
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        connection = sqlite3.connect(Path(folder) / "vec.db")
        connection.enable_load_extension(True)  # noqa: FBT003 # as sqlite3 has it
        sqlite_vec.load(connection)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"CREATE VIRTUAL TABLE vec USING vec0(e float[{DIMENSIONS}] distance_metric=cosine)")
        rows = ((n, vector.tobytes()) for n, vector in enumerate(passages.vectors))
        connection.executemany("INSERT INTO vec (rowid, e) VALUES (?, ?)", rows)
        connection.commit()
        search = f"SELECT rowid, distance FROM vec WHERE e MATCH ? AND k = {FOUND}"

        async def ask(question: int) -> None:
            connection.execute(search, (passages.questions[question].tobytes(),)).fetchall()

        yield ask
        connection.close()


def _exactly(url: str) -> Callable[[Index, Passages], Any]:
    @asynccontextmanager
    async def scan(index: Index, passages: Passages) -> AsyncIterator[Ask]:
        connection = await asyncpg.connect(url)
        sql = (
            f"SELECT id, text FROM tandem_chunks_{index.id} "
            f"ORDER BY embedding <=> CAST(CAST($1 AS real[]) AS vector) LIMIT {FOUND}"
        )

        async def ask(question: int) -> None:
            await connection.fetch(sql, passages.questions[question].tolist())

        yield ask
        await connection.close()

    return scan


async def run(systems: Sequence[str], chunks: int) -> list[report.Row]:
    """Measure one database after the other."""
    rows: list[report.Row] = []
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder, running_postgres(POSTGRESQL) as postgres:
        for system in systems:
            url = f"sqlite:///{folder}/tandem.db" if system == "sqlite" else await postgres.create()
            database = Database(Settings(url=url, statement_timeout_seconds=60))
            plainly = _sqlite_vec if system == "sqlite" else _exactly(url)
            rows += await measure(Place(system, database, Indexes(database), plainly), chunks)
            await database.close()
    return rows


def main() -> int:
    """Print the rows."""
    parser = argparse.ArgumentParser(
        prog="python3 -m bench.search", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("systems", nargs="*", choices=[*FASTER, []], help="only these")
    options = parser.parse_args()
    return report.printed(run(options.systems or [*FASTER], options.chunks))


if __name__ == "__main__":
    path.confine()
    sys.exit(main())
