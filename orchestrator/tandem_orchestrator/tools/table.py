"""What a query gives, within its bounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import orjson

MAX_DESCRIBED: Final = 16_000  # characters about the tables


class QueryError(Exception):
    """The database has no answer; the message says why."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one query may give and take."""

    rows: int
    bytes: int
    """Of its rows as JSON."""
    seconds: float


class Table:
    """Collects rows until it is full."""

    def __init__(self, columns: Sequence[str], bounds: Bounds) -> None:
        """Raise `QueryError` where the columns alone pass the bounds."""
        self._columns = orjson.Fragment(written := orjson.dumps(columns))
        if len(written) > bounds.bytes:
            raise QueryError("the names of the columns alone are too long: ask for fewer")
        self._rows: list[orjson.Fragment] = []
        self._max_rows = bounds.rows
        self._bytes_left = bounds.bytes
        self._truncated = False

    def add(self, row: bytes | None) -> bool:
        """Add a row as a JSON list, None for one that is too long; return whether there is room for another."""
        self._bytes_left -= len(row) + 1 if row is not None else self._bytes_left + 1
        if row is None or self._bytes_left < 0 or len(self._rows) >= self._max_rows:
            self._truncated = True
            return False
        self._rows.append(orjson.Fragment(row))
        return True

    def json(self) -> bytes:
        """Return `{"columns", "rows", "truncated"}`."""
        return orjson.dumps({"columns": self._columns, "rows": self._rows, "truncated": self._truncated})


@dataclass(frozen=True, slots=True)
class Found:
    """What a look at a database has shown."""

    tables: str
    """The tables with their columns, for the model."""
    refused: list[str] = field(default_factory=list)
    """What its role may do and must not, such as "may write to orders"."""
    tolerated: list[str] = field(default_factory=list)
    """What its role may do beside reading, and the tool puts up with."""


class Database(Protocol):
    """Something that answers queries and cannot be changed by them."""

    async def open(self) -> None:
        """Get ready for the other methods. Raises `QueryError`."""

    async def look(self) -> Found:
        """Look at the tables, and at what the role may do. Raises `QueryError`."""

    async def query(self, sql: str) -> Table:
        """Run one statement. Raises `QueryError`."""


def describe(columns: Mapping[str, Sequence[str]]) -> str:
    """Return `orders(id integer, total numeric); …` from each table's columns."""
    text = "Tables: " + "; ".join(f"{table}({', '.join(names)})" for table, names in columns.items())
    return text if len(text) <= MAX_DESCRIBED else text[:MAX_DESCRIBED] + " … (there are more tables)"


def as_hex(value: Any) -> str:
    """Return bytes, which JSON has no word for, in hexadecimal."""
    return bytes(value).hex()
