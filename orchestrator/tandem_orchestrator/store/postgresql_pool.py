"""Connections to PostgreSQL, by asyncpg."""

from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any, Final, TypeVar

import asyncpg
from tandem_contract.config import Database as Settings

from tandem_orchestrator.observability.metrics import DATABASE_CONNECTIONS, DATABASE_CONNECTIONS_MAX
from tandem_orchestrator.store.statement import Job, Missing, Parameters, Row, Rows, Statement, Step

NAME: Final = "tandem-orchestrator"
SETTINGS: Final = {
    "application_name": NAME,
    "jit": "off",  # takes longer than any statement that it would make faster
    "hnsw.ef_search": "200",  # pgvector's, without which they mean nothing: how far a search looks,
    "hnsw.iterative_scan": "relaxed_order",  # and that it goes on while a filter leaves too few
}
CONNECT_SECONDS: Final = 3.0
IDLE_SECONDS: Final = 300.0
ATTEMPTS: Final = 4  # at a transaction that PostgreSQL broke off, as it and another one waited for each other
HOLD_COUNTS: Final = "SELECT 1 FROM tandem_stored WHERE tenant = ANY($1::text[]) ORDER BY tenant FOR UPDATE"
"""What triggers change at the most different times, so that transactions would wait for each other."""

Result = TypeVar("Result")
Groups = Sequence[tuple[Statement, Sequence[Parameters]]]


class Busy(Exception):  # nothing is wrong with the database
    """Every connection was in use for too long."""


