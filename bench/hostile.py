"""What hostile files do to the process that serves: memory over idle, and how long it answers nobody else.

    .venv/bin/python -m bench.hostile [CASE ...]

Each file of tests/hostile_files.py, and some that are large, is uploaded and attached to a vector store of a static
embedding model in the process itself, while `/live` is asked without a pause. The first row is of the same on an idle
process. What reads files are processes of their own, on the same cores: look at the CPU of the thread that serves,
which nobody else delays.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import uvloop

from bench.bodies import Memory
from bench.engine import content_length
from bench.load import get
from bench.processes import Cores, Process, free_port, running, until_ready
from tests import documents, static_model
from tests.hostile_files import MEMORY_BYTES, MIB, PAGES, READ, REFUSED, UNPACKED_BYTES

LIMIT: Final = 64 * MIB
BLOCKED: Final = 0.05
IDLE_SECONDS: Final = 5.0
SETTLE_SECONDS: Final = 1.0
LIMITS: Final = {
    "maxMemoryBytes": MEMORY_BYTES,
    "maxSeconds": 10,
    "maxPages": PAGES,
    "maxUnpackedBytes": UNPACKED_BYTES,
}
PROSE: Final = b"It rains in the north of the country, and the south has been dry for a month. "
LARGE: Final[Mapping[str, tuple[str, Callable[[], bytes]]]] = {
    "an endless PDF": ("a.pdf", lambda: documents.endless_pdf(PAGES, 32 * MIB)),
    "prose, 32 MiB": ("a.txt", lambda: PROSE * (32 * MIB // len(PROSE))),
    "Chinese, 32 MiB": ("a.txt", lambda: "天気予報。".encode() * (32 * MIB // 15)),
    "one word, 32 MiB": ("a.txt", lambda: b"x" * (32 * MIB)),
    "nothing that is text, 256 MiB": ("a.bin", lambda: bytes(256 * MIB)),
}
CASES: Final = LARGE | {case: each[:2] for case, each in REFUSED.items()} | {c: each[:2] for c, each in READ.items()}


@asynccontextmanager
async def orchestrator(folder: Path) -> AsyncIterator[Process]:
    engine, port = free_port(), free_port()
    retrieval = {"embedding": {"path": str(static_model.folder())}, "ingestion": LIMITS}
    command = [sys.executable, "-m", "bench.engine", "--port", str(engine)]
    serve = ["env", f"VLLM_URL=http://127.0.0.1:{engine}", f"TANDEM_DATABASE__URL=sqlite:///{folder}/tandem.db"]
    serve += [f"TANDEM_FILES={json.dumps({'folder': f'{folder}/files'})}", f"TANDEM_RETRIEVAL={json.dumps(retrieval)}"]
    serve += [sys.executable, "-m", "tandem_orchestrator.cli", "serve", "--host", "127.0.0.1", "--port", str(port)]
    cores = Cores.of_this_machine()
    with running("engine", command, engine, cores.engine, folder) as first:
        await until_ready(first, "/state", folder)
        with running("tandem", serve, port, f"{cores.engine},{cores.target}", folder) as process:
            await until_ready(process, "/ready", folder)
            yield process


async def ended(client: aiohttp.ClientSession, store: str, filename: str, content: bytes) -> str:
    """Attach a file; return how that ended."""
    form = aiohttp.FormData({"purpose": "assistants"})
    form.add_field("file", content, filename=filename.replace("\0", "%00"))
    async with client.post("/v1/files", data=form) as response:
        file = await response.json()
    if "error" in file:
        return f"{response.status}: {file['error']['code']}"
    address = f"/v1/vector_stores/{store}/files"
    found: dict[str, Any] = {"status": "in_progress"}
    async with client.post(address, json={"file_id": file["id"]}) as response:
        await response.read()
    while found["status"] == "in_progress":
        await asyncio.sleep(0.1)
        async with client.get(f"{address}/{file['id']}") as response:
            found = await response.json()
    error = found["last_error"]
    return f"{found['status']}: {error['message']}" if error else str(found["status"])


async def stalls(process: Process, over: asyncio.Event) -> tuple[float, float]:
    """Return the seconds of the slowest answer, and the most CPU of the thread that serves before one."""
    reader, writer = await asyncio.open_connection(process.address.host, process.address.port)
    slowest = dearest = 0.0
    while not over.is_set():
        begun, taken = time.perf_counter(), thread_seconds(process)
        writer.write(get("/live"))
        await reader.readexactly(content_length(await reader.readuntil(b"\r\n\r\n")))
        slowest = max(slowest, time.perf_counter() - begun)
        dearest = max(dearest, thread_seconds(process) - taken)
    writer.close()
    return slowest, dearest


def thread_seconds(process: Process) -> float:
    """Return the CPU time of a process's first thread, in which its loop runs."""
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/schedstat").read_text().split()[0]) / 1e9


async def measured(process: Process, name: str, doing: Any) -> None:
    memory, over, began = Memory(process), asyncio.Event(), time.perf_counter()
    stall = asyncio.create_task(stalls(process, over))
    result = await doing
    seconds = time.perf_counter() - began
    over.set()
    slowest, dearest = await stall
    taken = memory.taken()
    verdict = (" TOO MUCH" if taken > LIMIT else "") + (" BLOCKED" if dearest > BLOCKED else "")
    times = f"{1000 * slowest:.0f} ms | {1000 * dearest:.0f} ms"
    print(f"| {name} | {result or ''} | {seconds:.1f} s | {taken / MIB:.0f} MiB | {times}{verdict} |", flush=True)


async def measure(process: Process, cases: Mapping[str, tuple[str, Callable[[], bytes]]]) -> None:
    address = f"http://{process.address.host}:{process.address.port}"
    async with aiohttp.ClientSession(address, timeout=aiohttp.ClientTimeout(None)) as client:
        async with client.post("/v1/vector_stores", json={}) as response:
            store = (await response.json())["id"]
        await ended(client, store, "a.txt", PROSE)  # what is imported at first is part of idle
        await measured(process, "idle", asyncio.sleep(IDLE_SECONDS))
        for name, (filename, content) in cases.items():
            made = await asyncio.to_thread(content)
            await measured(process, name, ended(client, store, filename, made))


async def main(chosen: list[str]) -> None:
    print("| file | end | time | memory over idle | slowest other answer | most CPU of the loop before one |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        async with orchestrator(Path(folder)) as process:
            await measure(process, {name: CASES[name] for name in chosen or CASES})


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
