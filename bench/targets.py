"""What is compared: the orchestrator with all its duties on, nginx, and a naive proxy, each in front of one engine."""

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template

import yaml

from bench.engine import MODEL
from bench.load import KEY
from bench.processes import Cores, Process, free_port, running, until_ready
from hack import compiled, tools

MANY = 1_000_000_000  # a limit that is counted and never reached


@dataclass(frozen=True)
class Targets:
    """All servers, running."""

    engine: Process
    tandem: Process
    nginx: Process
    naive: Process


@asynccontextmanager
async def all_running(folder: Path, cores: Cores) -> AsyncIterator[Targets]:
    """Starts every server, its files and logs in `folder`; ends them all. Raises `Failed`."""
    engine_port, tandem_port, nginx_port, naive_port = (free_port() for _ in range(4))
    engine_url = f"http://127.0.0.1:{engine_port}"
    async with AsyncExitStack() as stack:

        async def start(name: str, command: list[str], port: int, core: int, ready: str) -> Process:
            process = stack.enter_context(running(name, command, port, core, folder))
            await until_ready(process, ready, folder)
            return process

        engine = [sys.executable, "-m", "bench.engine", "--port", str(engine_port)]
        yield Targets(
            await start("engine", engine, engine_port, cores.engine, "/state"),
            await start("tandem", _tandem(folder, engine_url, tandem_port), tandem_port, cores.target, "/ready"),
            await start("nginx", _nginx(folder, engine_port, nginx_port), nginx_port, cores.target, "/v1/models"),
            await start("naive", _naive(engine_url, naive_port), naive_port, cores.target, "/openapi.json"),
        )


def _tandem(folder: Path, engine_url: str, port: int) -> list[str]:
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
        "database": {"url": f"sqlite:///{folder}/tandem.db"},
    }
    file = folder / "tandem.yaml"
    file.write_text(yaml.safe_dump(config))
    serve = ["serve", "--config", str(file), "--host", "127.0.0.1", "--port", str(port)]
    return ["env", f"PYTHONPATH={compiled.folder()}", sys.executable, "-m", "tandem_orchestrator.cli", *serve]


def _nginx(folder: Path, engine_port: int, port: int) -> list[str]:
    template = Template((Path(__file__).parent / "nginx.conf").read_text())
    file = folder / "nginx.conf"
    file.write_text(template.substitute(folder=folder, engine=engine_port, port=port))
    return [str(tools.executable("nginx")), "-p", str(folder), "-c", str(file)]


def nginx_version() -> str:
    """For example nginx/1.22.1."""
    answer = subprocess.run([tools.executable("nginx"), "-v"], capture_output=True, text=True, check=True)
    return answer.stderr.strip().removeprefix("nginx version: ")


def _naive(engine_url: str, port: int) -> list[str]:
    options = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    return ["env", f"ENGINE_URL={engine_url}", sys.executable, "-m", "uvicorn", "bench.naive_proxy:app", *options]