class PostgresqlPool:
    """A bounded number of connections.

    asyncpg reads the URL itself, since it knows what SQLAlchemy does not: sslmode, several hosts.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        self._url = url
        self._size = settings.pool_size + settings.max_overflow
        self._seconds = settings.statement_timeout_seconds
        self._pool: Any = None
        self._kept: Any = None
        """The connection that wrote last, between two writes; to take one from the pool costs a third of a write."""
        self._wrote = 0.0
        """When, on the monotonic clock."""
        self._closed = False

    async def open(self) -> None:
        """Open the first connection. Raises what asyncpg raises."""
        DATABASE_CONNECTIONS_MAX.set(self._size)
        milliseconds = str(round(self._seconds * 1000))
        self._pool = await asyncpg.create_pool(
            self._url,
            min_size=1,
            max_size=self._size,  # those beyond the first go when they are idle
            max_inactive_connection_lifetime=IDLE_SECONDS,
            timeout=CONNECT_SECONDS,
            command_timeout=self._seconds,
            reset=_as_it_is,  # asyncpg would ask the server once more before each result is told
            server_settings={**SETTINGS, "statement_timeout": milliseconds},
        )

    async def read(self, step: Step) -> list[Row]:
        """Return the rows of one query."""
        if step.statement.replanned:
            return await self._with_connection(lambda connection: _run_replanned(connection, step))
        return await self._with_connection(lambda connection: _run(connection, step.statement, step.parameters))

    async def alone(self, lock: int, statements: Sequence[str]) -> bool:
        """Run statements outside a transaction, however long they take, unless somebody else has the lock."""
        connection = await asyncpg.connect(
            self._url, timeout=CONNECT_SECONDS, server_settings={"statement_timeout": "0", "application_name": NAME}
        )
        try:
            if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", lock):
                return False
            for statement in statements:
                await connection.execute(statement)
            return True
        finally:
            await connection.close(timeout=CONNECT_SECONDS)

    async def write(self, jobs: Sequence[Job]) -> list[Rows]:
        """Run all in one transaction, one call at a time; return the rows that each step of each job returned."""
        groups = _by_statement(jobs)
        left = ATTEMPTS
        while True:
            left -= 1
            try:
                return _by_job(jobs, await self._write(groups))
            except asyncpg.DeadlockDetectedError:
                if not left:
                    raise

    async def _write(self, groups: Groups) -> dict[Statement, list[Row]]:
        connection = await self._to_write()
        DATABASE_CONNECTIONS.inc()
        try:
            found = await _transaction(connection, groups)
            if self._size > 1 and not self._closed:  # with one alone, nobody could read
                self._kept, self._wrote, connection = connection, monotonic(), None
        finally:
            DATABASE_CONNECTIONS.dec()
            if connection is not None:
                await self._pool.release(connection)
        return found

    async def _to_write(self) -> Any:
        """Return the connection that wrote last, or another one."""
        connection, self._kept = self._kept, None
        if connection is not None and _is_open(connection):
            if monotonic() - self._wrote <= IDLE_SECONDS:
                return connection
            connection.terminate()  # what lies between may have forgotten it, and would not say so
        return await self._acquired()

    async def _acquired(self) -> Any:
        """Return a connection of the pool. Raises `Busy`, and what asyncpg raises for one that cannot be opened."""
        try:
            return await self._pool.acquire(timeout=self._seconds)
        except TimeoutError:
            if self._pool.get_size() - self._pool.get_idle_size() >= self._size:
                raise Busy from None
            raise

    async def _with_connection(self, use: Callable[[Any], Awaitable[Result]]) -> Result:
        connection = await self._acquired()
        DATABASE_CONNECTIONS.inc()
        try:
            return await use(connection)
        finally:
            DATABASE_CONNECTIONS.dec()
            await self._pool.release(connection)

    async def close(self) -> None:
        """Close every connection; one that is in use, once it is not."""
        self._closed = True
        kept, self._kept = self._kept, None
        if kept is not None:
            await self._pool.release(kept)
        if self._pool is not None:
            await self._pool.close()


def _is_open(connection: Any) -> bool:
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:  # the server closed it, and the pool has it back
        return False


async def _as_it_is(_: Any) -> None:
    """Leave a connection as it is: nothing here sets, listens, locks or opens a cursor."""


async def _transaction(connection: Any, groups: Groups) -> dict[Statement, list[Row]]:
    if len(groups) == 1:  # a statement alone is a transaction, in one round trip
        return {statement: await _run(connection, statement, rows) for statement, rows in groups}
    tenants = {each["tenant"] for _, rows in groups for each in rows if "tenant" in each}
    async with connection.transaction():
        await connection.execute(HOLD_COUNTS, sorted(tenants))
        return {statement: await _run(connection, statement, rows) for statement, rows in groups}


async def _run_replanned(connection: Any, step: Step) -> list[Row]:
    await connection.execute("BEGIN READ ONLY; SET LOCAL plan_cache_mode = force_custom_plan")
    try:
        return await _run(connection, step.statement, step.parameters)
    finally:
        await connection.execute("ROLLBACK")


async def _run(connection: Any, statement: Statement, parameters: Sequence[Parameters]) -> list[Row]:
    compiled = statement.postgresql
    arguments = [compiled.arguments(each) for each in parameters]
    if len(arguments) == 1:
        found: list[Row] = await connection.fetch(compiled.sql, *arguments[0])
    else:
        found = await connection.fetchmany(compiled.sql, arguments)
    if statement.required and len(found) < len(arguments):
        raise Missing
    return found


def _by_statement(jobs: Sequence[Job]) -> Groups:
    """Return what each statement runs with, all of it in one round trip, in the order of the ranks.

    Rows are in the order of their keys, so that two processes never wait for each other's.
    """
    groups: dict[Statement, list[Parameters]] = {}
    for job in jobs:
        for statement, parameters in job:
            groups.setdefault(statement, []).extend(parameters)
    if len(jobs) > 1:
        for statement, rows in groups.items():
            rows.sort(key=statement.key_of)
    return sorted(groups.items(), key=lambda group: group[0].rank)


def _by_job(jobs: Sequence[Job], returned: dict[Statement, list[Row]]) -> list[Rows]:
    """Return to each job what belongs to it."""
    if len(jobs) == 1:
        return [[returned[step.statement] for step in jobs[0]]]
    found: dict[tuple[Statement, Row], list[Row]] = {}
    for statement, rows in returned.items():
        for row in rows:
            found.setdefault((statement, tuple(row[: len(statement.key)])), []).append(row)
    return [
        [
            [row for key in {statement.key_of(each) for each in parameters} for row in found.get((statement, key), ())]
            for statement, parameters in job
        ]
        for job in jobs
    ]
