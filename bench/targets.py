"""What is compared, all in front of one engine: the orchestrator with all its duties on, nginx and a naive proxy; this
checkout's orchestrator and another's; the orchestrator with its machinery and without; or what keeps responses."""

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template
from typing import Any, Final

import yaml

from bench.engine import MODEL
from bench.load import KEY, Failed
from bench.processes import ROOT, Cores, Process, free_port, running, until_ready
from hack import progress, tools
from hack.command import run
from hack.failure import Failure

DATABASE: Final = "tandem.db"
MANY: Final = 1_000_000_000  # a limit that is counted and never reached


@dataclass(frozen=True)
class Targets:
    """All servers, running."""

    engine: Process
    tandem: Process
    nginx: Process
    naive: Process


@dataclass(frozen=True)
class Checkouts:
    """The orchestrators of two checkouts, running."""

    engine: Process
    new: Process
    old: Process


@dataclass(frozen=True)
class Machinery:
    """Orchestrators of this checkout, and servers that do nothing but answer, running."""

    engine: Process
    compiled: Process
    plain: Process
    workers: Process
    ours: Process
    uvicorn: Process

    @property
    def compared(self) -> tuple[Process, ...]:
        """All but the engine."""
        return self.compiled, self.plain, self.workers, self.ours, self.uvicorn


@dataclass(frozen=True)
class Keeping:
    """Orchestrators that keep responses, and agentic-api, running; `absent` is why the latter is not."""

    engine: Process
    sqlite: Process
    postgresql: Process
    agentic: Process | None
    file: Path
    """The SQLite database."""
    url: str
    """The PostgreSQL database."""
    absent: str = ""


@asynccontextmanager
async def all_running(folder: Path, cores: Cores) -> AsyncIterator[Targets]:
    """Start every server, its files and log in `folder`; end them all. Raises `Failed`."""
    async with AsyncExitStack() as stack:
        servers = Servers(folder, cores, stack)
        yield Targets(
            await servers.engine(),
            await servers.tandem("tandem", ROOT),
            await servers.nginx(),
            await servers.naive(),
        )


@asynccontextmanager
async def checkouts_running(folder: Path, cores: Cores, other: Path) -> AsyncIterator[Checkouts]:
    """Return the same for the orchestrator of this checkout and that of the one in `other`, which has its .venv."""
    async with AsyncExitStack() as stack:
        servers = Servers(folder, cores, stack)
        yield Checkouts(await servers.engine(), await servers.tandem("new", ROOT), await servers.tandem("old", other))


@asynccontextmanager
async def machinery_running(folder: Path, cores: Cores) -> AsyncIterator[Machinery]:
    """Start the orchestrator compiled, in plain Python and with two workers, and two bare servers; end them all."""
    async with AsyncExitStack() as stack:
        servers = Servers(folder, cores, stack)
        yield Machinery(
            await servers.engine(),
            await servers.tandem("compiled", ROOT),
            await servers.tandem("plain", ROOT, machine_code=False),
            await servers.tandem("workers", ROOT, workers=2),
            await servers.bare("ours"),
            await servers.bare("httptools"),
        )


@asynccontextmanager
async def keeping_running(folder: Path, cores: Cores, url: str) -> AsyncIterator[Keeping]:
    """Start orchestrators over SQLite and over the PostgreSQL at `url`, and agentic-api; end them all."""
    async with AsyncExitStack() as stack:
        servers = Servers(folder, cores, stack)
        engine = await servers.engine()
        sqlite = await servers.tandem("sqlite", ROOT)
        postgresql = await servers.tandem("postgresql", ROOT, database={"url": url})
        agentic, absent = None, ""
        try:
            agentic = await servers.agentic()
        except (Failed, Failure) as failure:
            absent = str(failure).strip().splitlines()[-1]
        yield Keeping(engine, sqlite, postgresql, agentic, folder / "sqlite" / DATABASE, url, absent)


@asynccontextmanager
async def issuing_running(folder: Path, cores: Cores, issuer: dict[str, Any]) -> AsyncIterator[Process]:
    """Start an orchestrator that takes an issuer's tokens, beside keys, and end it."""
    async with AsyncExitStack() as stack:
        servers = Servers(folder, cores, stack)
        await servers.engine()
        yield await servers.tandem("tandem", ROOT, oidc={"issuers": [issuer]})


