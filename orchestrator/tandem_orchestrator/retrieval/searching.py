"""What searches vector stores, as those who ask for a search see it."""

from collections.abc import Sequence
from typing import Protocol

from tandem_orchestrator.errors import NotFound
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.retrieval.hit import Hit
from tandem_orchestrator.retrieval.question import Question


class Searching(Protocol):
    """Searches the vector stores of tenants."""

    async def check(self, tenant: str, store_ids: Sequence[str]) -> Sequence[str]:
        """Return what each store is about, its name or description, "" for one that does not say; a cheap call.

        Raises `NotFound` (code `vector_store_not_found`), `RetryLater`.
        """

    async def search(self, record: Record, store_ids: Sequence[str], question: Question) -> list[Hit]:
        """Return what fits the question best in all the stores together, the best first.

        `record` is of who asks: it has the tenant, and gets the tokens that engines have read.

        Raises `NotFound` (code `vector_store_not_found`), `RetryLater` where the database or what makes embeddings is
        away, `GatewayError` in general.
        """


def store_not_found(store_id: str) -> NotFound:
    """Return the error for a vector store that the tenant does not have."""
    return NotFound(f"there is no vector store {store_id!r}", code="vector_store_not_found")
