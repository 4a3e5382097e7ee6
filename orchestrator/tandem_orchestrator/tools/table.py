"""What a query gives, within its bounds."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import orjson


class Table:
    """Collects rows until it is full."""

    def __init__(self, columns: Sequence[str], max_rows: int, max_bytes: int) -> None:
        self._columns = list(columns)
        self._rows: list[orjson.Fragment] = []
        self._max_rows = max_rows
        self._bytes_left = max_bytes
        self.truncated = False

    def add(self, row: Sequence[Any]) -> bool:
        """Takes a row; false when it has no room for it, nor for any further one."""
        written = orjson.dumps(list(row), default=_plain)
        self._bytes_left -= len(written) + 1
        if self._bytes_left < 0 or len(self._rows) >= self._max_rows:
            self.truncated = True
            return False
        self._rows.append(orjson.Fragment(written))
        return True

    def json(self) -> str:
        """`{"columns", "rows", "truncated"}`."""
        return orjson.dumps({"columns": self._columns, "rows": self._rows, "truncated": self.truncated}).decode()


class Database(Protocol):
    """Something that answers queries and cannot be changed by them."""

    dialect: str

    async def check(self) -> str:
        """The tables with their columns, for the model. Raises `SourceError` where it is down, or open to writes."""

    async def query(self, sql: str) -> Table:
        """Runs one statement. Raises `ToolError`."""

    async def close(self) -> None:
        """Closes its connections."""


def described(columns: Mapping[str, Sequence[str]]) -> str:
    """`orders(id integer, total numeric); …` from each table's columns."""
    return "Tables: " + "; ".join(f"{table}({', '.join(names)})" for table, names in columns.items())


def _plain(value: Any) -> Any:
    """What JSON has no word for: bytes in hexadecimal, composites as lists, the rest as text."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, Mapping):
        return list(value.values())
    return str(value)
