"""What reads each kind of file: `read(file, pages)` yields the blocks of a document, `pages` of them at most.

A reader's module is imported where its kind is read, and imports all that it will ever need: afterwards nothing can be
opened. It raises `FileRefused` for what it knows of, and anything for files that are damaged.
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import IO, Final

from tandem_orchestrator.retrieval.parsing.block import Block
from tandem_orchestrator.retrieval.parsing.file_refused import FileRefused

type Read = Callable[[IO[bytes], int], Iterator[Block]]

MODULES: Final = {
    "plain": "plain_text",
    "markdown": "markdown",
    "html": "web_page",
    "csv": "separated",
    "json": "json_document",
    "jsonl": "json_lines",
    "code": "code",
    "pdf": "pdf",
    "docx": "word",
    "pptx": "slides",
    "xlsx": "sheets",
}


def reader_of(kind: str) -> Read:
    """Return what reads files of a kind."""
    read: Read = import_module(f"{__name__}.{MODULES[kind]}").read
    return read


def refuse_more(pages: int, what: str = "pages") -> FileRefused:
    """Return the refusal of a file with more than so many pages."""
    return FileRefused("invalid_file", f"it has more than {pages} {what}")
