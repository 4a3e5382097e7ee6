"""SQLite for query_database: opened for reading alone, and every step of a statement authorised."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event
from time import monotonic
from typing import TypeVar

from tandem_contract.config import QueryDatabase as QueryDatabaseSettings

from tandem_orchestrator.tools.source import SourceError
from tandem_orchestrator.tools.table import Table, described
from tandem_orchestrator.tools.tool import ToolError

READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
MAX_VALUE = 16_777_216  # bytes of one value while it is computed
STEPS = 1000  # of SQLite's machine between two looks at the clock
COLUMNS = """
    SELECT m.name, c.name || ' ' || c.type FROM sqlite_schema m JOIN pragma_table_info(m.name) c
    WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite_%' ORDER BY m.name, c.cid
"""
Result = TypeVar("Result")


class Sqlite:
    """A database file; each query has a connection of its own, in a thread."""

    dialect = "SQLite"

    def __init__(self, path: str, settings: QueryDatabaseSettings) -> None:
        self._uri = f"{Path(path).absolute().as_uri()}?mode=ro"
        self._settings = settings
        self._threads = ThreadPoolExecutor(settings.max_connections, "query_database")

    async def check(self) -> str:
        """The tables with their columns. Raises `SourceError`."""
        try:
            found = await self._within_time(lambda connection: connection.execute(COLUMNS).fetchall())
        except sqlite3.Error as error:
            raise SourceError(f"the database cannot be read: {error}") from None
        columns: dict[str, list[str]] = {}
        for table, column in found:
            columns.setdefault(table, []).append(column.strip())
        return described(columns)

    async def query(self, sql: str) -> Table:
        """Runs one statement. Raises `ToolError`."""
        try:
            return await self._within_time(lambda connection: self._rows(connection, sql))
        except (sqlite3.Error, sqlite3.Warning) as error:  # the latter for two statements, up to Python 3.11
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                raise ToolError(f"the query took longer than {self._settings.timeout_seconds:g} s") from None
            raise ToolError(str(error)) from None

    async def close(self) -> None:
        """Ends its threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _rows(self, connection: sqlite3.Connection, sql: str) -> Table:
        connection.set_authorizer(_authorize)
        cursor = connection.execute(sql)
        if cursor.description is None:
            raise ToolError("only queries that give rows can be run")
        table = Table([column[0] for column in cursor.description], self._settings.max_rows, self._settings.max_bytes)
        for row in cursor:
            if not table.add(row):
                break
        return table

    async def _within_time(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        left = Event()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, work, left)
        finally:
            left.set()  # nobody waits for it any more

    def _run(self, work: Callable[[sqlite3.Connection], Result], left: Event) -> Result:
        deadline = monotonic() + self._settings.timeout_seconds
        with closing(sqlite3.connect(self._uri, uri=True, timeout=self._settings.timeout_seconds)) as connection:
            connection.execute("PRAGMA query_only = 1")
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE)
            connection.set_progress_handler(lambda: left.is_set() or monotonic() > deadline, STEPS)
            return work(connection)


def _authorize(action: int, _: str | None, name: str | None, *__: str | None) -> int:
    allowed = action in READING and not (action == sqlite3.SQLITE_FUNCTION and name == "load_extension")
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY
