"""The indexes: chunks and their vectors, kept and searched in the database."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import orjson

from tandem_orchestrator.errors import BadRequest, DatabaseDown
from tandem_orchestrator.retrieval.fusion import Ranking, fused
from tandem_orchestrator.retrieval.index.chunks import Embedded, Found, Kept, Query, floats, spelled
from tandem_orchestrator.retrieval.index.terms import telling, tells, terms, tsvector
from tandem_orchestrator.store.database import Conflict, Database, Denied

if TYPE_CHECKING:  # what speaks SQL is imported late
    from tandem_orchestrator.retrieval.index.postgresql import PostgresqlVectors
    from tandem_orchestrator.retrieval.index.sqlite import SqliteVectors
    from tandem_orchestrator.retrieval.index.tables import Tables
    from tandem_orchestrator.store.statement import Row, Step, TextStatement

INDEX_ID: Final = re.compile(r"[0-9a-f]{32}")
MOST: Final = 200
"""Chunks that one search finds."""
MOST_DIMENSIONS: Final = 16_000
"""As pgvector."""
DEEP: Final = 50
"""How far into each ranking fusion looks at least."""
COUNT_FROM: Final = 50
"""Chunks from which it shows which words are common."""
GROWN: Final = 1.25
SAMPLE: Final = 3_000
"""Chunks whose words are counted; a word that fewer than `SEEN` of them have is rare."""
SEEN: Final = 6
SEARCHED: Final = 2_000
"""Chunks that have the words which are looked for, all of these together."""
SEARCHED_SHARE: Final = 0.02
"""Of all chunks, where that is more."""
REMOVED: Final = 20
"""Chunks of a file that are removed at once in SQLite."""
SLICE: Final = 1_000
"""Chunks that are deleted at once where a whole index goes, so that other writers have their turn."""
NOTHING: Final = (1.0,)
"""The vector of a chunk that has none, and that nobody looks at."""
NO_RIGHTS: Final = (
    "the database's role may not make tables for vector stores; run `GRANT CREATE ON SCHEMA public TO <role>` as one "
    "that may"
)
NO_EXTENSION: Final = (
    "the database lacks the extension pgvector, and its role may not add it; install pgvector 0.8 or later on the "
    "server, and run `CREATE EXTENSION vector` in this database as an administrator"
)
NO_NUMPY: Final = (
    "vector stores on SQLite need NumPy: install tandem-orchestrator[sqlite-vectors], or use PostgreSQL with pgvector"
)


class Indexes:
    """What holds the chunks of vector stores, each version of a store in an index of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def index(self, index_id: str, dimension: int) -> "Index":
        """Return an index, of which there is nothing before `create`: `index_id` is 32 hexadecimal digits.

        With the `dimension` 0 it is searched by words alone.
        """
        if not INDEX_ID.fullmatch(index_id):  # it stands in the names of tables
            raise ValueError(f"{index_id!r} is not 32 hexadecimal digits in lower case")
        if not 0 <= dimension <= MOST_DIMENSIONS:
            raise BadRequest(f"vectors have up to {MOST_DIMENSIONS} dimensions, not {dimension}", param="dimension")
        return Index(self._database, index_id, dimension)


