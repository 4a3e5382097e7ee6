"""What one process has to keep files with, whatever the configuration."""

from typing import Final

from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.files.storage import Storage
from tandem_orchestrator.files.store import FileStore
from tandem_orchestrator.files.uploads import Uploads
from tandem_orchestrator.store.database import Database
from tandem_orchestrator.store.rows import Rows

MIGRATION: Final = "0003"
"""Made the tables."""


class Filing:
    """Files and uploads of one database; `storage` and `files` are parts of the orchestrator."""

    def __init__(self, config: OrchestratorConfig, database: Database) -> None:
        self.database = database
        self.rows = Rows(database, MIGRATION, "tandem_orchestrator.files.statements")
        self.storage = Storage(config, database)
        self.files = FileStore(config, self.rows, self.storage)
        self.uploads = Uploads(self.rows, self.files)
