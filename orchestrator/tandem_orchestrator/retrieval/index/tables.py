"""The tables of one index, and what is asked of them. Imported when one is first used, as it imports SQLAlchemy.

Each index has tables of its own, whose names end with its id:
`tandem_chunks_` chunks with their vectors;
`tandem_words_`  words that many chunks have, with the share of chunks that do;
`tandem_state_`  one row: how far `tend` has come;
and in SQLite `tandem_blocks_`, the signs of many vectors of a file in one row, and `tandem_text_`, FTS5 over the words.
"""
# ruff: noqa: S608 # what is put into the SQL is names of tables, of ids that were checked

from functools import lru_cache
from typing import Final

from tandem_orchestrator.store.statement import Step, TextStatement

INDEXED: Final = 4_000
"""Dimensions that pgvector's HNSW takes at most, of 16-bit floats."""
ADD_RANK: Final = 5
TEND_RANKS: Final = (6, 7)

_COLUMNS: Final = "file_id, position, text, page, heading, tokens"
_OF_FILES: Final = {
    "sqlite": "c.file_id IN (SELECT value FROM json_each(:files_json))",
    "postgresql": "c.file_id = ANY(CAST(:files AS text[]))",
}
_VECTOR: Final = "CAST(CAST(:vector AS text) AS vector)"


