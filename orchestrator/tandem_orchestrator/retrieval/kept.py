"""Where vector stores are kept, whatever the configuration."""

from typing import Final

from tandem_orchestrator.files.store import FileStore
from tandem_orchestrator.retrieval.index import Indexes
from tandem_orchestrator.retrieval.stores import VectorStores
from tandem_orchestrator.retrieval.work import Works
from tandem_orchestrator.store.database import Database
from tandem_orchestrator.store.leases import Leases
from tandem_orchestrator.store.rows import Rows

MIGRATION: Final = "0004"
"""Made the tables."""
ROOM: Final = "tandem_orchestrator.retrieval"


class Kept:
    """What one process keeps in its database."""

    def __init__(self, database: Database, leases: Leases, file_store: FileStore) -> None:
        self.rows = Rows(database, MIGRATION, f"{ROOM}.statements", f"{ROOM}.work_statements")
        self.indexes = Indexes(database)
        self.stores = VectorStores(self.rows)
        self.works = Works(self.rows, leases, self.indexes)
        self.file_store = file_store
