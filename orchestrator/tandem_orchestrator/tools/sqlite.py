"""SQLite for query_database: opened for reading alone, and every step of a statement authorised."""

import sqlite3
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Final

import orjson

from tandem_orchestrator.tools.table import Bounds, Found, QueryError, Table, as_hex, describe

READING: Final = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
MAX_VALUE: Final = 16_777_216  # bytes of one value while it is computed
STEPS: Final = 1000  # of SQLite's machine between two looks at the clock
COLUMNS: Final = """
    SELECT m.name, c.name || ' ' || c.type FROM sqlite_schema m JOIN pragma_table_info(m.name) c
    WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite_%' ORDER BY m.name, c.cid LIMIT 4000
"""


class Sqlite:
    """A database file; each query has a connection of its own."""

    def __init__(self, path: str, bounds: Bounds) -> None:
        self._uri = f"{Path(path).absolute().as_uri()}?mode=ro"
        self._bounds = bounds

    async def open(self) -> None:
        """Do nothing: each query opens the file anew."""

    async def look(self) -> Found:
        """Return the tables. Raises `QueryError`."""
        columns: dict[str, list[str]] = {}
        try:
            with closing(self._connect()) as connection:
                for table, column in connection.execute(COLUMNS):
                    columns.setdefault(table, []).append(column.strip())
        except sqlite3.Error as error:
            raise QueryError(f"the database cannot be read: {error}") from None
        return Found(describe(columns))

    async def query(self, sql: str) -> Table:
        """Run one statement. Raises `QueryError`."""
        try:
            with closing(self._connect()) as connection:
                return self._rows(connection, sql)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                raise QueryError(f"the query took longer than {self._bounds.seconds:g} s") from None
            raise QueryError(str(error)) from None

    def _rows(self, connection: sqlite3.Connection, sql: str) -> Table:
        connection.set_authorizer(_authorize)
        cursor = connection.execute(sql)
        if cursor.description is None:
            raise QueryError("only queries that give rows can be run")
        table = Table([column[0] for column in cursor.description], self._bounds)
        for row in cursor:
            if not table.add(orjson.dumps(row, default=as_hex)):
                break
        return table

    def _connect(self) -> sqlite3.Connection:
        deadline = monotonic() + self._bounds.seconds
        connection = sqlite3.connect(self._uri, uri=True, timeout=self._bounds.seconds)
        connection.execute("PRAGMA query_only = 1")
        connection.execute("PRAGMA temp_store = MEMORY")  # which is bounded, as files would not be
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE)
        connection.set_progress_handler(lambda: monotonic() > deadline, STEPS)
        return connection


def _authorize(action: int, _: str | None, name: str | None, *__: str | None) -> int:
    allowed = action in READING and not (action == sqlite3.SQLITE_FUNCTION and name == "load_extension")
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY
