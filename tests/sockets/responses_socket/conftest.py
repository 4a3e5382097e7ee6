from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.sockets.running import Orchestrator, config_for

Start = Callable[..., Awaitable[Orchestrator]]


@pytest.fixture
def start(serve, engine, tmp_path) -> Start:
    """Starts an orchestrator with a database of its own, and with these settings."""

    async def started(**settings: Any) -> Orchestrator:
        database = {"url": f"sqlite:///{tmp_path}/tandem.db"}
        return await serve(config_for(engine, **{"database": database, **settings}))

    return started


@pytest.fixture
async def orchestrator(start) -> Orchestrator:
    """Takes the place of the one without a database."""
    return await start()
