"""PostgreSQL for query_database: a role that can only read, in transactions that can only read."""

import asyncio
from typing import Any

import asyncpg
from tandem_contract.config import QueryDatabase as QueryDatabaseSettings

from tandem_orchestrator.tools.source import SourceError
from tandem_orchestrator.tools.table import Table, described
from tandem_orchestrator.tools.tool import ToolError

CONNECT_SECONDS = 5.0
BATCH = 50  # rows that are fetched at once
SCHEMAS = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'"

# What a role may do beyond reading, one row for each thing. A read-only transaction keeps tables as they are, but not
# a server's files and programs, nor other servers; and a transaction may be left by what it runs.
FORBIDDEN = f"""
    SELECT 'is a superuser' FROM pg_roles WHERE rolname = current_user AND rolsuper
    UNION ALL
    SELECT 'is a member of ' || rolname FROM pg_roles
    WHERE rolname IN ('pg_write_server_files', 'pg_read_server_files', 'pg_execute_server_program')
    AND pg_has_role(rolname, 'MEMBER')
    UNION ALL
    (SELECT 'may write to ' || c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {SCHEMAS}
    AND (has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
    OR has_any_column_privilege(c.oid, 'INSERT, UPDATE')) ORDER BY c.oid LIMIT 3)
    UNION ALL
    SELECT DISTINCT 'may call ' || proname FROM pg_proc
    WHERE (proname ~ '^dblink(_connect|_exec|_send_query)?$' OR proname ~ '^http(_get|_post)?$'
    OR proname IN ('pg_read_file', 'pg_read_binary_file', 'pg_ls_dir', 'lo_import', 'lo_export'))
    AND has_function_privilege(oid, 'EXECUTE')
"""  # noqa: S608 # made of constants
COLUMNS = """
    SELECT CASE table_schema WHEN 'public' THEN '' ELSE table_schema || '.' END || table_name AS table,
    column_name || ' ' || CASE data_type WHEN 'USER-DEFINED' THEN udt_name ELSE data_type END AS column
    FROM information_schema.columns WHERE table_schema NOT IN ('pg_catalog', 'information_schema')
    ORDER BY table_schema, table_name, ordinal_position
"""


class Postgres:
    """A database behind a small pool of connections."""

    dialect = "PostgreSQL"

    def __init__(self, url: str, settings: QueryDatabaseSettings) -> None:
        self._url = url
        self._settings = settings
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def check(self) -> str:
        """The tables with their columns. Raises `SourceError` where it is down, or the role may do more than read."""
        try:
            async with (await self._opened()).acquire(timeout=CONNECT_SECONDS) as connection:
                forbidden = [row[0] for row in await connection.fetch(FORBIDDEN)]
                found = await connection.fetch(COLUMNS)
        except ValueError:
            raise SourceError("the URL is not one that PostgreSQL knows") from None  # its parts stay unsaid
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise SourceError(f"the database cannot be reached: {type(error).__name__}: {error}") from None
        if forbidden:
            raise SourceError(f"the role must only be able to read, but it {', '.join(forbidden)}")
        columns: dict[str, list[str]] = {}
        for row in found:
            columns.setdefault(row["table"], []).append(row["column"])
        return described(columns)

    async def query(self, sql: str) -> Table:
        """Runs one statement. Raises `ToolError`."""
        try:
            async with (
                asyncio.timeout(self._settings.timeout_seconds + 1),  # the server ends a statement first
                (await self._opened()).acquire() as connection,
            ):
                return await self._rows(connection, sql)
        except asyncpg.QueryCanceledError:
            raise ToolError(f"the query took longer than {self._settings.timeout_seconds:g} s") from None
        except asyncpg.PostgresError as error:
            raise ToolError(str(error)) from None
        except (OSError, asyncpg.InterfaceError) as error:
            raise ToolError(f"the database cannot answer: {type(error).__name__}") from None

    async def close(self) -> None:
        """Closes its connections."""
        if self._pool is not None:
            self._pool.terminate()

    async def _rows(self, connection: Any, sql: str) -> Table:
        async with connection.transaction(readonly=True):
            statement = await connection.prepare(sql)  # which takes one statement only
            columns = [attribute.name for attribute in statement.get_attributes()]
            if not columns:
                raise ToolError("only queries that give rows can be run")
            table = Table(columns, self._settings.max_rows, self._settings.max_bytes)
            cursor = await statement.cursor()
            while rows := await cursor.fetch(BATCH):
                if not all(table.add(tuple(row)) for row in rows):
                    break
            return table  # the pool undoes whatever the query has set

    async def _opened(self) -> "asyncpg.Pool[asyncpg.Record]":
        if self._pool is None:
            seconds = self._settings.timeout_seconds
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=0,
                max_size=self._settings.max_connections,
                statement_cache_size=0,
                timeout=CONNECT_SECONDS,
                command_timeout=seconds + 1,
                server_settings={
                    "application_name": "tandem query_database",
                    "default_transaction_read_only": "on",
                    "statement_timeout": str(int(seconds * 1000)),
                    "idle_in_transaction_session_timeout": str(int(seconds * 1000)),
                },
            )
        return self._pool  # `check` came before any query
