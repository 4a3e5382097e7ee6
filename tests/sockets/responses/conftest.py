from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.sockets.responses.asking import ResponsesClient
from tests.sockets.running import Orchestrator, config_for
from tests.sockets.tools.service import Service

Start = Callable[..., Awaitable[Orchestrator]]


@pytest.fixture
def start(serve, engine, url) -> Start:
    """Starts an orchestrator with a database of its own, of either kind, and with these settings."""

    async def started(**settings: Any) -> Orchestrator:
        database = {"url": url}
        return await serve(config_for(engine, **{"database": database, **settings}))

    return started


@pytest.fixture
async def asking(start) -> Callable[..., Awaitable[ResponsesClient]]:
    """A client of an orchestrator with these settings."""

    async def made(*, standard: bool = False, **settings: Any) -> ResponsesClient:
        if standard:
            settings["responses"] = {"reasoningEvents": "open-responses"}
        return ResponsesClient((await start(**settings)).client, standard=standard)

    return made


@pytest.fixture
async def ask(asking) -> ResponsesClient:
    """A client of an orchestrator without settings."""
    return await asking()


@pytest.fixture
async def orchestrator(start) -> Orchestrator:
    """Takes the place of the one without a database, for `client`, which is of the openai package."""
    return await start()


@pytest.fixture
async def service():
    async with Service() as running:
        yield running
