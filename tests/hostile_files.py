"""Files that were made to do harm, and broken ones, each with what becomes of it under the limits here."""

from collections.abc import Callable, Mapping
from typing import Final

from tests import documents as d

MIB: Final = 1 << 20
MEMORY_BYTES: Final = 128 * MIB
PAGES: Final = 100
UNPACKED_BYTES: Final = 32 * MIB
WORDS: Final = d.word_xml(d.paragraph("harmless"))

REFUSED: Final[Mapping[str, tuple[str, Callable[[], bytes], str, str]]] = {
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
        f"it unpacks to more than {UNPACKED_BYTES} bytes",
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
    "a form that draws itself twice": ("a.pdf", lambda: d.pdf_with_form_loop(2), "invalid_file", "128 MiB of memory"),
    "a spreadsheet of ten gigabytes": ("a.xlsx", lambda: d.huge_xlsx(10), "invalid_file", "it unpacks to more than"),
}
"""Name of the file, its bytes, and why it is refused."""


READ: Final[Mapping[str, tuple[str, Callable[[], bytes], str]]] = {
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
    "a long field": ("a.csv", lambda: b'a,b\n1,"' + b"x" * (4 * MIB) + b'"\n', "xxx"),
    "a quotation mark without end": ("a.csv", lambda: b'a,b\n1,"2\n3,4\n', "3,4"),
    "deep HTML": ("a.html", lambda: b"<div>" * 100_000 + b"deep", "deep"),
    "a late NUL": ("a.txt", lambda: b"word " * 20_000 + b"\0end", "end"),
    "half a character at the end": ("a.txt", lambda: "größer ü".encode()[:-1], "größer"),
    "a PDF without its last line": ("a.pdf", lambda: d.pdf_file("first page").partition(b"startxref")[0], "first page"),
    "a long line": ("a.txt", lambda: b"x" * (8 * MIB), "xxx"),
    "blanks only, almost": ("a.txt", lambda: b" " * (8 * MIB) + b"end", "end"),
    "line breaks only, almost": ("a.txt", lambda: b"begin" + b"\n" * (8 * MIB) + b"end", "begin"),
    "a form that draws itself": ("a.pdf", lambda: d.pdf_with_form_loop(1), "before"),
    "a content as long as itself": ("a.pdf", d.pdf_with_length_loop, "before"),
}
"""Name of the file, its bytes, and what is read of it all the same."""
