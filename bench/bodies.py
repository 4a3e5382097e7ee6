"""What one large body does to all others: how long the orchestrator answers nobody else, and how much memory it takes.

    .venv/bin/python -m bench.bodies [MEGABYTES]

Each shape is sent once and four times at once, to an orchestrator and an engine that this starts, while `/live` is
asked without a pause: its slowest answer is the stall. On a machine that does other things, look at the CPU of it.
"""

import asyncio
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import uvloop

from bench.engine import MODEL, content_length
from bench.load import Address, get
from bench.processes import Cores, Process, free_port, running, until_ready

MEGABYTE: Final = 1_000_000
TOGETHER: Final = (1, 4)
BEFORE: Final = b'{"model":"%b","messages":[{"role":"user","content":"' % MODEL.encode()


def text(piece: bytes, size: int) -> bytes:
    return BEFORE + piece * (size // len(piece)) + b'"}]}'


def array(item: bytes, size: int) -> bytes:
    return BEFORE + b'"}],"x":[' + b",".join([item] * (size // (len(item) + 1))) + b"]}"


def shapes(size: int) -> dict[str, bytes]:
    return {
        "a text": text(b"a", size),
        "a text with an emoji": text(b"a", size)[:-4] + "\U0001f600".encode() + b'"}]}',
        "escapes": text(b"\\n", size),
        "a table as text": text(b"a,1;", size),
        "JSON as text": text(b'{\\"a\\": [1, 2]},', size),
        "long texts": array(b'"%b"' % (b"word " * 20), size),
        "tokens, 300,000 at most": array(b"12345", min(size, 1_799_000)),
        "short messages, 250 kB": array(b'{"role":"user","content":"a"}', 250_000),
        "nested lists, 140 kB": array(b"[" * 100 + b"]" * 100, 140_000),
        "names, 900 kB": text(b"a", 1)[:-1] + b",%b}" % b",".join(b'"%06x":1' % n for n in range(75_000)),
        "nested lists": array(b"[" * 100 + b"]" * 100, size),
        "lists": array(b"[]", size),
        "numbers": array(b"0.1", size),
        "names": text(b"a", 1)[:-1] + b",%b}" % b",".join(b'"%07x":1' % n for n in range(size // 12)),
    }


@asynccontextmanager
async def orchestrator(folder: Path) -> AsyncIterator[Process]:
    cores = Cores.of_this_machine()
    engine, port = free_port(), free_port()
    command = [sys.executable, "-m", "bench.engine", "--port", str(engine)]
    serve = ["env", f"VLLM_URL=http://127.0.0.1:{engine}", f"TANDEM_DATABASE__URL=sqlite:///{folder}/tandem.db"]
    serve += [sys.executable, "-m", "tandem_orchestrator.cli", "serve", "--host", "127.0.0.1", "--port", str(port)]
    with running("engine", command, engine, cores.engine, folder) as first:
        await until_ready(first, "/state", folder)
        with running("tandem", serve, port, cores.target, folder) as process:
            await until_ready(process, "/ready", folder)
            yield process


async def answer(address: Address, path: str, body: bytes) -> int:
    """Return the status of a request."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    head = f"POST {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\ncontent-type: application/json\r\n"
    head += f"content-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    status = int((await reader.readline()).split()[1])
    while await reader.read(65_536):
        pass
    writer.close()
    return status


async def longest_stall(process: Process, until: asyncio.Event) -> tuple[float, float]:
    """Return seconds of the slowest answer, and the most seconds of CPU that the process took before an answer."""
    reader, writer = await asyncio.open_connection(process.address.host, process.address.port)
    slowest = dearest = 0.0
    while not until.is_set():
        begun, taken = time.perf_counter(), process.cpu_seconds()
        writer.write(get("/live"))
        await reader.readexactly(content_length(await reader.readuntil(b"\r\n\r\n")))
        slowest = max(slowest, time.perf_counter() - begun)
        dearest = max(dearest, process.cpu_seconds() - taken)
    writer.close()
    return slowest, dearest


async def measure(process: Process, path: str, name: str, body: bytes) -> None:
    for together in TOGETHER:
        memory = Memory(process)
        over = asyncio.Event()
        stall = asyncio.create_task(longest_stall(process, over))
        await asyncio.sleep(0.1)
        statuses = set(await asyncio.gather(*(answer(process.address, path, body) for _ in range(together))))
        over.set()
        slowest, dearest = await stall
        times = memory.taken() / (len(body) * together)
        print(f"| {path} | {name} | {len(body) / MEGABYTE:.1f} MB x {together} | {statuses} ", end="")
        print(f"| {1000 * slowest:.0f} ms | {1000 * dearest:.0f} ms | {times:.1f} |", flush=True)


class Memory:
    """What a process takes more than it had."""

    def __init__(self, process: Process) -> None:
        self._folder = Path(f"/proc/{process.pid}")
        (self._folder / "clear_refs").write_text("5")  # the peak begins anew
        self._before = self._bytes("VmRSS")

    def taken(self) -> int:
        return self._bytes("VmHWM") - self._before

    def _bytes(self, line: str) -> int:
        found = re.search(rf"{line}:\s+(\d+) kB", (self._folder / "status").read_text())
        assert found
        return int(found[1]) * 1024


async def main(size: int) -> None:
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        async with orchestrator(Path(folder)) as process:
            print("| path | body | size | status | stall | its CPU | memory / size |\n|---|---|---|---|---|---|---|")
            for name, body in shapes(size).items():
                await measure(process, "/v1/chat/completions", name, body)
            for name in ("a text", "nested lists", "nested lists, 140 kB", "short messages, 250 kB"):
                await measure(process, "/chat", name, shapes(size)[name])


if __name__ == "__main__":
    uvloop.run(main(int(float(sys.argv[1]) * MEGABYTE) if sys.argv[1:] else 10 * MEGABYTE))
