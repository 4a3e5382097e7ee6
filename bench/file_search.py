"""What it costs to search files: a response that does, over one that does not, and bringing files in, over the model.

    .venv/bin/python -m bench.file_search            about two minutes on a quiet machine; prints only

Over SQLite and over PostgreSQL. The questions' vectors are made in the orchestrator by the tests' static model, whose
CPU is in the figures; the documents' by an engine that embeds one text after the other in 2 ms, and is asked for the
bare rate by aiohttp. PostgreSQL has the core of engine and load, and its CPU is not counted.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from bench import embedding, report
from bench.engine import MODEL
from bench.load import Failed, respond
from bench.measures import Effort, cpu_of_a_request
from bench.passages import Passages
from bench.processes import ROOT, Cores, Process, free_port, running, until_ready
from bench.report import Row, Series
from bench.targets import compiled
from hack import path, progress
from tests import static_model
from tests.sockets.postgres import running_postgres

EFFORT: Final = Effort(rounds=3, seconds=3.0, fill=0, requests=0, leaving=0)
CHUNKS: Final = 2_000
MOST_CPU: Final = 4
LEAST_RATE: Final = 0.8
CHUNKING: Final = {"maxTokens": 200, "overlapTokens": 0}
DATABASES: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def document(number: int) -> bytes:
    """Return about as many chunks of text as `CHUNKS`, of words as often as a language has them."""
    words = Passages.like_embeddings(CHUNKS, 1).words
    texts = (" ".join(f"w{word}" for word in chunk) for chunk in words)
    return "\n\n".join(f"Paragraph {n} of report {number} {text}." for n, text in enumerate(texts)).encode()


class Library:
    """The files and vector stores of an orchestrator, over its API."""

    def __init__(self, process: Process) -> None:
        self._url = f"http://{process.address.host}:{process.address.port}"

    @asynccontextmanager
    async def client(self) -> AsyncIterator[aiohttp.ClientSession]:
        async with aiohttp.ClientSession(self._url, timeout=aiohttp.ClientTimeout(None)) as client:
            yield client

    async def filled(self, content: bytes) -> tuple[str, float]:
        """Return the id of a store with a document, and how many of its chunks a second were brought in."""
        async with self.client() as client:
            form = aiohttp.FormData({"purpose": "assistants"})
            form.add_field("file", content, filename="report.txt")
            file = await _json(client.post("/v1/files", data=form))
            store = await _json(client.post("/v1/vector_stores", json={}))
            where = f"/v1/vector_stores/{store['id']}/files"
            began = time.perf_counter()
            found = await _json(client.post(where, json={"file_id": file["id"]}))
            while found["status"] == "in_progress":
                await asyncio.sleep(0.02)
                found = await _json(client.get(f"{where}/{file['id']}"))
            seconds = time.perf_counter() - began
            if found["status"] != "completed":
                raise Failed(f"a document was not read: {found['last_error']}")
            return store["id"], await _chunks(client, f"{where}/{file['id']}/content") / seconds


async def _json(asking: Any) -> dict[str, Any]:
    async with asking as response:
        answer: dict[str, Any] = await response.json()
        if response.status != 200:
            raise Failed(f"{response.url.path}: {response.status} {answer}")
        return answer


async def _chunks(client: aiohttp.ClientSession, where: str) -> int:
    number, page = 0, "-1"
    while page is not None:
        answer = await _json(client.get(where, params={"page": page}))
        number, page = number + len(answer["data"]), answer["next_page"]
    return number


@asynccontextmanager
async def orchestrator(
    folder: Path, cores: Cores, database: str, source: dict[str, Any], vectors: str | None = None
) -> AsyncIterator[Process]:
    """Start one over a database, compiled, and an engine for its answers.

    `source` is of its vectors, and `vectors` the URL of the engine that makes them.
    """
    engine, port, file = free_port(), free_port(), folder / "tandem.json"
    upstreams = [{"name": "engine", "url": f"http://127.0.0.1:{engine}", "model": MODEL}]
    if vectors is not None:
        upstreams.append({"name": "vectors", "url": vectors, "model": "double"})
    config = {
        "upstreams": upstreams,
        "database": {"url": database},
        "files": {"folder": f"{folder}/files"},
        "retrieval": {"chunking": CHUNKING, "embedding": source},
    }
    file.write_bytes(orjson.dumps(config))
    asked = [sys.executable, "-m", "bench.engine", "--port", str(engine)]
    serve = [sys.executable, "-m", "tandem_orchestrator.cli", "serve", "--config", str(file)]
    serve = ["env", f"PYTHONPATH={compiled(ROOT)}", *serve, "--host", "127.0.0.1", "--port", str(port)]
    with running("engine", asked, engine, cores.engine, folder) as first:
        await until_ready(first, "/state", folder)
        with running("tandem", serve, port, cores.target, folder) as process:
            await until_ready(process, "/ready", folder)
            yield process


async def searching(folder: Path, cores: Cores, name: str, database: str) -> list[Row]:
    """Measure the CPU of a response that searches, kept and not, over that of one that does not."""
    async with orchestrator(folder, cores, database, {"path": str(static_model.folder())}) as process:
        store, _ = await Library(process).filled(document(0))
        tool = {"type": "file_search", "vector_store_ids": [store]}
        rows = []
        for how, fields in (("kept", {"store": True}), ("not kept", {"store": False})):
            plain: list[float] = []
            searched: list[float] = []
            for _ in range(EFFORT.rounds):
                for request, found in ((respond(**fields), plain), (respond(**fields, tools=[tool]), searched)):
                    found.append((await cpu_of_a_request(process, EFFORT, request=request))[0])
            one, other = Series(searched), Series(plain)
            figures = f"{one.median:.0f} µs, without {other.median:.0f} µs"
            what = f"{name}: CPU of a response with file_search, {how}, over one without"
            rows.append(report.at_most(what, figures, one.over(other), MOST_CPU))
        return rows


async def reading(folder: Path, cores: Cores, name: str, database: str, url: str) -> list[Row]:
    """Measure how fast a document's pieces are in the index, over how fast the model alone makes their vectors."""
    source = {"model": "double", "batchSize": embedding.BATCH}
    bare: list[float] = []
    ours: list[float] = []
    async with orchestrator(folder, cores, database, source, url) as process:
        library = Library(process)
        await library.filled(document(0))
        for number in range(1, EFFORT.rounds + 1):
            bare.append(await embedding.bare_rate(url))
            ours.append((await library.filled(document(number)))[1])
    one, other = Series(ours), Series(bare)
    figures = f"{one.median:.0f}/s, bare {other.median:.0f}/s"
    return [report.at_least(f"{name}: pieces brought in, over the bare model", figures, one.over(other), LEAST_RATE)]


async def run() -> list[Row]:
    """Measure all."""
    cores = Cores.of_this_machine()
    os.sched_setaffinity(0, {cores.load})
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as home, running_postgres() as postgres:
        async with embedding.engine_running() as url:
            for system, name in DATABASES.items():
                for what, measure in (("searches", searching), ("documents", partial(reading, url=url))):
                    folder = Path(tempfile.mkdtemp(dir=home))
                    database = f"sqlite:///{folder}/tandem.db" if system == "sqlite" else await postgres.create()
                    with progress.step(f"{name}: {what}"):
                        rows += await measure(folder, cores, name, database)
    return rows


if __name__ == "__main__":
    path.confine()
    sys.exit(report.printed(run()))
