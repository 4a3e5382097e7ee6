import asyncio
import gc
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import openai
import pytest
import structlog
from tandem_contract.config import Database as DatabaseSettings
from tandem_contract.config import OrchestratorConfig
from tandem_orchestrator.cli import main
from tandem_orchestrator.observability import logs
from tandem_orchestrator.store.database import Database

from tests.engine_double import EngineDouble
from tests.sockets.postgres import Postgres, running_postgres
from tests.sockets.redis_server import RedisServer, running_redis
from tests.sockets.running import Orchestrator, config_for
from tests.sockets.s3_server import S3Server, running_s3


@pytest.fixture(scope="module", autouse=True)
def _collected() -> Iterator[None]:
    """Tells of what is left open in the file that left it, not where it happens to be noticed."""
    gc.freeze()  # what there is by now lasts, and would be looked at each time
    yield
    gc.collect()


@pytest.fixture
async def engine() -> AsyncIterator[EngineDouble]:
    async with EngineDouble() as double:
        yield double


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is logged of requests."""
    written: list[dict[str, Any]] = []
    monkeypatch.setattr(logs, "write_request", written.append)
    monkeypatch.setattr(logs, "enabled", lambda _: True)
    return written


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[OrchestratorConfig], Awaitable[Orchestrator]]]:
    running: list[Orchestrator] = []

    async def start(config: OrchestratorConfig) -> Orchestrator:
        orchestrator = Orchestrator(config)
        running.append(orchestrator)
        await orchestrator.start()
        return orchestrator

    yield start
    for orchestrator in running:
        await orchestrator.stop()


@pytest.fixture
async def orchestrator(serve, engine) -> Orchestrator:
    return await serve(config_for(engine))


@pytest.fixture
async def client(orchestrator) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{orchestrator.url}/v1", api_key="client-key", max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real server for the whole session; `await postgres.create()` is the URL of a database of the test's own."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A real server for the whole session; tests that hold or stop it start it again themselves."""
    with running_redis() as server:
        yield server


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[dict[str, str | float]]:
    """Settings for that server, with a prefix of the test's own."""
    yield {"url": redis_server.url, "prefix": f"test-{uuid4().hex}", "syncSeconds": 0.02}
    redis_server.resume()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A real server for the whole session; tests that stop it start it again themselves."""
    with running_s3() as server:
        yield server


@pytest.fixture(scope="session")
def made() -> dict[str, str]:
    """URLs of databases with tables, by kind, of which tests get copies: to make them anew takes longer than a test."""
    return {}


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(
    request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, made: dict[str, str]
) -> str:
    """The URL of a database without rows, of either kind."""
    if request.param == "sqlite":
        if "sqlite" not in made:
            made["sqlite"] = await with_tables(f"sqlite:///{tmp_path_factory.mktemp('made')}/tandem.db")
        shutil.copy(made["sqlite"].removeprefix("sqlite:///"), tmp_path)
        return f"sqlite:///{tmp_path}/tandem.db"
    postgres: Postgres = request.getfixturevalue("postgres")
    if "postgresql" not in made:
        made["postgresql"] = await with_tables(await postgres.create())
    return await postgres.lend(made["postgresql"])


async def with_tables(url: str) -> str:
    database = Database(DatabaseSettings(url=url))
    async with database.transaction():
        pass
    await database.close()
    return url


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(DatabaseSettings(url=url))
    yield database
    await database.close()


@pytest.fixture
def command(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Awaitable[tuple[int, str, str]]]]:
    """Runs a command on the database; its exit code, output and errors."""
    monkeypatch.setenv("VLLM_URL", "http://engine")
    monkeypatch.setenv("DATABASE_URL", url)
    before = structlog.get_config()

    async def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = await asyncio.to_thread(main, arguments)
        out, error = capsys.readouterr()
        return code, out.rstrip("\n"), error

    yield run
    structlog.configure(**before)