class Tables:
    """Statements for one index; all read and write under `Database`'s rules."""

    def __init__(self, index_id: str, dimension: int) -> None:
        self.chunks = f"tandem_chunks_{index_id}"
        self.words = f"tandem_words_{index_id}"
        self.state = f"tandem_state_{index_id}"
        self.blocks = f"tandem_blocks_{index_id}"
        self.text = f"tandem_text_{index_id}"
        self.near_index = f"tandem_near_{index_id}"
        self.dimension = dimension
        self.add = self._add()
        self.remove = self._remove()
        self.near = self._near(filtered=False)
        self.near_of_files = self._near(filtered=True)
        self.exact_of_files = self._exact()
        self.with_words = self._with_words(filtered=False)
        self.with_words_of_files = self._with_words(filtered=True)
        self._read_statements()
        self._tend_statements()

    def create(self, system: str) -> list[Step]:
        """Return what makes the tables, where there are none."""
        statements = self._create_sqlite() if system == "sqlite" else self._create_postgresql()
        return _one_by_one([*statements, self._first_state()])

    def drop(self, system: str) -> list[Step]:
        """Return what drops the tables, where there are any."""
        more = (self.blocks,) if system == "sqlite" else ()
        return _one_by_one([f"DROP TABLE IF EXISTS {name}" for name in (*more, self.words, self.state, self.chunks)])

    def drop_text(self) -> list[Step]:
        """Return what drops SQLite's words, before chunks go one by one: each would take its words out by itself."""
        triggers = [f"DROP TRIGGER IF EXISTS {self.text}_{which}" for which in ("in", "out")]
        return _one_by_one([*triggers, f"DROP TABLE IF EXISTS {self.text}"])

    @property
    def hnsw(self) -> str:
        """What builds PostgreSQL's index of the vectors."""
        return (
            f"CREATE INDEX CONCURRENTLY {self.near_index} ON {self.chunks} "
            f"USING hnsw ((CAST(embedding AS halfvec({self.dimension}))) halfvec_cosine_ops)"
        )

    def _create_sqlite(self) -> list[str]:
        new, old = "new.id, new.words", "'delete', old.id, old.words"
        return [
            (  # the vector stands before the texts, so that it is read without them
                f"CREATE TABLE IF NOT EXISTS {self.chunks} (id INTEGER PRIMARY KEY AUTOINCREMENT, "
                "file_id TEXT NOT NULL, position INTEGER NOT NULL, page INTEGER, tokens INTEGER NOT NULL, "
                f"embedding BLOB NOT NULL "
                f"CHECK (length(embedding) = {4 * self.dimension}), heading TEXT NOT NULL, text TEXT NOT NULL, "
                "words TEXT NOT NULL, UNIQUE (file_id, position))"
            ),
            (
                f"CREATE TABLE IF NOT EXISTS {self.blocks} (file_id TEXT NOT NULL, first INTEGER NOT NULL, "
                "ids BLOB NOT NULL, signs BLOB NOT NULL, PRIMARY KEY (file_id, first))"
            ),
            (
                f"CREATE VIRTUAL TABLE IF NOT EXISTS {self.text} USING fts5(words, content='{self.chunks}', "
                "content_rowid='id', tokenize='unicode61 remove_diacritics 0')"
            ),
            f"INSERT INTO {self.text} ({self.text}, rank) VALUES ('secure-delete', 1)",
            (
                f"CREATE TRIGGER IF NOT EXISTS {self.text}_in AFTER INSERT ON {self.chunks} BEGIN "
                f"INSERT INTO {self.text} (rowid, words) VALUES ({new}); END"
            ),
            (
                f"CREATE TRIGGER IF NOT EXISTS {self.text}_out AFTER DELETE ON {self.chunks} BEGIN "
                f"INSERT INTO {self.text} ({self.text}, rowid, words) VALUES ({old}); END"
            ),
            *self._create_small(),
        ]

    def _create_postgresql(self) -> list[str]:
        return [
            (
                f"CREATE TABLE IF NOT EXISTS {self.chunks} (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
                "file_id TEXT NOT NULL, position INTEGER NOT NULL, page INTEGER, tokens INTEGER NOT NULL, "
                f"embedding vector({self.dimension}) NOT NULL, heading TEXT NOT NULL, text TEXT NOT NULL, "
                "words tsvector NOT NULL, UNIQUE (file_id, position))"
            ),
            f"CREATE INDEX IF NOT EXISTS {self.text} ON {self.chunks} USING gin (words)",
            *self._create_small(),
        ]

    def _create_small(self) -> list[str]:
        return [
            f"CREATE TABLE IF NOT EXISTS {self.words} (term TEXT PRIMARY KEY, share REAL NOT NULL)",
            (
                f"CREATE TABLE IF NOT EXISTS {self.state} (id INTEGER PRIMARY KEY, folded BIGINT NOT NULL, "
                "counted BIGINT NOT NULL)"
            ),
        ]

    def _first_state(self) -> str:
        return f"INSERT INTO {self.state} (id, folded, counted) VALUES (1, 0, 0) ON CONFLICT DO NOTHING"

    def _add(self) -> TextStatement:
        into = f"INSERT INTO {self.chunks} ({_COLUMNS}, embedding, words) VALUES "
        values = "(:file_id, :position, :text, :page, :heading, :tokens, "
        once = ") ON CONFLICT (file_id, position) DO NOTHING"
        return TextStatement(
            f"{into}{values}:embedding, :spelled{once}",
            f"{into}{values}{_VECTOR}, CAST(CAST(:words AS text) AS tsvector){once}",
            order=(ADD_RANK, ("file_id", "position")),
        )

    def _remove(self) -> list[TextStatement]:
        order = (ADD_RANK, ("file_id",))
        count_again = f"UPDATE {self.state} SET counted = 0"  # its words may be among those that `tend` learned
        chunks = f"DELETE FROM {self.chunks} WHERE file_id = :file_id"
        return [
            TextStatement(f"DELETE FROM {self.blocks} WHERE file_id = :file_id", "SELECT 1 WHERE false", order=order),
            TextStatement(chunks, chunks, order=order),
            TextStatement(count_again, count_again, order=order),
        ]

    def _near(self, *, filtered: bool) -> TextStatement:
        """Return signs in SQLite; in PostgreSQL the nearest, at first by what the index knows, then exactly."""
        where = {system: f"WHERE {condition}" if filtered else "" for system, condition in _OF_FILES.items()}
        half = f"halfvec({self.dimension})" if self.dimension <= INDEXED else f"vector({self.dimension})"
        return TextStatement(
            f"SELECT c.ids, c.signs FROM {self.blocks} c {where['sqlite']}",
            f"SELECT near.id, near.embedding <=> {_VECTOR} AS distance FROM (SELECT c.id, c.embedding "
            f"FROM {self.chunks} c {where['postgresql']} ORDER BY CAST(c.embedding AS {half}) <=> "
            f"CAST(CAST(:vector AS text) AS {half}) LIMIT CAST(:many AS integer)) AS near "
            "ORDER BY 2, 1 LIMIT CAST(:most AS integer)",
            long=True,
            replanned=filtered,
        )

    def _exact(self) -> TextStatement:
        """Return what compares with each chunk of some files: HNSW's expression is another one."""
        return TextStatement(
            "",
            f"SELECT c.id, c.embedding <=> {_VECTOR} AS distance FROM {self.chunks} c "
            f"WHERE {_OF_FILES['postgresql']} ORDER BY 2, 1 LIMIT CAST(:most AS integer)",
        )

    def _with_words(self, *, filtered: bool) -> TextStatement:
        """Return what finds chunks by words, each with what the words tell that it has: by BM25 in SQLite.

        In PostgreSQL, whose ranking does not know which words are rare, by what they tell (the sum of their inverse
        document frequencies), and then by its own ranking.
        """
        join = f"CROSS JOIN {self.chunks} c ON c.id = t.rowid" if filtered else ""
        of_files = f" AND {_OF_FILES['sqlite']}" if filtered else ""
        also = f" AND {_OF_FILES['postgresql']}" if filtered else ""
        return TextStatement(
            f"WITH found AS (SELECT t.rowid AS id, t.rank AS place FROM {self.text} t {join} "
            f"WHERE t.{self.text} MATCH :match{of_files} ORDER BY t.rank LIMIT :most) "
            "SELECT c.id, (SELECT total(a.value ->> 1) FROM json_each(:asked_json) a "
            "WHERE instr(' ' || c.words || ' ', ' ' || (a.value ->> 0) || ' ')) "
            f"FROM found CROSS JOIN {self.chunks} c USING (id) ORDER BY found.place",
            "WITH asked AS (SELECT * FROM unnest(CAST(CAST(:terms AS text[]) AS tsquery[]), CAST(:tells AS float8[])) "
            "AS a (term, tells)), "
            f"found AS (SELECT c.id, sum(a.tells) AS told FROM asked a JOIN {self.chunks} c ON c.words @@ a.term{also} "
            "GROUP BY c.id ORDER BY 2 DESC, 1 LIMIT CAST(:many AS integer)) "
            f"SELECT c.id, found.told FROM found JOIN {self.chunks} c USING (id) ORDER BY found.told DESC, "
            "ts_rank(c.words, CAST(CAST(:query AS text) AS tsquery), 1) DESC, c.id LIMIT CAST(:most AS integer)",
            long=True,
            replanned=filtered,
        )

    def _read_statements(self) -> None:
        by_id = ("id IN (SELECT value FROM json_each(:ids_json))", "id = ANY(CAST(:ids AS bigint[]))")
        details, texts = [f"SELECT id, {_COLUMNS} FROM {self.chunks} WHERE {each}" for each in by_id], by_id
        self.details = TextStatement(*details)
        self.sample = TextStatement(*(f"SELECT text FROM {self.chunks} WHERE {each}" for each in texts), long=True)
        self.embeddings = TextStatement(
            f"SELECT id, embedding FROM {self.chunks} WHERE {by_id[0]}", "SELECT 1", long=True
        )
        chunks = f"UNION ALL SELECT '', coalesce(max(id), 0) FROM {self.chunks}"  # or some more, and '' is no word
        self.shares = TextStatement(
            f"SELECT term, share FROM {self.words} WHERE term IN (SELECT value FROM json_each(:terms_json)) {chunks}",
            f"SELECT term, share FROM {self.words} WHERE term = ANY(CAST(:terms AS text[])) {chunks}",
        )
        page = (
            f"SELECT {_COLUMNS} FROM {self.chunks} WHERE file_id = :file_id AND position > CAST(:after AS integer) "
            "ORDER BY position LIMIT CAST(:most AS integer)"
        )
        self.page = TextStatement(page, page)
        count = f"SELECT count(*) FROM {self.chunks}"
        self.count = TextStatement(count, count, long=True)
        self.count_of_files = TextStatement(
            "",
            f"SELECT count(*) FROM (SELECT 1 FROM {self.chunks} c WHERE {_OF_FILES['postgresql']} "
            "LIMIT CAST(:most AS integer)) AS few",
        )

    def _tend_statements(self) -> None:
        progress = f"SELECT s.folded, s.counted, (SELECT coalesce(max(id), 0) FROM {self.chunks}) FROM {self.state} s"
        self.progress = TextStatement(progress, progress)
        rest = (
            f"SELECT c.id, c.embedding, c.file_id FROM {self.chunks} c "
            f"WHERE c.id > coalesce(:after, (SELECT folded FROM {self.state})) "
        )
        order = "ORDER BY c.id LIMIT :most"
        self.rest = TextStatement(rest + order, "SELECT 1", long=True)
        self.rest_of_files = TextStatement(f"{rest} AND {_OF_FILES['sqlite']} {order}", "SELECT 1", long=True)
        # A file that was removed since its vectors were read leaves none of their signs behind.
        self.fold = TextStatement(
            f"INSERT INTO {self.blocks} (file_id, first, ids, signs) SELECT :file_id, :first, :ids, :signs "
            f"WHERE EXISTS (SELECT 1 FROM {self.chunks} WHERE id = :first) "
            f"AND EXISTS (SELECT 1 FROM {self.state} WHERE folded = :before)",
            "SELECT 1",
            order=(TEND_RANKS[0], ("file_id", "first")),
        )
        self.folded = TextStatement(
            f"UPDATE {self.state} SET folded = :after WHERE folded = :before",
            "SELECT 1",
            order=(TEND_RANKS[1], ("before",)),
        )
        forget, learn = f"DELETE FROM {self.words}", f"INSERT INTO {self.words} (term, share) VALUES (:term, :share)"
        counted = f"UPDATE {self.state} SET counted = :counted"
        self.forget_words = TextStatement(forget, forget, order=(TEND_RANKS[0], ()))
        self.learn_words = TextStatement(
            learn + " ON CONFLICT DO NOTHING", learn + " ON CONFLICT DO NOTHING", order=(TEND_RANKS[1], ("term",))
        )
        self.counted = TextStatement(counted, counted, order=(TEND_RANKS[1], ("counted",)))
        slice_ = f"DELETE FROM {self.chunks} WHERE id IN (SELECT id FROM {self.chunks} LIMIT :most)"
        self.any_chunk = TextStatement(f"SELECT 1 FROM {self.chunks} LIMIT 1", "SELECT 1 WHERE false")
        self.remove_some = TextStatement(slice_, "SELECT 1 WHERE false")
        of_file = (
            f"DELETE FROM {self.chunks} WHERE id IN (SELECT id FROM {self.chunks} WHERE file_id = :file_id LIMIT :most)"
        )
        self.remove_some_of_file = TextStatement(of_file, "SELECT 1 WHERE false", order=(ADD_RANK, ("file_id",)))
        valid = "SELECT i.indisvalid FROM pg_index i WHERE i.indexrelid = to_regclass(CAST(:name AS text))"
        self.built = TextStatement("", valid)


HAS_VECTORS: Final = TextStatement("", "SELECT 1 FROM pg_type WHERE typname = 'halfvec'")
ADD_VECTORS: Final = "CREATE EXTENSION IF NOT EXISTS vector"
EXISTS: Final = TextStatement(
    "SELECT 1 FROM sqlite_master WHERE name = :name", "SELECT 1 WHERE to_regclass(CAST(:name AS text)) IS NOT NULL"
)

tables = lru_cache(256)(Tables)
"""Return the statements of an index, compiled once."""


def one(sql: str) -> list[Step]:
    """Return a job of one statement that both databases have, without parameters."""
    return _one_by_one([sql])


def _one_by_one(statements: list[str]) -> list[Step]:
    return [Step(TextStatement(sql, sql, order=(rank, ())), [{}]) for rank, sql in enumerate(statements)]
