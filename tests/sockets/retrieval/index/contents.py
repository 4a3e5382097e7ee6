"""What tests put into an index."""

from collections.abc import Sequence
from uuid import uuid4

from tandem_orchestrator.retrieval.index.chunks import Embedded
from tandem_orchestrator.retrieval.index.indexes import Index
from tandem_orchestrator.store.database import Database


def chunk(file_id: str, position: int, vector: Sequence[float], text: str = "", heading: str = "") -> Embedded:
    return Embedded(file_id, position, text or f"text {position}", position + 1, heading, 2, vector)


async def add(database: Database, index: Index, *chunks: Embedded) -> None:
    await database.write(index.adding(chunks))


async def remove(database: Database, index: Index, file_id: str) -> None:
    await database.write(index.removing(file_id))


def places(found: Sequence) -> list[tuple[str, int]]:
    return [(each.file_id, each.position) for each in found]


def new_id() -> str:
    return uuid4().hex
