"""Brings the tables to the shape that this version needs; Alembic runs `versions`, without any file in the way.

Each file in `versions` may say what would be lost by its `downgrade`: the tables in `HOLDS`.
"""

import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, func, select, table, text

from tandem_orchestrator.store.schema import Revision, Schema

VERSION_TABLE: Final = "tandem_schema"
LOCK: Final = 0x74616E64656D  # "tandem": PostgreSQL's advisory locks have numbers for names
LOCK_SECONDS: Final = 10  # for which rows that are about to be dropped may be in use

log = structlog.get_logger()
logging.getLogger("alembic").setLevel(logging.WARNING)


class Refused(Exception):
    """The database cannot be migrated as asked; the message says why."""


def read(connection: Connection) -> Schema:
    """Return how far the database has been migrated."""
    found = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    return Schema(found, _known())


def upgrade(connection: Connection, to: str | None = None) -> Schema:
    """Migrate up to a revision, or to the last one, and return what came of it.

    In the transaction of `connection`; when several processes do so at once, all but one wait. A database that a later
    version has migrated already is left as it is: migrations only ever add, so that the version before goes on working
    during a rollout and after a rollback. Raises `Refused` for a revision that cannot be reached.
    """
    _wait_for_others(connection)
    before = read(connection)
    if to is not None and (problem := before.why_not(to, down=False)):
        raise Refused(problem)
    wanted = to or before.last
    if before.found != wanted and not before.later:
        command.upgrade(_config(connection), wanted)
        log.info("database migrated", before=before.found, now=wanted)
        return before._replace(found=wanted)
    return before


def downgrade(connection: Connection, to: str, *, discard: bool = False) -> Schema:
    """Migrate back to a revision, and return what came of it.

    Raises `Refused` if it cannot be reached, and while there are rows that would be lost, unless told to `discard`.
    """
    _wait_for_others(connection)
    before = read(connection)
    if problem := before.why_not(to, down=True):
        raise Refused(problem)
    lost = _rows(connection, _held(before, to))
    if lost and not discard:
        told = ", ".join(f"{number} in {name}" for name, number in lost.items())
        raise Refused(f"going back to {to} would lose {sum(lost.values())} rows ({told}); say --discard to lose them")
    command.downgrade(_config(connection), to)
    return before._replace(found=to)


@cache
def _known() -> tuple[Revision, ...]:
    return tuple(Revision(script.revision, _what(script.doc)) for script in reversed(list(_scripts().walk_revisions())))


def _held(before: Schema, to: str) -> list[str]:
    """Return the tables that hold what would be lost."""
    undone = _scripts().iterate_revisions(before.found, to)
    return [name for script in undone for name in getattr(script.module, "HOLDS", ())]


def _rows(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    """Return how many rows tables have, without those that have none; nobody adds to them from now on."""
    if names and connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
        connection.execute(text(f"LOCK TABLE {', '.join(names)} IN ACCESS EXCLUSIVE MODE"))
    counts = {name: connection.execute(select(func.count()).select_from(table(name))).scalar_one() for name in names}
    return {name: number for name, number in counts.items() if number}


def _wait_for_others(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(None))


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _what(doc: str) -> str:
    return doc.splitlines()[0].rstrip(".").lower() if doc else ""
