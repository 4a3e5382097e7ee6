"""The database that keys and budgets outlive the process in: SQLite for one replica, PostgreSQL for more."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import structlog
from sqlalchemy import Connection, event
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool
from tandem_contract.config import Database as Settings

from tandem_orchestrator.errors import DatabaseDown
from tandem_orchestrator.observability.metrics import DATABASE_DOWN
from tandem_orchestrator.secret_file import SecretError, read_secret

CONNECT_SECONDS = 3.0
TRANSACTION_SECONDS = 5.0
MIGRATION_SECONDS = 60.0
POSTGRESQL = ("postgresql://", "postgres://")
SQLITE = "sqlite:///"
URL_FORM = "the URL must be sqlite:///path or postgresql://user:password@host/name"

log = structlog.get_logger()


class Database:
    """Opened and migrated when it is first used, and again after each failure, since the URL may have changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine: AsyncEngine | None = None
        self._opening = asyncio.Lock()
        self.problem: str | None = None
        """Why the last attempt to use it failed."""

    @property
    def exists(self) -> bool:
        """Whether there may be something to read; only a SQLite file that nobody has needed yet does not exist."""
        try:
            url = self._url()
        except SecretError:
            return True
        return not url.startswith(SQLITE) or Path(url.removeprefix(SQLITE)).exists()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """One transaction, committed at its end. Raises `DatabaseDown`, whose message holds no secret."""
        try:
            engine = await self._opened()
            async with asyncio.timeout(TRANSACTION_SECONDS), engine.begin() as connection:
                yield connection
        except (DataError, IntegrityError):
            raise  # a mistake of ours, not the database's
        except (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, SecretError, OSError) as error:
            await self.close()
            self._note(_reason(error))
            raise DatabaseDown(f"the database cannot be used: {self.problem}", retry_after=5) from None
        self._note(None)

    async def close(self) -> None:
        """Closes every connection; the next transaction opens it again."""
        engine, self._engine = self._engine, None
        if engine is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    await engine.dispose()

    async def _opened(self) -> AsyncEngine:
        async with self._opening:
            if self._engine is None:
                engine = _engine(self._url())
                upgrade = await asyncio.to_thread(_migrations)
                try:
                    async with asyncio.timeout(MIGRATION_SECONDS), engine.begin() as connection:
                        await connection.run_sync(upgrade)
                except BaseException as error:
                    await engine.dispose()
                    if isinstance(error, ValueError):  # quotes what it cannot read, which may be the password
                        raise SecretError(URL_FORM) from None
                    raise
                self._engine = engine
            return self._engine

    def _url(self) -> str:
        source = self._settings.url_from
        return read_secret(source) if source is not None else self._settings.url.get_secret_value()

    def _note(self, problem: str | None) -> None:
        DATABASE_DOWN.set(problem is not None)
        if problem != self.problem:
            self.problem = problem
            if problem is None:
                log.info("the database can be used again")
            else:
                log.warning("the database cannot be used", problem=problem)


def _migrations() -> Callable[[Connection], None]:
    from tandem_orchestrator.store.migrations import upgrade  # noqa: PLC0415 # 11 MB and half a second

    return upgrade


def _engine(url: str) -> AsyncEngine:
    if url.startswith(POSTGRESQL):
        # asyncpg reads the URL itself, since it knows what SQLAlchemy's dialect does not: sslmode, several hosts.
        return create_async_engine(
            "postgresql+asyncpg://",
            async_creator=lambda: asyncpg.connect(url, timeout=CONNECT_SECONDS),
            pool_size=2,
            max_overflow=4,
            pool_pre_ping=True,
        )
    if not url.startswith(SQLITE) or not (path := url.removeprefix(SQLITE)):
        raise SecretError(URL_FORM)
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}", poolclass=NullPool, connect_args={"timeout": CONNECT_SECONDS}
    )
    event.listen(engine.sync_engine, "connect", lambda driver, _: setattr(driver, "isolation_level", None))
    # Writers of several processes queue up at BEGIN, where SQLite waits; later it would fail at once.
    event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _reason(error: BaseException) -> str:
    """One line without the statement and its parameters, which SQLAlchemy would add."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig.__cause__ or error.orig  # the driver's own, below SQLAlchemy's and its adapter's
    first_line = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
