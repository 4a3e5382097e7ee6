"""What a large file does to the orchestrator: memory over idle, and how long it answers nobody else.

    .venv/bin/python -m bench.files [MEGABYTES]

It is uploaded, then read again, once into a folder and once into a bucket of moto's server; beside it, what the folder
takes to write as many bytes. Moto keeps all that it is given in its own memory.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import uvloop

from bench.bodies import Memory, longest_stall
from bench.processes import Cores, Process, free_port, running, until_ready
from tests.sockets.s3_server import running_s3

MEGABYTE: Final = 1_048_576
LIMIT: Final = 64 * MEGABYTE
BOUNDARY: Final = "bench"
PIECE: Final = os.urandom(MEGABYTE)
BEFORE: Final = (
    f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
    f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="large.bin"\r\n\r\n'
).encode()
AFTER: Final = f"\r\n--{BOUNDARY}--\r\n".encode()


@asynccontextmanager
async def orchestrator(folder: Path, files: dict[str, Any]) -> AsyncIterator[Process]:
    engine, port = free_port(), free_port()
    command = [sys.executable, "-m", "bench.engine", "--port", str(engine)]
    serve = ["env", f"VLLM_URL=http://127.0.0.1:{engine}", f"TANDEM_DATABASE__URL=sqlite:///{folder}/tandem.db"]
    serve += [f"TANDEM_FILES={json.dumps(files)}"]
    serve += [sys.executable, "-m", "tandem_orchestrator.cli", "serve", "--host", "127.0.0.1", "--port", str(port)]
    cores = Cores.of_this_machine()
    with running("engine", command, engine, cores.engine, folder) as first:
        await until_ready(first, "/state", folder)
        with running("tandem", serve, port, cores.target, folder) as process:
            await until_ready(process, "/ready", folder)
            yield process


async def upload(process: Process, megabytes: int) -> str:
    """Return the id of a file."""
    reader, writer = await asyncio.open_connection(process.address.host, process.address.port)
    length = len(BEFORE) + megabytes * MEGABYTE + len(AFTER)
    head = f"POST /v1/files HTTP/1.1\r\nhost: bench\r\nconnection: close\r\ncontent-length: {length}\r\n"
    writer.write(f"{head}content-type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n".encode() + BEFORE)
    for _ in range(megabytes):
        writer.write(PIECE)
        await writer.drain()
    writer.write(AFTER)
    answer = await reader.read()
    writer.close()
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["id"])


async def download(process: Process, file_id: str, megabytes: int) -> None:
    reader, writer = await asyncio.open_connection(process.address.host, process.address.port)
    writer.write(f"GET /v1/files/{file_id}/content HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    size = 0
    while piece := await reader.read(MEGABYTE):
        size += len(piece)
    writer.close()
    assert size == megabytes * MEGABYTE


async def measured(process: Process, name: str, doing: Any) -> Any:
    memory, over, began = Memory(process), asyncio.Event(), time.perf_counter()
    stall = asyncio.create_task(longest_stall(process, over))
    result = await doing
    seconds = time.perf_counter() - began
    over.set()
    slowest, dearest = await stall
    taken = memory.taken()
    verdict = "" if taken <= LIMIT else " TOO MUCH"
    print(
        f"| {name} | {seconds:.1f} s | {taken / MEGABYTE:.0f} MiB{verdict} | {1000 * slowest:.0f} ms "
        f"| {1000 * dearest:.0f} ms |",
        flush=True,
    )
    return result


async def measure(folder: Path, name: str, files: dict[str, Any], megabytes: int) -> None:
    async with orchestrator(folder, files) as process:
        await download(process, await upload(process, 1), 1)  # what is imported at first is part of idle
        file_id = await measured(process, f"upload, {name}", upload(process, megabytes))
        await measured(process, f"download, {name}", download(process, file_id, megabytes))


def bare(folder: Path, megabytes: int) -> float:
    """Return the seconds that the folder takes for as many bytes."""
    began = time.perf_counter()
    with (folder / "bare").open("wb") as file:
        for _ in range(megabytes):
            file.write(PIECE)
        file.flush()
        os.fsync(file.fileno())
    (folder / "bare").unlink()
    return time.perf_counter() - began


async def main(megabytes: int) -> None:
    print(f"| {megabytes} MiB | time | memory over idle | slowest other answer | most CPU before one |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        print(f"| bare writes | {bare(Path(folder), megabytes):.1f} s | | | |")
        await measure(Path(folder), "folder", {"folder": f"{folder}/files"}, megabytes)
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder, running_s3() as server:
        await measure(Path(folder), "bucket", {"s3": server.settings()}, megabytes)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if sys.argv[1:] else 512))
