"""Files of all kinds, read by worker processes; what becomes of these when nobody wants to know any more."""

import asyncio
import gc
import os
import signal
from pathlib import Path

import pytest
import uvloop
from tandem_orchestrator.retrieval.chunk import Chunk
from tandem_orchestrator.retrieval.parsing import FileRefused, ParseLimits, Parser
from tandem_orchestrator.retrieval.parsing.chunker import Chunker

from tests import documents as d

LIMITS = ParseLimits(memory_bytes=256 << 20, seconds=60, pages=100, unpacked_bytes=64 << 20)
CHUNKER = Chunker(100, 0, structure=True)
LONG = b"Some words of a long text, again and again. " * 400_000

KINDS = {
    "txt": ("größer\r\n\r\nkleiner".encode, [("größer\n\nkleiner", None, "")]),
    "md": (lambda: b"# A\ntext\n## B\nmore", [("# A\n\ntext", None, "A"), ("## B\n\nmore", None, "A > B")]),
    "html": (lambda: b"<h1>A</h1><p>text<script>no()</script>", [("A\n\ntext", None, "A")]),
    "csv": (lambda: b"name,age\nann,3\n", [("name,age\n\nname: ann\nage: 3", None, "")]),
    "tsv": (lambda: b"name\tage\nann\t3\n", [("name\tage\n\nname: ann\nage: 3", None, "")]),
    "json": (lambda: b'{"a": {"b": [1.50, true]}, "c": "\\u4f60"}', [("a.b: 1.50\na.b: true\nc: 你", None, "")]),
    "jsonl": (lambda: b'{"a": 1}\nno JSON\n', [("a: 1\n\nno JSON", None, "")]),
    "py": (lambda: b"import os\n\n\ndef f():\n    pass\n", [("import os\n\ndef f():\n    pass", None, "")]),
    "pdf": (lambda: d.pdf_file("one\nline", "two"), [("one\nline", 1, ""), ("two", 2, "")]),
    "docx": (
        lambda: d.docx_file(("Title", "T"), ("Heading 1", "A"), ("Normal", "text"), [["x", "y"], ["1", "2"]]),
        [("T\n\nA\n\ntext\nx | y\n1 | 2", None, "T > A")],
    ),
    "pptx": (
        lambda: d.pptx_file(("A", "text", "notes"), ("B", "more", "")),
        [("A\n\ntext\n\nnotes", 1, "A"), ("B\n\nmore", 2, "B")],
    ),
    "xlsx": (
        lambda: d.xlsx_file(One=[["name", "age"], ["ann", 3]], Two=[[1.5]]),
        [("name | age\n\nname: ann\nage: 3", 1, "One"), ("1.5", 2, "Two")],
    ),
}


def file_of(folder, content):
    path = folder / "file"
    path.write_bytes(content)
    return path


async def read(path, filename, limits=LIMITS, chunker=CHUNKER):
    return [chunk async for some in Parser(limits).chunks(path, filename, chunker) for chunk in some]


def workers():
    """Return the numbers of this process's children that run the worker."""
    found = []
    for children in Path("/proc/self/task").glob("*/children"):
        for number in children.read_text().split():
            command = Path(f"/proc/{number}/cmdline")
            if command.exists() and b"parsing.worker" in command.read_bytes():
                found.append(int(number))
    return found


def position_of(worker):
    return int(Path(f"/proc/{worker}/fdinfo/0").read_text().split()[1])


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 # of another process
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("kind", KINDS)
async def test_kinds(tmp_path, kind):
    content, expected = KINDS[kind]
    chunks = await read(file_of(tmp_path, content()), f"a.{kind.upper()}")
    assert [(chunk.text, chunk.page, chunk.heading) for chunk in chunks] == expected
    assert all(type(chunk) is Chunk for chunk in chunks)


async def test_the_same_file_gives_the_same_pieces(tmp_path):
    path = file_of(tmp_path, LONG[:2_000_000])
    first = await read(path, "a.txt")
    assert len(first) > 1000
    assert await read(path, "a.txt") == first


async def test_it_reads_on_only_as_pieces_are_taken(tmp_path):
    path = file_of(tmp_path, LONG)
    chunks = Parser(LIMITS).chunks(path, "a.txt", CHUNKER)
    await anext(chunks)
    (worker,) = workers()

    def waiting():
        return Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[0] == "S"

    await until(waiting)
    assert position_of(worker) < len(LONG)
    await chunks.aclose()
    assert workers() == []


async def test_no_worker_is_left_when_its_reader_is_cancelled(tmp_path):
    path = file_of(tmp_path, LONG)
    begun = asyncio.Event()

    async def take():
        async for _ in Parser(LIMITS).chunks(path, "a.txt", CHUNKER):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(take())
    await begun.wait()
    assert len(workers()) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gc.collect()
    await until(lambda: workers() == [])


async def test_no_worker_is_left_when_its_reader_is_cancelled_before_the_first_piece(tmp_path):
    task = asyncio.create_task(read(file_of(tmp_path, LONG), "a.txt"))
    await until(workers)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert workers() == []


async def test_a_worker_that_takes_too_long(tmp_path):
    with pytest.raises(FileRefused, match=r"reading it took longer than 0\.05 s") as refused:
        await read(file_of(tmp_path, LONG), "a.txt", LIMITS._replace(seconds=0.05))
    assert refused.value.code == "invalid_file"
    assert workers() == []


async def test_a_worker_that_is_killed(tmp_path):
    chunks = Parser(LIMITS).chunks(file_of(tmp_path, LONG), "a.txt", CHUNKER)
    await anext(chunks)
    (worker,) = workers()
    os.kill(worker, signal.SIGSEGV)
    with pytest.raises(FileRefused, match=r"it is damaged, or .* 256 MiB of memory \(SIGSEGV\)"):
        assert [some async for some in chunks] == []


def test_it_works_on_uvloop(tmp_path):
    async def both():
        whole = await read(file_of(tmp_path, LONG[:1_000_000]), "a.txt")
        chunks = Parser(LIMITS).chunks(file_of(tmp_path, LONG), "a.txt", CHUNKER)
        await anext(chunks)
        await chunks.aclose()
        return whole

    assert len(uvloop.run(both())) > 500
    assert workers() == []
