"""Connections to the database, by SQLAlchemy."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar

import aiosqlite
import asyncpg
from sqlalchemy import Connection, event
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool
from tandem_contract.config import Database as Settings

from tandem_orchestrator.secret_file import SecretError
from tandem_orchestrator.store import migrations
from tandem_orchestrator.store.postgresql_pool import Busy, PostgresqlPool
from tandem_orchestrator.store.schema import Schema
from tandem_orchestrator.store.sqlite_file import BUSY_SECONDS, SqliteFile
from tandem_orchestrator.store.statement import Missing
from tandem_orchestrator.store.urls import DATABASE_FORM, POSTGRESQL, SQLITE

CONNECT_SECONDS: Final = 3.0
ROWS_AT_ONCE: Final = 64

FAILURES: Final = (SQLAlchemyError, sqlite3.Error, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What the database is to blame for, but for"""
MISTAKES: Final = (
    DataError,
    IntegrityError,
    sqlite3.DataError,
    sqlite3.IntegrityError,
    Missing,
    OverflowError,
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
)
"""which are ours."""
REFUSALS: Final = (asyncpg.InsufficientPrivilegeError, asyncpg.FeatureNotSupportedError, asyncpg.UndefinedFileError)
"""Or it is neither to blame: a role that may not, an extension that is not installed."""
BUSY: Final = (Busy,)
"""Nor is anything wrong: others are at work with it."""
FULL: Final = ("database or disk is full", "disk I/O error", "No space left on device")

Result = TypeVar("Result")


class Engine:
    """Connections to one URL. Raises `SecretError` for one that cannot be read."""

    def __init__(self, url: str, settings: Settings) -> None:
        if url.startswith(POSTGRESQL):
            self.system = "postgresql"
            self._engine = _postgresql(url)
            event.listen(self._engine.sync_engine, "checkin", self._checked_in)
            self._rows: SqliteFile | PostgresqlPool = PostgresqlPool(url, settings)
        elif url.startswith(SQLITE) and url != SQLITE:
            self.system = "sqlite"
            self._engine = _sqlite(url.removeprefix(SQLITE))
            self._rows = SqliteFile(url.removeprefix(SQLITE))
        else:
            raise SecretError(DATABASE_FORM)
        self._closed = False
        self.schema: Schema
        """Known once it is open."""
        self.read = self._rows.read
        self.write = self._rows.write

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Return one transaction, committed at its end."""
        async with self._engine.begin() as connection:
            yield connection

    async def open(self) -> None:
        """Connect, and bring the tables up to date. Raises `SecretError` for a URL that cannot be read."""
        try:
            await self._migrate()
            await self._rows.open()
        except ValueError:  # quotes what it cannot read, which may be the password
            raise SecretError(DATABASE_FORM) from None

    async def look(self) -> Schema:
        """See how far the database has been migrated."""
        self.schema = await self.alone(migrations.read)
        return self.schema

    async def alone(self, change: Callable[[Connection], Result]) -> Result:
        """Run one thing in a transaction of its own, whatever tables there are."""
        async with self._engine.begin() as connection:
            return await connection.run_sync(change)

    async def unhurried(self, lock: int, statements: Sequence[str]) -> bool:
        """Run statements that PostgreSQL takes only outside a transaction; False where another has the lock."""
        if isinstance(self._rows, SqliteFile):
            raise TypeError("SQLite has no statements of this kind")
        return await self._rows.alone(lock, statements)

    def _checked_in(self, _: Any, connection: ConnectionPoolEntry) -> None:
        if self._closed:  # SQLAlchemy would keep it in a pool that nobody has any more
            connection.invalidate()

    async def _migrate(self) -> None:
        """Bring the tables up to date; where somebody else has to, it is enough that there are any."""
        try:
            self.schema = await self.alone(migrations.upgrade)
        except DBAPIError as error:
            if not isinstance(_cause(error), asyncpg.InsufficientPrivilegeError) or (await self.look()).found is None:
                raise

    async def close(self) -> None:
        """Close every connection; one that is in use, once it is not."""
        self._closed = True
        await asyncio.gather(self._rows.close(), self._engine.dispose())  # the one may wait for a silent database


def is_full(error: BaseException) -> bool:
    """Return whether the database has no room left."""
    return isinstance(error, asyncpg.DiskFullError) or any(words in str(error) for words in FULL)


def reason(error: BaseException) -> str:
    """Return one line without the statement and its parameters, which SQLAlchemy would add."""
    error = _cause(error)
    first_line = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__


def _cause(error: BaseException) -> BaseException:
    """Return the driver's own error, below SQLAlchemy's and its adapter's."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig.__cause__ or error.orig
    return error


def _postgresql(url: str) -> AsyncEngine:
    # asyncpg reads the URL itself, since it knows what SQLAlchemy's dialect does not: sslmode, several hosts.
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(url, timeout=CONNECT_SECONDS),
        pool_size=2,
        max_overflow=4,
        pool_pre_ping=True,
    )


def _sqlite(path: str) -> AsyncEngine:
    engine = create_async_engine("sqlite+aiosqlite://", poolclass=NullPool, async_creator=lambda: _file(path))
    event.listen(engine.sync_engine, "connect", lambda driver, _: setattr(driver, "isolation_level", None))
    # Writers of several processes queue up at BEGIN, where SQLite waits; later it would fail at once.
    event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


class _Connection(aiosqlite.Connection):
    """One that leaves no transaction behind, with which a file would stay locked, when its user is cancelled."""

    async def close(self) -> None:
        """Close it, after what it was given."""
        self._tx.put_nowait((None, self._roll_back))
        await super().close()

    def stop(self) -> asyncio.Future[Any] | None:
        """End its thread, after what it was given."""
        self._tx.put_nowait((None, self._roll_back))
        return super().stop()

    def _roll_back(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.rollback()


async def _file(path: str) -> aiosqlite.Connection:
    opened: list[sqlite3.Connection] = []

    def connect() -> sqlite3.Connection:
        opened.append(sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False))
        return opened[0]

    connection = _Connection(connect, iter_chunk_size=ROWS_AT_ONCE)
    thread = connection._thread  # noqa: SLF001 # as SQLAlchemy does: nothing else tells of it
    thread.daemon = True
    try:
        return await connection
    except BaseException:
        await asyncio.to_thread(thread.join)  # it would still speak to a loop that may be closed by then
        for file in opened:  # cancelled meanwhile, aiosqlite knows nothing of it
            file.close()
        raise
