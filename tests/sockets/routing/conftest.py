import pytest

QUICK = {
    "probe.CHECK_SECONDS": 0.05,
    "probe.CHECK_SECONDS_DOWN": 0.02,
    "probe.LEAST_PAUSE": 0.005,
    "probe.LOAD_SECONDS": 0.02,
    "upstream.RESOLVE_SECONDS": 0.02,
    "upstream.LEAST_PAUSE": 0.005,
    "hold.BATCH_SECONDS": 0.005,
    "dispatch.BACKOFF_SECONDS": 0.005,
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name, seconds in QUICK.items():
        monkeypatch.setattr(f"tandem_orchestrator.engines.{name}", seconds)


@pytest.fixture
def counted():
    """Asks an orchestrator how much a metric has grown since the test asked for it the first time."""
    before: dict[str, float] = {}

    async def count(orchestrator, sample):
        async with orchestrator.client.get("/metrics") as response:
            lines = (await response.text()).splitlines()
        value = next((float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == sample), 0.0)
        return value - before.setdefault(sample, value)

    return count
