import pytest
from tandem_contract.config import Database as Settings
from tandem_orchestrator.store.database import Database


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request, tmp_path):
    """The URL of an empty database, of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/tandem.db"
    return await request.getfixturevalue("postgres").create()


@pytest.fixture
async def database(url):
    database = Database(Settings(url=url))
    yield database
    await database.close()
