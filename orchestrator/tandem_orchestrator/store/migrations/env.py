"""What Alembic runs for each command."""

from alembic import context

from tandem_orchestrator.store.migrations import VERSION_TABLE
from tandem_orchestrator.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"], target_metadata=METADATA, version_table=VERSION_TABLE
)
context.run_migrations()
