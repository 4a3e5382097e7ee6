"""The vectors of an index in PostgreSQL: by pgvector's HNSW once there are many, exactly where few are asked about."""

from array import array
from collections.abc import Sequence
from math import isnan
from typing import Any, Final

from tandem_orchestrator.retrieval.index.chunks import spelled
from tandem_orchestrator.retrieval.index.tables import INDEXED, Tables
from tandem_orchestrator.store.database import Database
from tandem_orchestrator.store.statement import Row, Step, TextStatement

HNSW_FROM: Final = 5_000
"""Chunks from which HNSW pays; below, each is compared."""
FEW: Final = 3_000
"""Chunks of the files asked about that are all compared, as HNSW would pass by too many others."""
OVER: Final = 2
"""How many chunks HNSW finds, with floats of 16 bits, for each one that is asked for."""


class PostgresqlVectors:
    """Searches vectors of one index."""

    def __init__(self, database: Database, tables: Tables) -> None:
        self._database = database
        self._tables = tables

    async def near(self, vector: array[float], files: Sequence[str] | None, most: int) -> list[tuple[int, float]]:
        """Return the nearest chunks' ids and cosine similarities, the nearest first."""
        tables = self._tables
        asked: dict[str, Any] = {"vector": spelled(vector), "files": files, "most": most, "many": OVER * most}
        if files is None:
            return _similar(await self._read(tables.near, **asked))
        if (await self._read(tables.count_of_files, files=files, most=FEW + 1))[0][0] > FEW:
            found = await self._read(tables.near_of_files, **asked)
            if len(found) == most:
                return _similar(found)
        return _similar(await self._read(tables.exact_of_files, **asked))

    async def tend(self, _: int, last: int) -> None:
        """Build HNSW once it pays, unless another process does; what a broken build left is built anew."""
        if last < HNSW_FROM or self._tables.dimension > INDEXED:
            return
        name = self._tables.near_index
        if (built := await self._read(self._tables.built, name=name)) and built[0][0]:
            return
        lock = int(name[-15:], 16)
        drop = f"DROP INDEX CONCURRENTLY IF EXISTS {name}"
        await self._database.unhurried(
            lock, [drop, "SET maintenance_work_mem = '256MB'", self._tables.hnsw, f"ANALYZE {self._tables.chunks}"]
        )

    async def _read(self, statement: TextStatement, **parameters: Any) -> list[Row]:
        return await self._database.read(Step(statement, [parameters]))


def _similar(rows: list[Row]) -> list[tuple[int, float]]:
    """Return cosine similarities of distances; to a vector of zeros, which is NaN and comes last, it is 0."""
    return [(id_, 0.0 if isnan(distance) else 1 - distance) for id_, distance in rows]
