"""The vectors of an index in SQLite: first by their signs, then exactly.

Chunks that `tend` has not come to are compared exactly: a search needs nothing but what `adding` wrote.
"""

import asyncio
from array import array
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import orjson

from tandem_orchestrator.retrieval.index import signs
from tandem_orchestrator.retrieval.index.tables import Tables
from tandem_orchestrator.store.database import Database
from tandem_orchestrator.store.statement import Row, Step, TextStatement

REST: Final = 1_000
"""Chunks whose signs may be missing."""
FOLDED: Final = 2_000
"""Chunks whose signs are written at once."""
CANDIDATES: Final = 400
"""Vectors that are compared exactly, at least."""
OVER: Final = 10
"""How many for each chunk that is asked for."""
ALL: Final = 1 << 40


class SqliteVectors:
    """Searches vectors of one index."""

    def __init__(self, database: Database, tables: Tables) -> None:
        self._database = database
        self._tables = tables

    async def near(self, vector: array[float], files: Sequence[str] | None, most: int) -> list[tuple[int, float]]:
        """Return the nearest chunks' ids and cosine similarities, the nearest first."""
        tables, query, of_files = self._tables, vector.tobytes(), {"files_json": orjson.dumps(files).decode()}
        unfolded, folded = (tables.rest, tables.near) if files is None else (tables.rest_of_files, tables.near_of_files)
        # In this order, by one thread: what is folded in between is found twice, and not never.
        rest, blocks = await asyncio.gather(
            self._read(unfolded, after=None, most=ALL, **of_files), self._read(folded, **of_files)
        )
        signed = [(row[0], row[1]) for row in blocks]
        near = await asyncio.to_thread(signs.candidates, signed, query, max(CANDIDATES, OVER * most))
        rows = await self._read(tables.embeddings, ids_json=orjson.dumps(near).decode()) if near else []
        vectors = {row[0]: row[1] for row in (*rows, *rest)}
        return await asyncio.to_thread(signs.nearest, [*vectors.items()], query, most)

    async def tend(self, folded: int, last: int) -> None:
        """Write the signs of what came since the last time, once it is much."""
        if last - folded < REST:
            return
        while rows := await self._read(self._tables.rest, after=folded, most=FOLDED):
            await self._database.write(await asyncio.to_thread(self._folding, rows, folded))
            folded = rows[-1][0]

    def _folding(self, rows: list[Row], before: int) -> list[Step]:
        blocks = []
        for file_id, group in groupby(sorted(rows, key=itemgetter(2, 0)), key=itemgetter(2)):
            of_file = [*group]
            ids = [row[0] for row in of_file]
            block = {"ids": signs.packed_ids(ids), "signs": signs.packed([row[1] for row in of_file])}
            blocks.append({"file_id": file_id, "first": ids[0], "before": before, **block})
        progress = {"before": before, "after": rows[-1][0]}
        return [Step(self._tables.fold, blocks), Step(self._tables.folded, [progress])]

    async def _read(self, statement: TextStatement, **parameters: Any) -> list[Row]:
        return await self._database.read(Step(statement, [parameters]))
