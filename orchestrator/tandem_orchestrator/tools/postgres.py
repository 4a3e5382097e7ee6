"""PostgreSQL for query_database: a role that can only read, in transactions that can only read and that are undone."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from tandem_orchestrator.tools.postgres_role import find_refused, find_tolerated
from tandem_orchestrator.tools.table import Bounds, Found, QueryError, Table, describe

CONNECT_SECONDS: Final = 5.0
LATE_SECONDS: Final = 0.25  # after its time, a query is cancelled where the server has not done it
LOOK_SECONDS: Final = 10
BATCH_BYTES: Final = 1_048_576  # of the rows that are fetched at once, at most
COLUMNS: Final = """
    SELECT CASE table_schema WHEN 'public' THEN '' ELSE table_schema || '.' END || table_name AS table,
    column_name || ' ' || CASE data_type WHEN 'USER-DEFINED' THEN udt_name ELSE data_type END AS column
    FROM information_schema.columns WHERE table_schema NOT IN ('pg_catalog', 'information_schema')
    ORDER BY table_schema, table_name, ordinal_position LIMIT 4000
"""

# The server writes each row as one JSON list, and leaves out those that are too long. Where `OFFSET 0` stands, it
# computes a row once, and not again for its length.
ROWS: Final = """
    SELECT CASE WHEN pg_catalog.octet_length(written) <= {max_bytes} THEN written END FROM (
    SELECT pg_catalog.array_to_json(ARRAY[{values}])::pg_catalog.text AS written FROM (
{sql}
) AS asked({names}) OFFSET 0) AS rows
"""
AS_JSON: Final = {
    "bytea": "pg_catalog.to_json(pg_catalog.encode({}, 'hex'))",
    "numeric": "pg_catalog.to_json({}::pg_catalog.text)",  # or JSON's readers would round it
}


class Postgres:
    """A database behind one connection."""

    def __init__(self, url: str, schemas: Sequence[str], bounds: Bounds) -> None:
        self._url = url
        self._schemas = schemas
        self._bounds = bounds
        self._connection: Any = None

    async def open(self) -> None:
        """Connect, unless it is connected. Raises `QueryError`."""
        if self._connection is not None and not self._connection.is_closed():
            return
        milliseconds = str(int(self._bounds.seconds * 1000))
        settings = {
            "application_name": "tandem query_database",
            "default_transaction_read_only": "on",
            "statement_timeout": milliseconds,
            "idle_in_transaction_session_timeout": milliseconds,
        }
        if self._schemas:
            settings["search_path"] = ", ".join(map(_quoted, self._schemas))
        try:
            self._connection = await asyncpg.connect(
                self._url, timeout=CONNECT_SECONDS, statement_cache_size=0, server_settings=settings
            )
        except ValueError:
            raise QueryError("the URL is not one that PostgreSQL knows") from None  # its parts are secret
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise QueryError(f"the database cannot be reached: {type(error).__name__}: {error}") from None

    async def look(self) -> Found:
        """Return the tables, and what the role may do. Raises `QueryError`."""
        try:
            async with self._connection.transaction(readonly=True):
                await self._connection.execute(f"SET LOCAL statement_timeout = '{LOOK_SECONDS}s'")
                found = await self._connection.fetch(COLUMNS)
                rights = await find_refused(self._connection, self._schemas), await find_tolerated(self._connection)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise QueryError(f"the database cannot answer: {type(error).__name__}: {error}") from None
        columns: dict[str, list[str]] = {}
        for row in found:
            columns.setdefault(row["table"], []).append(row["column"])
        return Found(describe(columns), *rights)

    async def query(self, sql: str) -> Table:
        """Run one statement. Raises `QueryError`."""
        connection = self._connection
        transaction = connection.transaction(readonly=True)
        try:
            async with asyncio.timeout(self._bounds.seconds + LATE_SECONDS):
                await transaction.start()
                try:
                    return await self._rows(sql)
                finally:
                    # Nothing that a query does may stay: neither large objects, notices and settings, which the
                    # transaction takes with it, nor locks, which belong to the session.
                    if not connection.is_closed():
                        await transaction.rollback()
                        await connection.execute("DISCARD ALL")
        except (asyncpg.QueryCanceledError, TimeoutError):
            raise QueryError(f"the query took longer than {self._bounds.seconds:g} s") from None
        except asyncpg.PostgresError as error:
            raise QueryError(str(error)) from None
        except (OSError, asyncpg.InterfaceError) as error:
            raise QueryError(f"the database cannot answer: {type(error).__name__}") from None

    async def _rows(self, sql: str) -> Table:
        asked = await self._connection.prepare(sql)  # which takes one statement only, and a whole one
        columns = asked.get_attributes()
        if not columns:
            raise QueryError("only queries that give rows can be run")
        if asked.get_parameters():
            raise QueryError("write values into the query: it has no parameters")
        table = Table([column.name for column in columns], self._bounds)
        try:
            written = await self._connection.prepare(_as_json(sql, columns, self._bounds.bytes))
        except asyncpg.PostgresSyntaxError:
            raise QueryError("only SELECT, WITH, VALUES and TABLE can be run") from None
        cursor = await written.cursor()
        batch = 1 + min(self._bounds.rows, BATCH_BYTES // self._bounds.bytes)
        while rows := await cursor.fetch(batch):
            if not all(table.add(row[0].encode() if row[0] is not None else None) for row in rows):
                break
        return table


def _as_json(sql: str, columns: Sequence[Any], max_bytes: int) -> str:
    """Return `sql`, which is a whole statement and thus stays within its parentheses, with each row as a JSON list."""
    names = [f"c{number}" for number in range(len(columns))]
    values = [
        AS_JSON.get(column.type.name, "pg_catalog.to_json({})").format(name)
        for name, column in zip(names, columns, strict=True)
    ]
    return ROWS.format(max_bytes=max_bytes, values=", ".join(values), sql=sql, names=", ".join(names))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
