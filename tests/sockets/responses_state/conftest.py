import pytest
from tandem_orchestrator.responses.stores import Stores


@pytest.fixture
async def kept(database):
    """What one process keeps in it."""
    return Stores(database)


@pytest.fixture
def brisk(monkeypatch):
    """Processes that look after each other often."""
    monkeypatch.setattr("tandem_orchestrator.responses.background.LIFE_SECONDS", 0.1)
    monkeypatch.setattr("tandem_orchestrator.responses.background.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("tandem_orchestrator.store.leases.LEASE_MS", 1500)
    monkeypatch.setattr("tandem_orchestrator.responses.reader.LOOK_SECONDS", 0.02)
    monkeypatch.setattr("tandem_orchestrator.responses.journal.SECONDS", 0.02)
    monkeypatch.setattr("tandem_orchestrator.auth.keys.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("tandem_orchestrator.auth.keys.MOST_SECONDS", 0.2)
