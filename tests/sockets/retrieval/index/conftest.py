from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from tandem_contract.config import Database as DatabaseSettings
from tandem_orchestrator.retrieval.index.indexes import Index, Indexes
from tandem_orchestrator.store.database import Database


@pytest.fixture
async def index(database) -> Index:
    """An empty index of two dimensions."""
    index = Indexes(database).index(uuid4().hex, 2)
    await index.create()
    return index


@pytest.fixture
async def other(url: str) -> AsyncIterator[Database]:
    """The same database, as another process has it."""
    other = Database(DatabaseSettings(url=url))
    yield other
    await other.close()
