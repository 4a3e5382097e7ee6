"""Runs the `statements` by their names: they are SQL, which is imported when a database is first used."""

import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

from tandem_orchestrator.store.database import Conflict, Database

if TYPE_CHECKING:
    from tandem_orchestrator.store import statement

MIGRATION: Final = "0002"
"""Made the tables."""

NamedRows = tuple[str, Sequence[dict[str, Any]]]
"""A statement's name, and the rows with which it runs."""


class Rows:
    """The rows of responses and conversations. Every call raises `DatabaseDown`, writing `StorageFull` and `Conflict`.

    Every statement asks for a tenant, but for those of the upkeep, whose names begin with `ANY`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, name: str, **parameters: Any) -> "list[statement.Row]":
        """Return what a query finds: nothing, where it asks for what no row can have."""
        await self._database.require(MIGRATION)
        try:
            return await self._database.read(_step(name, (parameters,)))
        except Conflict:
            return []

    async def check(self) -> None:
        """Raise `DatabaseDown`, soon, if the database could not be used and still cannot."""
        await self._database.check()

    async def write(self, *steps: NamedRows) -> "statement.Rows":
        """Run statements, each with its rows, altogether or not at all; return what each of them returned."""
        await self._database.require(MIGRATION)
        return await self._database.write([_step(name, rows) for name, rows in steps])


def now() -> int:
    """Return milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def _step(name: str, rows: Sequence[dict[str, Any]]) -> "statement.Step":
    return _steps_of(name)(rows)


@cache
def _steps_of(name: str) -> "Callable[[Sequence[dict[str, Any]]], statement.Step]":
    """Return what makes steps of a statement of its rows; an import for each would cost more than all else here."""
    from tandem_orchestrator.responses import run_statements, statements  # noqa: PLC0415 # see above

    found = getattr(statements, name, None) or getattr(run_statements, name)
    return partial(statements.Step, found)
