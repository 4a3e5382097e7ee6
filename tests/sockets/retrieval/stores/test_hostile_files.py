"""Hostile and broken files through the whole service, in a process of its own: how each ends, and what it costs."""

import re
from contextlib import asynccontextmanager
from pathlib import Path

import openai
import orjson
import pytest
from openai.types.vector_stores import VectorStoreFile

from tests import documents as d
from tests.engine_double.embedding import Embedding
from tests.hostile_files import MEMORY_BYTES, MIB, PAGES, READ, REFUSED, UNPACKED_BYTES
from tests.sockets.process import Process, serving
from tests.sockets.retrieval.stores.conftest import KEYS
from tests.sockets.retrieval.stores.documents import PLANETS, RIVERS, Documents

SECONDS = 20  # of reading a file
GROWTH = 64 * MIB
LIMITS = {
    "maxMemoryBytes": MEMORY_BYTES,
    "maxSeconds": SECONDS,
    "maxPages": PAGES,
    "maxUnpackedBytes": UNPACKED_BYTES,
}
ENDLESS = ("a.pdf", lambda: d.endless_pdf(PAGES, 32 * MIB), "invalid_file", "longer than 20 s")
FAILING = {"an endless PDF": ENDLESS, **REFUSED}
FILES = {case: each[:2] for case, each in FAILING.items()} | {case: each[:2] for case, each in READ.items()}
PATIENCE = 150.0


@pytest.fixture
def service(engine, url, tmp_path):
    """A server whose temporary files lie in a folder of its own."""

    @asynccontextmanager
    async def started():
        settings = {
            "upstreams": [{"name": "engine", "url": engine.url, "model": "double"}],
            "database": {"url": url},
            "files": {"folder": str(tmp_path / "bytes")},
            "keys": KEYS,
            "retrieval": {
                "embedding": {"model": "double"},
                "ingestion": LIMITS,
                "chunking": {"maxTokens": 4096, "overlapTokens": 0},
            },
        }
        file = tmp_path / "config.yaml"
        file.write_bytes(orjson.dumps(settings))
        (tmp_path / "temporary").mkdir()
        async with serving("--config", str(file), TMPDIR=str(tmp_path / "temporary")) as running:
            yield running

    return started


async def test_each_ends_as_it_should_and_harms_nothing_else(service, engine, tmp_path):
    engine.rule = Embedding()
    async with (
        service() as running,
        openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key="key-a", max_retries=0) as client,
    ):
        documents = Documents(client, PATIENCE)
        store = await documents.store(RIVERS)
        memory = Memory(running)
        hostile = await uploaded(documents)
        good = await documents.upload(PLANETS, "planets.txt")
        await client.vector_stores.file_batches.create(store.id, file_ids=[*hostile.values(), good.id])
        await documents.done(store.id)
        for case, file_id in hostile.items():
            check(case, await client.vector_stores.files.retrieve(file_id, vector_store_id=store.id))
            assert "/" not in (await client.files.retrieve(file_id)).filename
        assert memory.growth() <= GROWTH
        assert "Saturn" in (await documents.found(store.id, "Saturn rings"))[0]
        assert "Rhine" in (await documents.found(store.id, "Rhine Alps"))[0]
        counts = (await client.vector_stores.retrieve(store.id)).file_counts
        assert (counts.failed, counts.completed) == (len(hostile) - len(READ), len(READ) + 2)
        assert workers_of(running) == []
        assert [*(tmp_path / "temporary").iterdir()] == []
        assert not any("tandem-file-" in each or str(tmp_path / "bytes") in each for each in open_files(running))


async def uploaded(documents: Documents) -> dict[str, str]:
    """The ids of the files; an empty one is refused here already."""
    found = {}
    for case, (filename, content) in FILES.items():
        if made := content():
            found[case] = (await documents.upload(made, filename)).id
        else:
            with pytest.raises(openai.BadRequestError, match="empty"):
                await documents.upload(made, filename)
    return found


def check(case: str, file: VectorStoreFile) -> None:
    if case in READ:
        assert (file.status, file.last_error) == ("completed", None), case
        return
    _, _, code, words = FAILING[case]
    assert file.status == "failed", case
    assert file.last_error is not None
    assert file.last_error.code == code, case
    assert words in file.last_error.message, case


def workers_of(running: Process) -> list[int]:
    """The ids of processes that read files."""
    tasks = Path(f"/proc/{running.process.pid}/task").glob("*/children")
    return [int(child) for children in tasks for child in children.read_text().split()]


def open_files(running: Process) -> list[str]:
    return [str(file.readlink()) for file in Path(f"/proc/{running.process.pid}/fd").iterdir()]


class Memory:
    """What a process takes more than it had."""

    def __init__(self, running: Process) -> None:
        self._folder = Path(f"/proc/{running.process.pid}")
        (self._folder / "clear_refs").write_text("5")  # the peak begins anew
        self._before = self._bytes("VmRSS")

    def growth(self) -> int:
        return self._bytes("VmHWM") - self._before

    def _bytes(self, line: str) -> int:
        found = re.search(rf"{line}:\s+(\d+) kB", (self._folder / "status").read_text())
        assert found
        return int(found[1]) * 1024
