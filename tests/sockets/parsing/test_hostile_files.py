"""What becomes of files that were made to do harm, and of files that are broken."""

import asyncio

import pytest
from tandem_orchestrator.retrieval.parsing import FileRefused, ParseLimits, Parser
from tandem_orchestrator.retrieval.parsing.chunker import Chunker

from tests import documents as d

MIB = 1 << 20
LIMITS = ParseLimits(memory_bytes=128 * MIB, seconds=300, pages=100, unpacked_bytes=32 * MIB)
CHUNKER = Chunker(400, 0, structure=True)
WORDS = d.word_xml(d.paragraph("harmless"))


async def read(folder, content, filename, limits=LIMITS):
    path = folder / "file"
    path.write_bytes(content)
    return [chunk async for some in Parser(limits).chunks(path, filename, CHUNKER) for chunk in some]


REFUSED = {
    "empty": ("a.txt", lambda: b"", "invalid_file", "it holds no text"),
    "blank": ("a.txt", lambda: b" \n\n \t ", "invalid_file", "it holds no text"),
    "a picture called text": (
        "a.txt",
        lambda: b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        "unsupported_file",
        "neither text nor",
    ),
    "a programme called text": ("a.md", lambda: b"\x7fELF\2\1\1\0\0", "unsupported_file", "neither text nor"),
    "NUL bytes": ("a.txt", lambda: b"some text\0\0\0 and more", "unsupported_file", "neither text nor"),
    "text called PDF": ("a.pdf", lambda: b"just text", "invalid_file", "ends in .pdf, and it is no such file"),
    "text called docx": ("a.docx", lambda: b"just text", "invalid_file", "ends in .docx"),
    "an old Word file": ("a.doc", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "unsupported_file", "old"),
    "an encrypted docx": (
        "a.docx",
        lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"),
        "invalid_file",
        "it is encrypted",
    ),
    "a zip file": ("a.zip", lambda: d.zip_file({"a.txt": "text"}), "unsupported_file", "it is packed"),
    "a zip file called text": ("a.txt", lambda: d.zip_file({"a.txt": "text"}), "unsupported_file", "it is packed"),
    "half a zip file": ("a.docx", lambda: d.bare_docx(WORDS)[:-40], "invalid_file", "it is damaged"),
    "an entry with a wrong sum": (
        "a.docx",
        lambda: d.bare_docx(WORDS).replace(b"PK\1\2", b"PK\1\3", 1),
        "invalid_file",
        "it is damaged",
    ),
    "no XML in it": ("a.docx", lambda: d.bare_docx("<w:document"), "invalid_file", "it is damaged"),
    "macros": ("a.docm", lambda: d.bare_docx(WORDS, **{"word/vbaProject.bin": "x"}), "unsupported_file", "has macros"),
    "macros called docx": (
        "a.docx",
        lambda: d.bare_docx(WORDS, **{"word/vbaProject.bin": "x"}),
        "unsupported_file",
        "macros",
    ),
    "a flat bomb": (
        "a.docx",
        lambda: d.bare_docx(WORDS, **{"word/media/a.bin": b"\0" * (64 * MIB)}),
        "invalid_file",
        f"it unpacks to more than {32 * MIB} bytes",
    ),
    "a bomb in many entries": (
        "a.docx",
        lambda: d.bare_docx(WORDS, **{f"word/{n}.bin": b"\0" * MIB for n in range(40)}),
        "invalid_file",
        "it unpacks to more than",
    ),
    "a bomb of entries that overlap": ("a.docx", lambda: d.overlapping_zip(MIB, 1000), "invalid_file", "it "),
    "a bomb that says it is small": (
        "a.docx",
        lambda: d.lying_zip(d.word_xml(d.paragraph("x" * 70_000_000)), 1000),
        "invalid_file",
        "it unpacks to more than",
    ),
    "an entry that says it is small": (
        "a.docx",
        lambda: d.lying_zip(d.word_xml(d.paragraph("x" * 100_000)), 1000),
        "invalid_file",
        "is not as large as stated",
    ),
    "too many entries": (
        "a.docx",
        lambda: d.bare_docx(WORDS, **{f"word/{n}": "" for n in range(20_001)}),
        "invalid_file",
        "more than 20000 files",
    ),
    "a broken PDF": ("a.pdf", lambda: b"%PDF-1.7\nnothing of the kind", "invalid_file", "it is damaged"),
    "half a PDF": ("a.pdf", lambda: d.pdf_file("first page")[:-200], "invalid_file", "it is damaged"),
    "an encrypted PDF": ("a.pdf", d.encrypted_pdf, "invalid_file", "it is encrypted"),
    "a PDF without text": ("a.pdf", lambda: d.pdf_file(""), "invalid_file", "it holds no text"),
    "a PDF with many pages": ("a.pdf", lambda: d.pdf_file(*"x" * 101), "invalid_file", "it has more than 100 pages"),
    "pages in a circle": ("a.pdf", d.pdf_with_page_loop, "invalid_file", "it "),
    "many slides": ("a.pptx", lambda: d.pptx_file(*[("a", "b", "")] * 101), "invalid_file", "more than 100 slides"),
    "many sheets": (
        "a.xlsx",
        lambda: d.xlsx_file(**{f"s{n}": [["x"]] for n in range(101)}),
        "invalid_file",
        "more than 100 sheets",
    ),
    "a sheet as large as can be": ("a.xlsx", d.wide_xlsx, "invalid_file", "128 MiB of memory"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_refused(tmp_path, case):
    filename, content, code, words = REFUSED[case]
    with pytest.raises(FileRefused) as refused:
        await read(tmp_path, content(), filename)
    assert refused.value.code == code
    assert words in str(refused.value)


READ = {
    "a PDF called text": ("a.txt", lambda: d.pdf_file("from a PDF"), "from a PDF"),
    "a docx called PDF": ("a.pdf", lambda: d.bare_docx(WORDS), "harmless"),
    "text with an unknown name": ("a.xyz", lambda: b"some words", "some words"),
    "a name with a path": ("../../etc/passwd\0.txt", lambda: b"some words", "some words"),
    "a name of dots": ("..", lambda: b"some words", "some words"),
    "a file packed in a document": (
        "a.docx",
        lambda: d.bare_docx(WORDS, **{"word/embeddings/a.zip": d.zip_file({"b": b"\0" * (64 * MIB)})}),
        "harmless",
    ),
    "deep JSON": ("a.json", lambda: b"[" * 100_000 + b"]" * 100_000, "[[[["),
    "deep JSON lines": ("a.jsonl", lambda: b'{"a":' * 100_000, '{"a":'),
    "no JSON": ("a.json", lambda: b"{no", "{no"),
    "a long field": ("a.csv", lambda: b'a,b\n1,"' + b"x" * (50 * MIB) + b'"\n', "xxx"),
    "a quotation mark without end": ("a.csv", lambda: b'a,b\n1,"2\n3,4\n', "3,4"),
    "deep HTML": ("a.html", lambda: b"<div>" * 100_000 + b"deep", "deep"),
    "a late NUL": ("a.txt", lambda: b"word " * 20_000 + b"\0end", "end"),
    "half a character at the end": ("a.txt", lambda: "größer ü".encode()[:-1], "größer"),
    "a PDF without its last line": ("a.pdf", lambda: d.pdf_file("first page").partition(b"startxref")[0], "first page"),
    "a long line": ("a.txt", lambda: b"x" * (8 * MIB), "xxx"),
    "blanks only, almost": ("a.txt", lambda: b" " * (8 * MIB) + b"end", "end"),
    "line breaks only, almost": ("a.txt", lambda: b"begin" + b"\n" * (8 * MIB) + b"end", "begin"),
}


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
