"""Where responses and conversations are kept, whatever the configuration."""

from tandem_orchestrator.responses.conversations import Conversations
from tandem_orchestrator.responses.leases import Leases
from tandem_orchestrator.responses.queue import Queue
from tandem_orchestrator.responses.quota import Quotas
from tandem_orchestrator.responses.reader import Reader
from tandem_orchestrator.responses.rows import Rows
from tandem_orchestrator.responses.runs import Runs
from tandem_orchestrator.responses.seals import Seals
from tandem_orchestrator.responses.store import ResponseStore
from tandem_orchestrator.store.database import Database


class Stores:
    """What one process keeps in its database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.rows = Rows(database)
        self.leases = Leases(self.rows)
        self.responses = ResponseStore(self.rows)
        self.conversations = Conversations(self.rows)
        self.runs = Runs(self.rows, self.leases)
        self.queue = Queue(self.rows, self.leases)
        self.reader = Reader(self.responses, self.runs)
        self.seals = Seals(self.rows)
        self.quotas = Quotas(self.rows)
