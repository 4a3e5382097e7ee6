"""What the command does; it returns what to print on standard output."""

import argparse
from typing import Final

from sqlalchemy import Connection

from tandem_orchestrator import database_command
from tandem_orchestrator.database_command import Failed
from tandem_orchestrator.store import migrations
from tandem_orchestrator.store.database import Database
from tandem_orchestrator.store.schema import Schema


def run(options: argparse.Namespace) -> int:
    """Run the command; 1 when it fails. Raises `ConfigError`."""
    return database_command.run(options, ACTIONS)


async def migrate(options: argparse.Namespace, database: Database) -> str:
    """Migrate up or down, or say how far the database has been migrated."""
    if options.discard and options.down is None:
        raise Failed("--discard goes with --down")
    if options.status:
        return _status(await database.alone(migrations.read)) if database.exists else "There is no database yet."

    def change(connection: Connection) -> str:
        before = migrations.read(connection)
        if options.down is not None:
            after = migrations.downgrade(connection, options.down, discard=options.discard)
        else:
            after = migrations.upgrade(connection, options.to)
        return _changed(before, after)

    try:
        return await database.alone(change)
    except migrations.Refused as refused:
        raise Failed(str(refused)) from None


ACTIONS: Final = {"migrate": migrate}


def _changed(before: Schema, after: Schema) -> str:
    if before.found != after.found:
        return f"The database was at {before.found or 'no migration'} and is at {after.found} now."
    if after.later:
        return f"Nothing to do: {after.problem}."
    return f"Nothing to do: the database is at {after.found}."


def _status(schema: Schema) -> str:
    rows = [("REVISION", "STATE", "MAKES")]
    rows += [(each.id, "missing" if each in schema.missing else "applied", each.what) for each in schema.known]
    if schema.later:
        rows.append((str(schema.found), "applied", "unknown to this version"))
    return database_command.table(*rows)
