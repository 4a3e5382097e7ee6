"""Brings the tables to the shape that this version needs; Alembic runs `versions`, without any file in the way."""

import logging
from pathlib import Path
from typing import Final

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

VERSION_TABLE: Final = "tandem_schema"
LOCK: Final = 0x74616E64656D  # "tandem": PostgreSQL's advisory locks have numbers for names

log = structlog.get_logger()
logging.getLogger("alembic").setLevel(logging.WARNING)


def upgrade(connection: Connection) -> None:
    """Migrate in the transaction of `connection`; when several processes do so at once, all but one wait.

    A database that a later version has migrated already is left as it is: migrations only ever add, so that the
    version before goes on working during a rollout and after a rollback.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    found = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    wanted = scripts.get_current_head()
    if found == wanted:
        return
    if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
        log.warning("the database has been migrated by a later version", found=found, known=wanted)
        return
    command.upgrade(config, "head")
    log.info("database migrated", before=found, now=wanted)