class Servers:
    """Starts servers, each of which ends with `stack`; the engine first."""

    def __init__(self, folder: Path, cores: Cores, stack: AsyncExitStack) -> None:
        self._folder = folder
        self._cores = cores
        self._stack = stack
        self._engine_port = free_port()
        self._engine_url = f"http://127.0.0.1:{self._engine_port}"

    async def engine(self) -> Process:
        port = self._engine_port
        command = [sys.executable, "-m", "bench.engine", "--port", str(port)]
        return await self._start("engine", command, port, self._cores.engine, "/state")

    async def tandem(
        self,
        name: str,
        project: Path,
        *,
        machine_code: bool = True,
        workers: int = 1,
        **settings: Any,
    ) -> Process:
        """Start an orchestrator, over SQLite unless told otherwise; several workers have all cores there are here."""
        port = free_port()
        command = _tandem(project, self._folder / name, self._engine_url, port, settings)
        if machine_code:
            command = ["env", f"PYTHONPATH={compiled(project)}", *command]
        if workers == 1:
            return await self._start(name, command, port, self._cores.target, "/ready")
        every = ",".join(str(core) for core in {self._cores.target, self._cores.engine, self._cores.load})
        return await self._start(name, [*command, "--workers", str(workers)], port, every, "/ready")

    async def nginx(self) -> Process:
        port = free_port()
        command = _nginx(self._folder, self._engine_port, port)
        return await self._start("nginx", command, port, self._cores.target, "/v1/models")

    async def agentic(self) -> Process:
        """Start agentic-api. Raises `Failed`, `Failure` where it cannot be had."""
        port = free_port()
        server = tools.executable("agentic-server")
        home = self._folder / "agentic"
        home.mkdir()
        options = ["--llm-api-base", self._engine_url, "--gateway-host", "127.0.0.1", "--gateway-port", str(port)]
        options += ["--skip-llm-ready-check", "--db-url", f"sqlite://{home}/agentic.db"]
        command = ["env", f"HOME={home}", str(server), *options]
        return await self._start("agentic", command, port, self._cores.target, "/health")

    async def naive(self) -> Process:
        port = free_port()
        return await self._start("naive", _naive(self._engine_url, port), port, self._cores.target, "/openapi.json")

    async def bare(self, protocol: str) -> Process:
        port = free_port()
        options = ["--port", str(port), "--protocol", protocol]
        command = ["env", f"PYTHONPATH={compiled(ROOT)}", sys.executable, "-m", "bench.bare_server", *options]
        return await self._start(protocol, command, port, self._cores.target, "/ready")

    async def _start(self, name: str, command: list[str], port: int, core: int | str, ready: str) -> Process:
        process = self._stack.enter_context(running(name, command, port, core, self._folder))
        await until_ready(process, ready, self._folder)
        return process


def _tandem(project: Path, folder: Path, engine_url: str, port: int, settings: dict[str, Any]) -> list[str]:
    every_limit = {
        "requestsPerMinute": MANY,
        "tokensPerMinute": MANY,
        "concurrentRequests": MANY,
        "tokensPerDay": MANY,
        "tokensPerMonth": MANY,
    }
    config = {
        "upstreams": [{"name": "engine", "url": engine_url, "model": MODEL}],
        "keys": {"values": [f"bench:{KEY}"]},
        "rateLimits": {"requestsPerMinute": MANY, "tenantRequestsPerMinute": MANY, "defaults": every_limit},
        "database": {"url": f"sqlite:///{folder}/{DATABASE}"},
        **settings,
    }
    folder.mkdir(exist_ok=True)
    file = folder / "tandem.yaml"
    file.write_text(yaml.safe_dump(config))
    serve = ["serve", "--config", str(file), "--host", "127.0.0.1", "--port", str(port)]
    return [str(project / ".venv" / "bin" / "python"), "-m", "tandem_orchestrator.cli", *serve]


@cache
def compiled(project: Path) -> str:
    """Return what to put on PYTHONPATH for a checkout's orchestrator as machine code, made where it is not there."""
    with progress.step(f"the orchestrator of {project}, compiled"):
        return run(["python3", "-m", "hack", "compiled"], cwd=project).strip()  # each checkout in its own way


def _nginx(folder: Path, engine_port: int, port: int) -> list[str]:
    template = Template((Path(__file__).parent / "nginx.conf").read_text())
    file = folder / "nginx.conf"
    file.write_text(template.substitute(folder=folder, engine=engine_port, port=port))
    return [str(tools.executable("nginx")), "-p", str(folder), "-c", str(file)]


def nginx_version() -> str:
    """Return the version, for example nginx/1.22.1."""
    answer = subprocess.run([tools.executable("nginx"), "-v"], capture_output=True, text=True, check=True)
    return answer.stderr.strip().removeprefix("nginx version: ")


def _naive(engine_url: str, port: int) -> list[str]:
    options = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    return ["env", f"ENGINE_URL={engine_url}", sys.executable, "-m", "uvicorn", "bench.naive_proxy:app", *options]
