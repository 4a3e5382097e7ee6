"""Finds out how a text is encoded, and reads it piece by piece."""

import codecs
import io
from collections.abc import Iterator
from typing import IO, Final

from tandem_orchestrator.retrieval.parsing.block import LARGEST

BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
READ_BYTES: Final = 1 << 20
CONTROL: Final = bytes(set(range(32)) - set(b"\t\n\x0b\x0c\r\x1a\x1b"))
MOST_CONTROL: Final = 100  # one byte of so many


def is_binary(head: bytes) -> bool:
    """Tell whether what a file begins with is no text."""
    if any(head.startswith(bom) for bom, _ in BOMS):
        return False
    controls = len(head) - len(head.translate(None, CONTROL))
    return b"\0" in head or controls * MOST_CONTROL > len(head)


def encoding_of(file: IO[bytes]) -> str:
    """Return the encoding by the mark at the beginning, else UTF-8 if all of the file is, else cp1252."""
    file.seek(0)
    head = file.read(4)
    for bom, encoding in BOMS:
        if head.startswith(bom):
            return encoding
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while some := file.read(READ_BYTES):
            decoder.decode(some)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"  # perhaps cut off within its last character


def text_of(file: IO[bytes]) -> io.TextIOWrapper:
    """Return the file's text from its beginning on, with each line break as one character."""
    encoding = encoding_of(file)
    file.seek(0)
    return io.TextIOWrapper(file, encoding, errors="replace")


def lines_of(text: io.TextIOBase) -> Iterator[str]:
    """Yield lines, of which those that are longer than a block come in parts."""
    while line := text.readline(LARGEST):
        yield line
