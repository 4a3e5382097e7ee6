from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import openai
import pytest
from tandem_contract.config import OrchestratorConfig
from tandem_orchestrator.files.filing import Filing
from tandem_orchestrator.files.sweeper import Sweeper
from tandem_orchestrator.store.database import Database
from tandem_orchestrator.store.leases import Leases

from tests.sockets.files.kept import FolderKept, Kept, S3Kept
from tests.sockets.running import Orchestrator, config_for

KEYS = {"values": ["team-a:key-a", "team-b:key-b"]}

Serving = Callable[..., Awaitable[Orchestrator]]


@pytest.fixture
def kept(url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Kept:
    """Where bytes lie: with SQLite in a folder, with PostgreSQL in a bucket."""
    if url.startswith("sqlite"):
        return FolderKept(tmp_path / "bytes")
    return S3Kept(request.getfixturevalue("s3_server"))


@pytest.fixture
def start(serve, engine, url, kept) -> Serving:
    """Starts an orchestrator with two tenants; `files` are further settings of files."""

    async def started(files: dict[str, Any] | None = None, **settings: Any) -> Orchestrator:
        settings = {"keys": KEYS, "database": {"url": url}, **settings}
        return await serve(config_for(engine, files={**kept.settings, **(files or {})}, **settings))

    return started


@pytest.fixture
async def orchestrator(start) -> Orchestrator:
    return await start()


@pytest.fixture
async def client_of() -> AsyncIterator[Callable[..., Awaitable[openai.AsyncOpenAI]]]:
    """Makes a client of an orchestrator: `team-a`'s, or another tenant's."""
    async with AsyncExitStack() as clients:

        async def made(orchestrator: Orchestrator, key: str = "key-a") -> openai.AsyncOpenAI:
            client = openai.AsyncOpenAI(base_url=f"{orchestrator.url}/v1", api_key=key, max_retries=0)
            return await clients.enter_async_context(client)

        yield made


@pytest.fixture
async def client(orchestrator, client_of) -> openai.AsyncOpenAI:
    return await client_of(orchestrator)


@pytest.fixture
async def other(orchestrator, client_of) -> openai.AsyncOpenAI:
    """Another tenant's client of the same orchestrator."""
    return await client_of(orchestrator, "key-b")


@pytest.fixture
def files_config(url, kept) -> Callable[..., OrchestratorConfig]:
    """Makes the configuration of files without an orchestrator."""

    def made(**files: Any) -> OrchestratorConfig:
        upstreams = [{"name": "none", "url": "http://engine", "model": "none"}]
        settings = {"upstreams": upstreams, "database": {"url": url}, "files": {**kept.settings, **files}}
        return OrchestratorConfig.model_validate(settings)

    return made


@pytest.fixture
async def filing(files_config, database: Database) -> AsyncIterator[Filing]:
    """Files without an orchestrator."""
    filing = Filing(files_config(), database)
    yield filing
    await filing.storage.close()


@pytest.fixture
def sweeper(files_config, filing: Filing, database: Database) -> Sweeper:
    return Sweeper(files_config(), filing, Leases(database))
