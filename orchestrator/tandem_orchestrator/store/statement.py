"""A statement, written once with SQLAlchemy and compiled for each database when it is first used."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import Dialect, Table, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.expression import ClauseElement

POSTGRESQL: Final[Dialect] = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
SQLITE: Final = sqlite.dialect(paramstyle="qmark")

Row = Sequence[Any]
Parameters = Mapping[str, Any]
Insert = postgresql.Insert | sqlite.Insert


class Missing(Exception):
    """A row that has to be there is not."""


class InsertInto(Protocol):
    """The `insert` of a database, which knows what to do about rows that are there already."""

    def __call__(self, table: Table) -> Any:
        """Return an INSERT into `table`."""


class Compiled(NamedTuple):
    """A statement as its driver takes it."""

    sql: str
    names: tuple[str, ...]
    """Parameters, in the order of their places."""
    constants: dict[str, Any]
    """Those whose value stands in the statement itself."""

    @classmethod
    def of(cls, clause: ClauseElement, dialect: Dialect) -> "Compiled":
        """Compile a clause."""
        compiled: Any = clause.compile(dialect=dialect)
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        return cls(compiled.string, tuple(compiled.positiontup or ()), constants)

    def arguments(self, parameters: Parameters) -> Row:
        """Return the parameters as the driver takes them."""
        if self.constants:
            parameters = {**self.constants, **parameters}
        return tuple([parameters[name] for name in self.names])


class Statement:
    """One statement; parameters are `bindparam`s, values are texts, numbers, booleans and None.

    `clause` may be a function that makes it of the database's own `insert`. In a transaction, statements of lower
    `rank` run first. One that returns rows after a change returns the parameters `key` as their first columns, so that
    it is known whose they are. Where one that is `required` finds no row for some parameters, nothing of the job is
    done: whoever writes it gets `Conflict`.
    """

    def __init__(
        self,
        clause: Executable | Callable[[InsertInto], Executable],
        *,
        rank: int = 0,
        key: tuple[str, ...] = ("tenant", "id"),
        required: bool = False,
    ) -> None:
        self.rank = rank
        self.key = key
        self.required = required
        self.long = False
        """Whether it reads for so long that others should not wait behind it."""
        self.replanned = False
        """Whether PostgreSQL is to plan it anew for each parameters."""
        self._clause = clause

    def key_of(self, parameters: Parameters) -> tuple[Any, ...]:
        """Return what the rows that it returns for these parameters begin with."""
        return tuple([parameters[name] for name in self.key])

    @cached_property
    def sqlite(self) -> Compiled:
        """It in SQLite's dialect."""
        return self._compiled(SQLITE, sqlite.insert)

    @cached_property
    def postgresql(self) -> Compiled:
        """It in PostgreSQL's dialect."""
        return self._compiled(POSTGRESQL, postgresql.insert)

    def _compiled(self, dialect: Dialect, insert: InsertInto) -> Compiled:
        clause: Any = self._clause
        if not isinstance(clause, ClauseElement):
            clause = clause(insert)
        return Compiled.of(clause, dialect)


class TextStatement(Statement):
    """SQL as each database has it, with `:name` for parameters: what SQLAlchemy has no words for.

    A `long` read has a connection of its own in SQLite. PostgreSQL plans a `replanned` one anew each time, as the best
    plan for some parameters is bad for others; that is for a read alone, and costs it two round trips.
    """

    def __init__(
        self,
        sqlite: str,
        postgresql: str,
        *,
        order: tuple[int, tuple[str, ...]] = (0, ()),
        long: bool = False,
        replanned: bool = False,
    ) -> None:
        super().__init__(text(sqlite), rank=order[0], key=order[1])
        self.long = long
        self.replanned = replanned
        self._other = text(postgresql)

    @cached_property
    def postgresql(self) -> Compiled:
        """It as PostgreSQL has it."""
        return Compiled.of(self._other, POSTGRESQL)


class Step(NamedTuple):
    """A statement and the parameters with which it runs, once for each of them."""

    statement: Statement
    parameters: Sequence[Parameters]


Job = Sequence[Step]
"""What is done altogether or not at all; its steps are in the order of their ranks."""
Rows = list[list[Row]]
"""What each step of a job returned."""
