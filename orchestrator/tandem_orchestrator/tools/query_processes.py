"""The processes in which the SQL of query_database runs: neither a database's driver nor SQLite can be told to stop
while they compute or while one large value arrives.
"""

from dataclasses import dataclass
from typing import Final

from tandem_orchestrator.helper_processes import HelperDiedError, HelperLateError, HelperProcesses, Program
from tandem_orchestrator.tools.query_worker import LATE_SECONDS, LOOK_SECONDS, OPEN_SECONDS

WORKER: Final = "tandem_orchestrator.tools.query_worker"
KINDS: Final = frozenset({b"table", b"found"})


@dataclass(frozen=True, slots=True)
class QuerySettings:
    """What a process is told of its database."""

    url: str
    schemas: list[str]
    rows: int
    bytes: int
    seconds: float


class WorkerError(Exception):
    """There is no answer; the message says why, in words for the model."""


class Processes:
    """At most so many processes that answer, each for one query at a time; further ones wait for their turn."""

    def __init__(self, settings: QuerySettings, most: int) -> None:
        # It ends itself before that, but where it waits for a disk and cannot be ended.
        seconds = OPEN_SECONDS + max(LOOK_SECONDS, settings.seconds) + 3 * LATE_SECONDS
        self._helpers = HelperProcesses(Program(WORKER, seconds, settings), most)
        self._seconds = settings.seconds
        self.close = self._helpers.close
        """Ends all processes and their queries."""

    async def ask(self, question: dict[str, str]) -> bytes:
        """Return the body of the answer. Raises `WorkerError`."""
        try:
            kind, body = await self._helpers.ask(question)
        except HelperLateError:
            raise WorkerError(f"the query took longer than {self._seconds:g} s") from None
        except HelperDiedError:
            raise WorkerError("the query needs more memory than it may have: ask for less") from None
        if kind not in KINDS:
            raise WorkerError(body.decode())
        return body
