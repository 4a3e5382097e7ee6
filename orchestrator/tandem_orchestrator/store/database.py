"""The database that keys and budgets outlive the process in: SQLite for one replica, PostgreSQL for more.

What speaks SQL is imported when a database is first used, as it takes 30 MB and a second of a CPU.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

import structlog
from tandem_contract.config import Database as Settings

from tandem_orchestrator.errors import DatabaseDown
from tandem_orchestrator.observability.metrics import DATABASE_DOWN
from tandem_orchestrator.part import Part
from tandem_orchestrator.secret_file import SecretError, read_secret
from tandem_orchestrator.store.urls import DRIVER, SQLITE

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from tandem_orchestrator.store.engine import Engine

TRANSACTION_SECONDS: Final = 5.0
MIGRATION_SECONDS: Final = 60.0
CLOSE_SECONDS: Final = 3.0

log = structlog.get_logger()


class Database(Part):
    """Opened and migrated when it is first used, and again after each failure, since the URL may have changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine: Engine | None = None
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
            await self.close()
            self._note(sql.reason(error))
            raise DatabaseDown(f"the database cannot be used: {self.problem}", retry_after=5) from None
        self._note(None)

    async def close(self) -> None:
        """Close every connection; the next transaction opens it again."""
        engine, self._engine = self._engine, None
        if engine is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await engine.close()

    async def _opened(self) -> "Engine":
        async with self._opening:
            if self._engine is None:
                engine: Engine = _imported().Engine(self._url())
                try:
                    async with asyncio.timeout(MIGRATION_SECONDS):
                        await engine.migrate()
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


def _imported() -> ModuleType:
    from tandem_orchestrator.store import engine  # noqa: PLC0415 # see above

    return engine
