"""What is asked of the database about the pieces in one index. Imported when it is first used, as it is SQL."""
# ruff: noqa: S608 # what is put into SQL are ids of hexadecimal digits, and constants

import re
from functools import lru_cache
from typing import Final

from tandem_orchestrator.store.statement import Sql

RANK: Final = 4
NAME: Final = re.compile(r"[0-9a-f]{32}")
PIECE: Final = "file_id, position, text, page, heading"


class Statements:
    """The statements of one index."""

    def __init__(self, index_id: str) -> None:
        if not NAME.fullmatch(index_id):
            raise ValueError(f"{index_id!r} is no id of an index")
        chunks, words = f"tandem_chunks_{index_id}", f"tandem_words_{index_id}"
        self._chunks = chunks
        self._words = words
        add = f"INSERT INTO {chunks} (file_id, position, text, page, heading, tokens, vector) VALUES "
        values = "(:file_id, :position, :text, :page, :heading, :tokens, {})"
        self.add = Sql(
            f"{add}{values.format(':vector')} ON CONFLICT DO NOTHING",
            f"{add}{values.format(':vector::text::vector')} ON CONFLICT DO NOTHING",
            rank=RANK,
            key=("file_id", "position"),
        )
        remove = f"DELETE FROM {chunks} WHERE file_id = :file_id"
        self.remove = Sql(remove, remove, rank=RANK, key=("file_id",))
        texts = (
            f"SELECT {PIECE}, tokens FROM {chunks} WHERE file_id = :file_id AND position > :after "
            "ORDER BY position LIMIT :most"
        )
        self.texts = Sql(texts, texts)
        self.count = Sql(f"SELECT count(*) FROM {chunks}", f"SELECT count(*) FROM {chunks}")
        self.drop = [
            Sql(f"DROP TABLE IF EXISTS {words}", "SELECT 1"),
            Sql(f"DROP TABLE IF EXISTS {chunks}", f"DROP TABLE IF EXISTS {chunks}"),
        ]
        some_sqlite = "file_id IN (SELECT value FROM json_each(:files))"
        some_postgresql = "file_id IN (SELECT json_array_elements_text(:files::text::json))"
        self.by_meaning = {
            filtered: Sql(
                f"SELECT {PIECE}, 1 - vec_distance_cosine(vector, :vector) AS score FROM {chunks} "
                f"WHERE {some_sqlite if filtered else '1'} ORDER BY score DESC LIMIT :most",
                f"SELECT {PIECE}, 1 - (vector <=> :vector::text::vector) AS score FROM {chunks} "
                f"WHERE {some_postgresql if filtered else 'true'} ORDER BY score DESC LIMIT :most",
            )
            for filtered in (False, True)
        }
        self.by_words = {
            filtered: Sql(
                f"SELECT file_id, position, {chunks}.text, page, heading, -bm25({words}) AS score "
                f"FROM {words} JOIN {chunks} ON id = {words}.rowid "
                f"WHERE {words} MATCH :text AND {some_sqlite if filtered else '1'} ORDER BY score DESC LIMIT :most",
                f"SELECT {PIECE}, ts_rank_cd(words, to_tsquery('simple', :text), 1) AS score FROM {chunks} "
                f"WHERE words @@ to_tsquery('simple', :text) AND {some_postgresql if filtered else 'true'} "
                "ORDER BY score DESC LIMIT :most",
            )
            for filtered in (False, True)
        }

    def create(self, dimension: int) -> list[Sql]:
        """Return what makes the tables."""
        chunks, words = self._chunks, self._words
        columns = "file_id, position, text, page, heading, tokens, vector"
        index_words = f"INSERT INTO {words} (rowid, text) VALUES (new.id, new.text);"
        forget_words = f"INSERT INTO {words} ({words}, rowid, text) VALUES ('delete', old.id, old.text);"
        sqlite = [
            f"CREATE TABLE IF NOT EXISTS {chunks} (id INTEGER PRIMARY KEY, {columns}, UNIQUE (file_id, position))",
            f"CREATE VIRTUAL TABLE IF NOT EXISTS {words} USING fts5(text, content='{chunks}', content_rowid='id')",
            f"CREATE TRIGGER IF NOT EXISTS {chunks}_added AFTER INSERT ON {chunks} BEGIN {index_words} END",
            f"CREATE TRIGGER IF NOT EXISTS {chunks}_removed AFTER DELETE ON {chunks} BEGIN {forget_words} END",
        ]
        vector = f"vector({dimension})" if dimension else "bytea"
        table = (
            f"CREATE TABLE IF NOT EXISTS {chunks} (file_id text, position bigint, text text NOT NULL, page int, "
            f"heading text NOT NULL, tokens int NOT NULL, vector {vector}, "
            "words tsvector GENERATED ALWAYS AS (to_tsvector('simple', text)) STORED, PRIMARY KEY (file_id, position))"
        )
        postgresql = [
            table,
            f"CREATE INDEX IF NOT EXISTS {chunks}_words ON {chunks} USING gin (words)",
            "SELECT 1",
            "SELECT 1",
        ]
        return [Sql(*both) for both in zip(sqlite, postgresql, strict=True)]


@lru_cache(maxsize=1024)
def of(index_id: str) -> Statements:
    """Return the statements of an index."""
    return Statements(index_id)


EXTENSION: Final = Sql("SELECT 1", "CREATE EXTENSION IF NOT EXISTS vector")
