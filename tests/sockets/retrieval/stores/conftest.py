from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.sockets.files.kept import FolderKept, Kept, S3Kept
from tests.sockets.retrieval.stores.documents import Documents
from tests.sockets.running import Orchestrator, config_for

KEYS = {"values": ["team-a:key-a", "team-b:key-b"]}
EMBEDDING = {"model": "double"}

Start = Callable[..., Awaitable[Orchestrator]]


@pytest.fixture
def kept(url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Kept:
    """Where bytes lie: with SQLite in a folder, with PostgreSQL in a bucket."""
    if url.startswith("sqlite"):
        return FolderKept(tmp_path / "bytes")
    return S3Kept(request.getfixturevalue("s3_server"))


@pytest.fixture
def start(serve, engine, url, kept) -> Start:
    """Starts an orchestrator with two tenants; `retrieval` are further settings of it."""

    async def started(retrieval: dict[str, Any] | None = None, **settings: Any) -> Orchestrator:
        settings = {"keys": KEYS, "database": {"url": url}, "files": kept.settings, **settings}
        return await serve(config_for(engine, retrieval={"embedding": EMBEDDING, **(retrieval or {})}, **settings))

    return started


@pytest.fixture
async def orchestrator(start) -> Orchestrator:
    return await start()


@pytest.fixture
async def client(orchestrator):
    async with openai.AsyncOpenAI(base_url=f"{orchestrator.url}/v1", api_key="key-a", max_retries=0) as client:
        yield client


@pytest.fixture
def documents(client) -> Documents:
    """Uploads and attaches small documents."""
    return Documents(client)
