from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test may see, and less still touch, the cache of the person who runs it."""
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path / "cache"))
