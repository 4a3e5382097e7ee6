"""The indexes of vector stores, each by its id."""

import asyncio
import re
from collections.abc import Sequence
from struct import unpack
from typing import TYPE_CHECKING, Any, Final

import orjson

from tandem_orchestrator.retrieval.fusion import fused
from tandem_orchestrator.retrieval.index.piece import Embedded, Found, Query
from tandem_orchestrator.store.database import Conflict, Database

if TYPE_CHECKING:
    from tandem_orchestrator.retrieval.index.statements import Statements
    from tandem_orchestrator.store.statement import Row, Step

WORD: Final = re.compile(r"\w+")
MOST_WORDS: Final = 32  # of a question


class Indexes:
    """Every call raises `DatabaseDown`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, index_id: str, dimension: int) -> None:
        """Make the tables of an index, if they are not there yet; its vectors have `dimension` numbers, 0 for none."""
        made = _of(index_id)
        try:
            if dimension:
                await self._database.write([_step(_extension())])
            await self._database.write([_step(statement) for statement in made.create(dimension)])
        except Conflict:  # another process makes them at this moment
            await self._database.write([_step(statement) for statement in made.create(dimension)])

    async def drop(self, index_id: str) -> None:
        """Take an index away, if it is there."""
        await self._database.write([_step(statement) for statement in _of(index_id).drop])

    def adding(self, index_id: str, pieces: Sequence[Embedded]) -> "list[Step]":
        """Return what adds pieces; one that is there already stays as it is."""
        rows = [piece._asdict() | {"vector": self._vector(piece.vector)} for piece in pieces]
        return [_step(_of(index_id).add, rows)]

    def removing(self, index_id: str, file_id: str) -> "list[Step]":
        """Return what takes all pieces of a file away."""
        return [_step(_of(index_id).remove, [{"file_id": file_id}])]

    async def texts(self, index_id: str, file_id: str, after: int, most: int) -> list[Embedded]:
        """Return pieces of a file after number `after`, in their order, without vectors."""
        rows = await self._read(_of(index_id).texts, file_id=file_id, after=after, most=most)
        return [Embedded._make((*row[:6], None)) for row in rows]

    async def count(self, index_id: str) -> int:
        """Return how many pieces an index has."""
        ((number,),) = await self._read(_of(index_id).count)
        return int(number)

    async def tend(self, index_id: str) -> None:
        """Do what makes searches fast; needless most of the time."""

    async def search(self, index_id: str, query: Query) -> list[Found]:
        """Return the pieces that fit best, the best first."""
        by_meaning, by_words = query.weights
        vector = query.vector if by_meaning else None
        text = _question(query.text or "") if by_words else ""
        near, like = await asyncio.gather(self._near(index_id, query, vector), self._like(index_id, query, text))
        if not text:
            return [Found._make((*row[:5], min(1.0, max(0.0, row[5])))) for row in near]
        rows = {(row[0], row[1]): row for row in (*near, *like)}
        orders = [
            (weight, [(row[0], row[1]) for row in some]) for weight, some in ((by_meaning, near), (by_words, like))
        ]
        found = fused([order for order, wanted in zip(orders, (vector, text), strict=True) if wanted])
        return [Found._make((*rows[key][:5], score)) for key, score in found[: query.most]]

    async def _near(self, index_id: str, query: Query, vector: bytes | None) -> "list[Row]":
        if vector is None:
            return []
        return await self._found(_of(index_id).by_meaning, query, vector=self._vector(vector))

    async def _like(self, index_id: str, query: Query, text: str) -> "list[Row]":
        if not text:
            return []
        if self._database.is_postgresql:
            text = text.replace('"', "").replace(" OR ", " | ")
        return await self._found(_of(index_id).by_words, query, text=text)

    async def _found(self, statements: "dict[bool, Any]", query: Query, **parameters: Any) -> "list[Row]":
        if query.files is not None:
            parameters["files"] = orjson.dumps(query.files).decode()
        return await self._read(statements[query.files is not None], most=query.most, **parameters)

    def _vector(self, vector: bytes | None) -> bytes | str | None:
        if vector is None or not self._database.is_postgresql:
            return vector
        return str(list(unpack(f"<{len(vector) // 4}f", vector)))

    async def _read(self, statement: Any, **parameters: Any) -> "list[Row]":
        return await self._database.read(_step(statement, [parameters]))


def _question(text: str) -> str:
    """Return a question's words as FTS5 looks for any of them."""
    return " OR ".join(f'"{word}"' for word in dict.fromkeys(WORD.findall(text.lower())[:MOST_WORDS]))


def _step(statement: Any, rows: Sequence[dict[str, Any]] = ({},)) -> "Step":
    from tandem_orchestrator.store.statement import Step  # noqa: PLC0415 # SQL is imported late

    return Step(statement, rows)


def _of(index_id: str) -> "Statements":
    from tandem_orchestrator.retrieval.index import statements  # noqa: PLC0415

    return statements.of(index_id)


def _extension() -> Any:
    from tandem_orchestrator.retrieval.index import statements  # noqa: PLC0415

    return statements.EXTENSION
