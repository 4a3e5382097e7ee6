"""Vector stores of all tenants, beside what the settings would make of them."""

from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

from tandem_orchestrator.retrieval.embedding.identity import Identity
from tandem_orchestrator.retrieval.stores import remembered
from tandem_orchestrator.store.rows import Rows

PAGE: Final = 1000


class Listed(NamedTuple):
    """A store's row."""

    tenant: str
    id: str
    name: str
    next_index_id: str | None
    embedding: str
    chunking: str
    dimension: int
    chunks: int
    files: int
    waiting: int
    """Files that are not yet in the index that is to take the other's place, or in the only one."""
    problem: str | None
    """What keeps one of them."""

    @property
    def identity(self) -> Identity | None:
        """What made the vectors of the index that is searched."""
        return remembered(self.embedding, self.dimension)

    def fits(self, wanted: Identity | None, chunking: str) -> bool:
        """Return whether it is made as it would be made now."""
        made = self.identity
        if made is None or wanted is None:
            return made is wanted and self.chunking == chunking
        return not made.difference(wanted) and self.chunking == chunking

    def state(self, wanted: Identity | None, chunking: str) -> str:
        """Return "reindexing", "current" or "outdated"."""
        if self.next_index_id is not None:
            return "reindexing"
        return "current" if self.fits(wanted, chunking) else "outdated"

    def shown(self, state: str) -> dict[str, Any]:
        """Return it as it is printed."""
        made = self.identity
        return {
            "tenant": self.tenant,
            "id": self.id,
            "name": self.name,
            "model": None if made is None else made.model,
            "dimension": max(self.dimension, 0) or (made.dimension if made is not None else None),
            "chunks": self.chunks,
            "files": self.files,
            "waiting": self.waiting,
            "state": state,
            "problem": self.problem,
        }


async def listed(rows: Rows, tenant: str | None) -> AsyncIterator[Listed]:
    """Yield all stores, or those of a tenant, by tenant and id. Raises `DatabaseDown`."""
    after = "", ""
    while page := await rows.read("ANY_STORES", of=tenant or "", tenant=after[0], id=after[1], most=PAGE):
        for row in page:
            yield Listed(*row)
        after = page[-1][0], page[-1][1]
