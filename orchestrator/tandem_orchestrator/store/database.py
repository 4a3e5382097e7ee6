"""The database that keys and budgets outlive the process in: SQLite for one replica, PostgreSQL for more.

What speaks SQL is imported when a database is first used, as it takes 30 MB and a second of a CPU.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, TypeVar

import structlog
from tandem_contract.config import Database as Settings

from tandem_orchestrator.errors import DatabaseDown, StorageFull
from tandem_orchestrator.observability.metrics import DATABASE_DOWN
from tandem_orchestrator.part import Part
from tandem_orchestrator.secret_file import SecretError, read_secret
from tandem_orchestrator.store.urls import DRIVER, SQLITE
from tandem_orchestrator.store.writer import Writer

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from tandem_orchestrator.store.engine import Engine
    from tandem_orchestrator.store.statement import Job, Row, Rows, Step

TRANSACTION_SECONDS: Final = 5.0
MIGRATION_SECONDS: Final = 60.0
CLOSE_SECONDS: Final = 3.0

Result = TypeVar("Result")

log = structlog.get_logger()


class Conflict(Exception):
    """What was to be written does not fit to what is there, such as a row that another one names."""


class Database(Part):
    """Opened and migrated when it is first used, and again after each failure, since the URL may have changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine: Engine | None = None
        self._opening = asyncio.Lock()
        self._writer = Writer(self._commit)
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

    async def close(self) -> None:
        """Write what waits, and close every connection; the next use opens it again."""
        await self._writer.drained()
        await self._drop(self._engine)

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
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await engine.close()

    def _down(self, problem: str) -> DatabaseDown:
        self._note(problem)
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
                    await engine.close()
                    raise
                self._engine = engine
            return self._engine

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


@cache
def _imported() -> ModuleType:
    from tandem_orchestrator.store import engine  # noqa: PLC0415 # see above

    return engine
