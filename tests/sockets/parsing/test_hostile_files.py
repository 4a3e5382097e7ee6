"""What becomes of files that were made to do harm, and of files that are broken."""

import asyncio

import pytest
from tandem_orchestrator.retrieval.parsing import FileRefused, ParseLimits, Parser
from tandem_orchestrator.retrieval.parsing.chunker import Chunker

from tests import documents as d
from tests.hostile_files import MEMORY_BYTES, MIB, PAGES, READ, REFUSED, UNPACKED_BYTES

LIMITS = ParseLimits(memory_bytes=MEMORY_BYTES, seconds=300, pages=PAGES, unpacked_bytes=UNPACKED_BYTES)
CHUNKER = Chunker(400, 0, structure=True)


async def read(folder, content, filename, limits=LIMITS):
    path = folder / "file"
    path.write_bytes(content)
    return [chunk async for some in Parser(limits).chunks(path, filename, CHUNKER) for chunk in some]


@pytest.mark.parametrize("case", REFUSED)
async def test_refused(tmp_path, case):
    filename, content, code, words = REFUSED[case]
    with pytest.raises(FileRefused) as refused:
        await read(tmp_path, content(), filename)
    assert refused.value.code == code
    assert words in str(refused.value)


@pytest.mark.parametrize("case", READ)
async def test_read_all_the_same(tmp_path, case):
    filename, content, words = READ[case]
    chunks = await read(tmp_path, content(), filename)
    assert any(words in chunk.text for chunk in chunks)
    assert all(chunk.tokens <= CHUNKER.max_tokens for chunk in chunks)
    assert not any("\0" in chunk.text for chunk in chunks)


async def ended(folder, content, filename, limits=LIMITS):
    """Return what was read, or why nothing was."""
    try:
        return " ".join(chunk.text for chunk in await read(folder, content, filename, limits))
    except FileRefused as refused:
        return str(refused)


async def test_entities_are_not_expanded(tmp_path):
    assert "lol" not in await ended(tmp_path, d.billion_laughs(), "a.docx")


async def test_external_entities_are_not_read(tmp_path):
    (tmp_path / "secret").write_text("stolen words")
    assert "stolen words" not in await ended(tmp_path, d.external_entity((tmp_path / "secret").as_uri()), "a.docx")


async def test_external_entities_are_not_fetched(tmp_path):
    connected = asyncio.Event()

    async def serve(reader, writer):
        connected.set()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await ended(tmp_path, d.external_entity(f"http://127.0.0.1:{port}/x"), "a.docx")
    assert not connected.is_set()


async def test_a_page_that_unpacks_to_more_than_memory(tmp_path):
    content = d.pdf_with_flate_bomb(1 << 30)
    assert len(content) < 100_000
    words = await ended(tmp_path, content, "a.pdf")
    assert "128 MiB of memory" in words or words in {"it holds no text", "reading it took longer than 300 s"}


async def test_too_much_text(tmp_path):
    with pytest.raises(FileRefused, match="it has more than 1000 characters of text"):
        await read(tmp_path, b"word " * 1000, "a.txt", LIMITS._replace(characters=1000))


async def test_too_little_memory(tmp_path):
    rows = [[f"{n} {column}" for column in range(20)] for n in range(20_000)]
    content = d.xlsx_file(One=rows)
    with pytest.raises(FileRefused, match="8 MiB of memory"):
        await read(tmp_path, content, "a.xlsx", LIMITS._replace(memory_bytes=8 * MIB))
