import pytest


@pytest.fixture
def brisk(monkeypatch):
    """Processes that look after batches often."""
    monkeypatch.setattr("tandem_orchestrator.batches.runner.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("tandem_orchestrator.batches.runner.WRITE_SECONDS", 0.02)
    monkeypatch.setattr("tandem_orchestrator.batches.runner.FIRST_PAUSE", 0.05)
    monkeypatch.setattr("tandem_orchestrator.batches.lane.PAUSE_SECONDS", 0.05)
    monkeypatch.setattr("tandem_orchestrator.batches.lane.BUDGET_SECONDS", 0.1)
    monkeypatch.setattr("tandem_orchestrator.batches.lane.IDLE_SECONDS", 0.05)
    monkeypatch.setattr("tandem_orchestrator.batches.room.GROW_SECONDS", 0.01)
    monkeypatch.setattr("tandem_orchestrator.batches.room.QUIET_SECONDS", 0.05)
    monkeypatch.setattr("tandem_orchestrator.batches.room.LEARN_SECONDS", 0.05)
    monkeypatch.setattr("tandem_orchestrator.auth.keys.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("tandem_orchestrator.auth.keys.MOST_SECONDS", 0.2)
