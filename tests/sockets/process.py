"""The orchestrator as a process of its own, as users start it."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import orjson
from tandem_orchestrator.process.shared_folder import shared_folder

COMMAND = [sys.executable, "-m", "tandem_orchestrator.cli"]


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TANDEM_")}
    return {**kept, **variables}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    def __init__(self, process: asyncio.subprocess.Process, port: int, client: aiohttp.ClientSession) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.client = client

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    async def status(self, path: str) -> int:
        """The status of a GET, 0 when the connection is refused."""
        try:
            async with self.client.get(path) as response:
                return response.status
        except aiohttp.ClientConnectionError:
            return 0

    async def until_status(self, path: str, status: int) -> None:
        async with asyncio.timeout(20):
            while await self.status(path) != status:  # noqa: ASYNC110 # another process
                await asyncio.sleep(0.02)

    async def metrics(self) -> dict[str, float]:
        """Values by name and labels."""
        async with self.client.get("/metrics") as response:
            lines = (await response.text()).splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}

    def workers(self) -> list[int]:
        """Ids of its child processes."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    async def ended(self) -> tuple[int, list[dict[str, object]]]:
        async with asyncio.timeout(20):
            out, _ = await self.process.communicate()
        return self.process.returncode or 0, [orjson.loads(line) for line in out.splitlines()]


def remove_what_is_left() -> None:
    """Removes the folders that killed services have shared, as the next service's start does."""
    with shared_folder():
        pass


@asynccontextmanager
async def serving(*arguments: str, **variables: str) -> AsyncIterator[Process]:
    """Serves with these arguments and variables of the environment."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        "serve",
        *("--host", "127.0.0.1", "--port", str(port)),
        *arguments,
        env=environment(**variables),
        stdout=asyncio.subprocess.PIPE,
    )
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
        running = Process(process, port, client)
        try:
            await running.until_status("/ready", 200)
            yield running
        finally:
            if process.returncode is None:
                process.kill()
            async with asyncio.timeout(20):  # what it has started, and holds its output, ends with it
                await process.communicate()
            remove_what_is_left()
