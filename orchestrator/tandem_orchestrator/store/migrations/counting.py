"""Triggers that count what tenants keep, so that the counts cannot drift from the rows."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from alembic import op

CHANGES: Final = (  # what happened, whose tenant, and by how much its counts change
    ("INSERT", "NEW", "{n}", "NEW.bytes"),
    ("DELETE", "OLD", "-{n}", "-OLD.bytes"),
    ("UPDATE", "NEW", "0", "NEW.bytes - OLD.bytes"),
)


class Counts(NamedTuple):
    """A table of counts by `tenant`: `number` is its column of rows, beside `bytes`."""

    table: str
    number: str
    counted: Mapping[str, str]
    """What is counted: tables with columns `tenant` and `bytes`, and what a row of each adds to the number."""


def make(counts: Counts) -> None:
    """Make the triggers."""
    for table, rows in counts.counted.items():
        if op.get_bind().dialect.name == "postgresql":
            _in_postgresql(counts, table, rows)
        else:
            _in_sqlite(counts, table, rows)


def drop(counts: Counts) -> None:
    """Drop what is left of the triggers when the tables are gone."""
    if op.get_bind().dialect.name == "postgresql":
        for table in counts.counted:
            op.execute(f"DROP FUNCTION {table}_count()")


def _count(counts: Counts, row: str, rows: str, size: str) -> str:
    kept, number = counts.table, counts.number
    return (  # of nothing but constants
        f"INSERT INTO {kept} (tenant, {number}, bytes) VALUES ({row}.tenant, {rows}, {size}) "  # noqa: S608
        f"ON CONFLICT (tenant) DO UPDATE SET {number} = {kept}.{number} + excluded.{number}, "
        f"bytes = {kept}.bytes + excluded.bytes;"
    )


def _in_sqlite(counts: Counts, table: str, rows: str) -> None:
    for change, row, number, size in CHANGES:
        event = "UPDATE OF bytes" if change == "UPDATE" else change
        op.execute(
            f"CREATE TRIGGER {table}_{change.lower()} AFTER {event} ON {table} "
            f"BEGIN {_count(counts, row, number.format(n=rows), size)} END"
        )


def _in_postgresql(counts: Counts, table: str, rows: str) -> None:
    branches = " ELSIF ".join(
        f"TG_OP = '{change}' THEN {_count(counts, row, number.format(n=rows), size)}"
        for change, row, number, size in CHANGES
    )
    op.execute(
        f"CREATE FUNCTION {table}_count() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF {branches} END IF; RETURN NULL; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_count AFTER INSERT OR DELETE OR UPDATE OF bytes ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {table}_count()"
    )
