"""Where responses and conversations are kept, whatever the configuration."""

from typing import Final

from tandem_orchestrator.responses.conversations import Conversations
from tandem_orchestrator.responses.queue import Queue
from tandem_orchestrator.responses.quota import Quotas
from tandem_orchestrator.responses.reader import Reader
from tandem_orchestrator.responses.runs import Runs
from tandem_orchestrator.responses.seals import Seals
from tandem_orchestrator.responses.store import ResponseStore
from tandem_orchestrator.store.database import Database
from tandem_orchestrator.store.leases import Leases
from tandem_orchestrator.store.rows import Rows

MIGRATION: Final = "0002"
"""Made the tables."""
ROOM: Final = "tandem_orchestrator.responses"


class Stores:
    """What one process keeps in its database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.rows = Rows(database, MIGRATION, f"{ROOM}.statements", f"{ROOM}.run_statements")
        self.leases = Leases(database)
        self.responses = ResponseStore(self.rows)
        self.conversations = Conversations(self.rows)
        self.runs = Runs(self.rows, self.leases)
        self.queue = Queue(self.rows, self.leases)
        self.reader = Reader(self.responses, self.runs)
        self.seals = Seals(self.rows)
        self.quotas = Quotas(self.rows)
