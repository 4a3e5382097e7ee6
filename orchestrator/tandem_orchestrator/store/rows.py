"""Runs statements by their names: they are SQL, which is imported when a database is first used."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tandem_orchestrator.store.database import Conflict, Database

if TYPE_CHECKING:
    from tandem_orchestrator.store import statement

NamedRows = tuple[str, Sequence[dict[str, Any]]]
"""A statement's name, and the rows with which it runs."""


class Rows:
    """The rows of a feature, whose tables `migration` made, by the statements in `modules`.

    Every call raises `DatabaseDown`, writing `StorageFull` and `Conflict`. Every statement asks for a tenant, but for
    those of the upkeep, whose names begin with `ANY`.
    """

    def __init__(self, database: Database, migration: str, *modules: str) -> None:
        self._database = database
        self._migration = migration
        self._modules = modules
        self._steps: dict[str, Callable[[Sequence[dict[str, Any]]], statement.Step]] = {}

    async def read(self, name: str, **parameters: Any) -> "list[statement.Row]":
        """Return what a query finds: nothing, where it asks for what no row can have."""
        return await self.read_each(name, (parameters,))

    async def read_each(self, name: str, parameters: Sequence[dict[str, Any]]) -> "list[statement.Row]":
        """Return what a query finds with each of the parameters."""
        await self._database.require(self._migration)
        try:
            return await self._database.read(self.step(name, parameters))
        except Conflict:
            return []

    async def check(self) -> None:
        """Raise `DatabaseDown`, soon, if the database could not be used and still cannot."""
        await self._database.check()

    async def write(self, *steps: "NamedRows | statement.Step") -> "statement.Rows":
        """Run statements, each with its rows, altogether or not at all; return what each of them returned.

        A step may be another feature's, as its `step` gives it.
        """
        await self._database.require(self._migration)
        return await self._database.write([self.step(*each) if isinstance(each[0], str) else each for each in steps])

    def step(self, name: str, rows: Sequence[dict[str, Any]]) -> "statement.Step":
        """Return a statement with the rows with which it runs, for a job with others."""
        make = self._steps.get(name)
        if make is None:  # an import for each would cost more than all else here
            self._steps[name] = make = _step_of(self._modules, name)
        return make(rows)


def now() -> int:
    """Return milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def _step_of(modules: Sequence[str], name: str) -> "Callable[[Sequence[dict[str, Any]]], statement.Step]":
    from tandem_orchestrator.store.statement import Step  # noqa: PLC0415 # see above

    for module in modules:
        if (found := getattr(import_module(module), name, None)) is not None:
            return partial(Step, found)
    raise AttributeError(name)
