import pytest
from tandem_contract.config import Database as Settings
from tandem_orchestrator.store.database import Database


@pytest.fixture
async def database(url):
    database = Database(Settings(url=url))
    yield database
    await database.close()