class Index:
    """The chunks of one version of a vector store. All that asks the database raises `DatabaseDown`."""

    def __init__(self, database: Database, index_id: str, dimension: int) -> None:
        self.id = index_id
        self.dimension = dimension or len(NOTHING)
        self._by_words = not dimension
        self._database = database

    async def create(self) -> None:
        """Make its tables, where there are none. Raises `DatabaseDown` that says what an administrator has to do."""
        system = await self._database.system()
        if system == "sqlite" and not self._by_words and find_spec("numpy") is None:
            raise _unusable(NO_NUMPY)
        if system == "postgresql":
            await self._add_extension()
        try:
            await self._define(self._tables.create(system))
        except Denied as denied:
            raise _unusable(f"{NO_RIGHTS} ({denied})") from None

    async def drop(self) -> None:
        """Remove it and all that it holds."""
        system = await self._database.system()
        if system == "sqlite" and await self._read(_tables_module().EXISTS, name=self._tables.chunks):
            await self._empty()
        await self._define(self._tables.drop(system))

    def adding(self, chunks: Iterable[Embedded]) -> "list[Step]":
        """Return the steps that keep chunks; one whose file and position are there already changes nothing.

        Raises `BadRequest` for a vector of another dimension.
        """
        return [_step(self._tables.add, [self._row(chunk) for chunk in chunks])]

    def removing(self, file_id: str) -> "list[Step]":
        """Return the steps that remove the chunks of a file at once; `remove` is better where there are many."""
        return [_step(statement, [{"file_id": file_id}]) for statement in self._tables.remove]

    async def remove(self, file_id: str) -> None:
        """Remove the chunks of a file.

        SQLite takes some milliseconds for each, as it overwrites its words; others write meanwhile. Which words are
        common is learned anew when `tend` is called next.
        """
        if await self._database.system() == "sqlite":
            slice_ = {"file_id": file_id, "most": REMOVED}
            while await self.texts(file_id, -1, 1):
                await self._database.write([_step(self._tables.remove_some_of_file, [slice_])])
        await self._database.write(self.removing(file_id))

    async def search(self, query: Query) -> list[Found]:
        """Return the chunks that answer best, the best first. Raises `BadRequest`."""
        if not 0 < query.most <= MOST:
            raise BadRequest(f"a search finds from 1 to {MOST} chunks, not {query.most}")
        if query.files is not None and not query.files:
            return []
        words = terms(query.text) if query.text and query.text_weight > 0 else []
        vector = query.vector if query.vector_weight > 0 else None
        if vector is not None and words:
            most = max(query.most, DEEP)
            near, worded = await asyncio.gather(
                self._near(vector, query.files, most), self._with_words(words, query.files, most)
            )
            rankings = [
                Ranking(query.vector_weight, [(chunk, 1.0) for chunk, _ in near]),
                Ranking(query.text_weight, worded),
            ]
            return await self._found(fused(rankings, query.most))
        if vector is not None:
            near = await self._near(vector, query.files, query.most)
            return await self._found([(chunk, min(1.0, max(0.0, score))) for chunk, score in near])
        worded = await self._with_words(words, query.files, query.most) if words else []
        return await self._found(fused([Ranking(1.0, worded)], query.most) if worded else [])

    async def texts(self, file_id: str, after: int, most: int) -> list[Kept]:
        """Return up to `most` chunks of a file, in their order, from behind a position on (-1: from the first)."""
        rows = await self._read(self._tables.page, file_id=file_id, after=after, most=most)
        return [Kept(*row) for row in rows]

    async def count(self) -> int:
        """Return how many chunks it holds."""
        rows = await self._read(self._tables.count)
        return int(rows[0][0])

    async def tend(self) -> None:
        """Do what makes searches fast, as far as it has grown: to be called after each file, mostly for nothing."""
        folded, counted, last = (await self._read(self._tables.progress))[0]
        if not self._by_words:
            await (await self._vectors()).tend(folded, last)
        if last >= COUNT_FROM and last >= GROWN * counted:
            await self._learn_words(last)

    @property
    def _tables(self) -> "Tables":
        found: Tables = _tables_module().tables(self.id, self.dimension)
        return found

    async def _vectors(self) -> "SqliteVectors | PostgresqlVectors":
        if await self._database.system() == "sqlite":
            from tandem_orchestrator.retrieval.index.sqlite import SqliteVectors  # noqa: PLC0415 # as TYPE_CHECKING

            return SqliteVectors(self._database, self._tables)
        from tandem_orchestrator.retrieval.index.postgresql import PostgresqlVectors  # noqa: PLC0415 # as above

        return PostgresqlVectors(self._database, self._tables)

    async def _near(self, vector: Sequence[float], files: Sequence[str] | None, most: int) -> list[tuple[int, float]]:
        asked = floats(vector, self.dimension)
        return await (await self._vectors()).near(asked, files, most)

    async def _with_words(self, words: list[str], files: Sequence[str] | None, most: int) -> list[tuple[int, float]]:
        """Return the chunks that have the words, each with how far it has them all, the best first.

        That is the share of what the words tell, squared: a piece with a word or two of a long question, which are
        there by chance, must not count as much as one that is near in meaning.
        """
        found = await self._read(self._tables.shares, terms=[*set(words)], terms_json=_json([*set(words)]))
        shares = {term: float(share) for term, share in found}
        chunks = shares.pop("") or 1.0
        asked = telling(words, shares, max(SEARCHED_SHARE, SEARCHED / chunks))
        told = [tells(term, shares) for term in asked]
        rows = await self._read(
            self._tables.with_words if files is None else self._tables.with_words_of_files,
            match=" OR ".join(f'"{term}"' for term in asked),
            asked_json=_json([*zip(asked, told, strict=True)]),
            terms=[f"'{term}'" for term in asked],
            tells=told,
            query=" | ".join(f"'{term}'" for term in asked),
            files=files,
            files_json=_json(files),
            many=4 * most,
            most=most,
        )
        whole = sum(tells(term, shares) for term in set(words))
        return [(chunk, min(1.0, part / whole) ** 2) for chunk, part in rows]

    async def _found(self, scores: list[tuple[int, float]]) -> list[Found]:
        if not scores:
            return []
        ids = [chunk for chunk, _ in scores]
        rows = {row[0]: row[1:] for row in await self._read(self._tables.details, ids=ids, ids_json=_json(ids))}
        found = ((Kept(*rows[chunk]), score) for chunk, score in scores if chunk in rows)  # else just removed
        return [Found(*chunk[:5], score) for chunk, score in found]

    async def _learn_words(self, last: int) -> None:
        ids = [*range(1, last + 1, max(1, last // SAMPLE))]
        rows = await self._read(self._tables.sample, ids=ids, ids_json=_json(ids))
        shares = await asyncio.to_thread(_shares, [row[0] for row in rows])
        await self._database.write(
            [
                _step(self._tables.forget_words, [{}]),
                *([_step(self._tables.learn_words, shares)] if shares else []),
                _step(self._tables.counted, [{"counted": last}]),
            ]
        )

    async def _empty(self) -> None:
        await self._define(self._tables.drop_text())
        while await self._read(self._tables.any_chunk):
            await self._database.write([_step(self._tables.remove_some, [{"most": SLICE}])])

    async def _add_extension(self) -> None:
        sql = _tables_module()
        if not await self._read(sql.HAS_VECTORS):
            try:
                await self._define(sql.one(sql.ADD_VECTORS))
            except Denied as denied:
                raise _unusable(f"{NO_EXTENSION} ({denied})") from None
            if not await self._read(sql.HAS_VECTORS):
                raise _unusable("the database has a pgvector before 0.8; run `ALTER EXTENSION vector UPDATE`")

    async def _define(self, job: "list[Step]") -> None:
        try:
            await self._database.define(job)
        except Conflict:  # another process did it at the same moment
            await self._database.define(job)

    async def _read(self, statement: "TextStatement", **parameters: Any) -> "list[Row]":
        return await self._database.read(_step(statement, [parameters]))

    def _row(self, chunk: Embedded) -> dict[str, Any]:
        vector = floats(NOTHING if chunk.vector is None else chunk.vector, self.dimension)
        text = chunk.text.replace("\0", " ")  # which PostgreSQL takes nowhere
        heading = chunk.heading.replace("\0", " ")
        words = terms(f"{heading} {text}")
        return {
            "file_id": chunk.file_id,
            "position": chunk.position,
            "text": text,
            "page": chunk.page,
            "heading": heading,
            "tokens": chunk.tokens,
            "vector": spelled(vector),
            "embedding": vector.tobytes(),
            "words": tsvector(words),
            "spelled": " ".join(words),
        }


def _shares(texts: list[str]) -> list[dict[str, Any]]:
    """Return the words that are not rare, and the share of the texts that has each."""
    seen = Counter(term for text in texts for term in set(terms(text)))
    return [{"term": term, "share": times / len(texts)} for term, times in seen.items() if times >= SEEN]


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _step(statement: "TextStatement", parameters: "Sequence[dict[str, Any]]") -> "Step":
    step: Step = _tables_module().Step(statement, parameters)
    return step


def _tables_module() -> Any:
    from tandem_orchestrator.retrieval.index import tables  # noqa: PLC0415 # imports SQLAlchemy: 30 MB

    return tables


def _unusable(problem: str) -> DatabaseDown:
    return DatabaseDown(problem, retry_after=60, code="vectors_unavailable")
