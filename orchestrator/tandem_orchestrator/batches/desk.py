"""What one process has to keep batches with, whatever the configuration."""

from typing import Final

from tandem_orchestrator.batches.store import BatchStore
from tandem_orchestrator.batches.work import Work
from tandem_orchestrator.files.store import FileStore
from tandem_orchestrator.store.database import Database
from tandem_orchestrator.store.leases import Leases
from tandem_orchestrator.store.rows import Rows

MIGRATION: Final = "0005"
"""Made the tables."""


class Desk:
    """Batches of one database: for their tenants, and for the process that works at them."""

    def __init__(self, database: Database, leases: Leases, files: FileStore) -> None:
        self.database = database
        self.files = files
        rows = Rows(database, MIGRATION, "tandem_orchestrator.batches.statements")
        self.batches = BatchStore(rows, files)
        self.work = Work(rows, leases)
