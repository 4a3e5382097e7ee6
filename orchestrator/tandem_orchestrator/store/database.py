"""The database that keys and budgets outlive the process in: SQLite for one replica, PostgreSQL for more.

What speaks SQL is imported when a database is first used, as it takes 30 MB and a second of a CPU.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from time import monotonic
from types import ModuleType
from typing import TYPE_CHECKING, Final, TypeVar

import structlog
from tandem_contract.config import Database as Settings

from tandem_orchestrator.errors import DatabaseDown, GatewayError, StorageFull
from tandem_orchestrator.observability.metrics import COMMIT_SECONDS, DATABASE_DOWN
from tandem_orchestrator.observability.prometheus import Labelled
from tandem_orchestrator.part import Part
from tandem_orchestrator.secret_file import SecretError, read_secret
from tandem_orchestrator.store.urls import DATABASE_FORM, DRIVER, SQLITE
from tandem_orchestrator.store.writer import Writer

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

    from tandem_orchestrator.store.engine import Engine
    from tandem_orchestrator.store.schema import Schema
    from tandem_orchestrator.store.statement import Job, Row, Rows, Step

TRANSACTION_SECONDS: Final = 5.0
MIGRATION_SECONDS: Final = 60.0
BUSY = "every connection to the database has been in use for database.statementTimeoutSeconds; raise database.poolSize"
LOOK_SECONDS = 15.0  # between two looks for what others have migrated
CLOSE_SECONDS: Final = 3.0
RETRY_SECONDS: Final = 1.0  # after a failure; until then, `check` does not try again

Result = TypeVar("Result")

_commits = Labelled(COMMIT_SECONDS)

log = structlog.get_logger()


class Conflict(Exception):
    """What was to be written does not fit to what is there, such as a row that another one names."""


class Denied(Exception):
    """The database could do it, but not for this role, or not as it is installed."""


class Database(Part):
    """Opened and migrated when it is first used, and again after each failure, since the URL may have changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine: Engine | None = None
        self._opening = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        self._writer = Writer(self._commit, self._observe)
        self.problem: str | None = None
        """Why the last attempt to use it failed."""
        self._failed = 0.0
        """When, on the monotonic clock."""
        self._schema_problem: str | None = None

    async def watch(self) -> None:
        """Learn what others migrate; run until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._engine is not None:
                with suppress(GatewayError):  # which has been logged, and shows in metrics and /health
                    await self._guarded(self._look)

    @property
    def problems(self) -> list[str]:
        """A line about a schema that is not this version's; what else is wrong, `auth.keys` tells."""
        return [f"database: {self._schema_problem}"] if self._schema_problem is not None else []

    @property
    def is_file(self) -> bool:
        """Whether it is SQLite, which one replica alone has."""
        try:
            return self._url().startswith(SQLITE)
        except SecretError:
            return False

    @property
    def exists(self) -> bool:
        """Whether there may be something to read; only a SQLite file that nobody has needed yet does not exist."""
        try:
            url = self._url()
        except SecretError:
            return True
        return not url.startswith(SQLITE) or Path(url.removeprefix(SQLITE)).exists()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["AsyncConnection"]:
        """Open a transaction, which is committed at its end. Raises `DatabaseDown`, whose message holds no secret."""
        sql = _imported() if self._engine else await asyncio.to_thread(_imported)
        try:
            engine = await self._opened()
            async with asyncio.timeout(TRANSACTION_SECONDS), engine.transaction() as connection:
                yield connection
        except sql.MISTAKES:
            raise
        except (*sql.FAILURES, SecretError, OSError) as error:
            await self._drop(self._engine)
            raise self._down(sql.reason(error)) from None
        self._note(None)

    async def read(self, step: "Step") -> "list[Row]":
        """Return the rows of a query. Raises `DatabaseDown`."""
        return await self._guarded(lambda engine: engine.read(step))

    def write(self, job: "Job") -> "Awaitable[Rows]":
        """Write a job together with others that wait; done once it is committed.

        Raises `DatabaseDown`, `StorageFull`, `Conflict`.
        """
        return self._writer.add(job)

    async def system(self) -> str:
        """Return which database it is: `sqlite` or `postgresql`. Raises `DatabaseDown`."""
        engine: Engine = self._engine if self._engine is not None else await self._guarded(_itself)
        return engine.system

    async def define(self, job: "Job") -> None:
        """Make or drop tables, in one transaction. Raises `DatabaseDown`, `Conflict`, `Denied`."""
        await self._guarded(lambda engine: _or_denied(engine.write([job])))

    async def unhurried(self, lock: int, statements: Sequence[str]) -> bool:
        """Run PostgreSQL's own statements one by one, outside a transaction, however long they take.

        Return False, and do nothing, while another process does something under the same lock. Raises `DatabaseDown`,
        `Denied`.
        """
        return await self._guarded(lambda engine: _or_denied(engine.unhurried(lock, statements)))

    async def require(self, revision: str) -> None:
        """Raise `DatabaseDown` where a migration is missing, and somebody else has to run it."""
        engine: Engine = self._engine if self._engine is not None else await self._guarded(_itself)
        if problem := engine.schema.without(revision):
            raise DatabaseDown(problem, retry_after=LOOK_SECONDS, code="migration_missing")

    async def alone(self, change: "Callable[[Connection], Result]") -> Result:
        """Run one thing in a transaction of its own without migrating anything first. Raises `DatabaseDown`."""
        sql = await asyncio.to_thread(_imported)
        try:
            engine: Engine = sql.Engine(self._url(), self._settings)
            try:
                async with asyncio.timeout(MIGRATION_SECONDS):
                    return await engine.alone(change)
            finally:
                await self._close(engine)
        except ValueError:
            raise self._down(DATABASE_FORM) from None
        except (*sql.FAILURES, SecretError, OSError) as error:
            raise self._down(sql.reason(error)) from None

    async def check(self) -> None:
        """Raise `DatabaseDown` if the last attempt to use it failed, and another one fails too."""
        if self.problem is None:
            return
        if self._opening.locked() or monotonic() - self._failed < RETRY_SECONDS:
            raise self._error()
        await self._guarded(_nothing)

    async def close(self) -> None:
        """Write what waits, and close every connection; the next use opens it again."""
        await self._writer.drained()
        await self._drop(self._engine)
        await asyncio.gather(*self._closing)

    def _observe(self, seconds: float) -> None:
        if self._engine is not None:
            _commits[self._engine.system].observe(seconds)

    async def _commit(self, jobs: "Sequence[Job]") -> "list[Rows]":
        return await self._guarded(lambda engine: engine.write(jobs))

    async def _guarded(self, use: "Callable[[Engine], Awaitable[Result]]") -> "Result":
        sql = _imported() if self._engine else await asyncio.to_thread(_imported)
        engine: Engine | None = None
        try:
            engine = await self._opened()
            result = await use(engine)
        except sql.MISTAKES as error:
            raise Conflict(sql.reason(error)) from error
        except sql.BUSY:
            raise DatabaseDown(BUSY, retry_after=1, code="database_busy") from None
        except (*sql.FAILURES, SecretError, OSError) as error:
            if sql.is_full(error):
                raise StorageFull("the database is full; what is stored there can only be read or deleted") from None
            await self._drop(engine)
            raise self._down(sql.reason(error)) from None
        if self.problem is not None:
            self._note(None)
        return result

    async def _drop(self, engine: "Engine | None") -> None:
        """Close an engine, which others may have replaced already."""
        if engine is None or engine is not self._engine:
            return
        self._engine = None
        await self._close(engine)

    async def _close(self, engine: "Engine") -> None:
        """Close an engine, also when who asks for it is cancelled meanwhile."""
        closing = asyncio.create_task(_closed(engine))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        await asyncio.shield(closing)

    def _down(self, problem: str) -> DatabaseDown:
        self._failed = monotonic()
        self._note(problem)
        return self._error()

    def _error(self) -> DatabaseDown:
        return DatabaseDown(f"the database cannot be used: {self.problem}", retry_after=5)

    async def _opened(self) -> "Engine":
        if self._engine is not None:
            return self._engine
        async with self._opening:
            if self._engine is None:
                engine: Engine = _imported().Engine(self._url(), self._settings)
                try:
                    async with asyncio.timeout(MIGRATION_SECONDS):
                        await engine.open()
                except BaseException:
                    await self._close(engine)
                    raise
                self._engine = engine
                self._note_schema(engine.schema)
            return self._engine

    async def _look(self, engine: "Engine") -> None:
        self._note_schema(await engine.look())

    def _note_schema(self, schema: "Schema") -> None:
        if schema.problem != self._schema_problem:
            self._schema_problem = schema.problem
            if schema.problem is None:
                log.info("the database has the tables of this version", revision=schema.found)
            else:
                log.warning("the database is another version's", problem=schema.problem)

    def _url(self) -> str:
        source = self._settings.url_from
        url = read_secret(source) if source is not None else self._settings.url.get_secret_value()
        return DRIVER.sub(r"\1", url)

    def _note(self, problem: str | None) -> None:
        DATABASE_DOWN.set(problem is not None)
        if problem != self.problem:
            self.problem = problem
            if problem is None:
                log.info("the database can be used again")
            else:
                log.warning("the database cannot be used", problem=problem)


async def _or_denied(doing: "Awaitable[Result]") -> "Result":
    sql = _imported()
    try:
        return await doing
    except sql.REFUSALS as error:
        raise Denied(sql.reason(error)) from error


async def _closed(engine: "Engine") -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await engine.close()


async def _itself(engine: "Engine") -> "Engine":
    return engine


async def _nothing(_: "Engine") -> None:
    """Do what works as soon as the database is open."""


@cache
def _imported() -> ModuleType:
    from tandem_orchestrator.store import engine  # noqa: PLC0415 # see above

    return engine
