"""Reads docx: paragraphs under headings, and rows of tables."""

import re
from collections.abc import Iterator
from typing import IO, Final

import docx
import docx.document
import docx.table
import docx.text.paragraph

from tandem_orchestrator.retrieval.parsing.block import LINE, Block
from tandem_orchestrator.retrieval.parsing.readers.headings import Headings

HEADING: Final = re.compile(r"heading (\d)\Z", re.IGNORECASE)
TITLE: Final = "title"


def read(file: IO[bytes], pages: int) -> Iterator[Block]:  # noqa: ARG001 # they are made where it is shown
    """Yield paragraphs and rows, in their order."""
    headings = Headings()
    for item in docx.Document(file).iter_inner_content():
        if isinstance(item, docx.table.Table):
            yield from rows(item, headings)
        elif (text := item.text).strip():
            if (level := level_of(item)) is not None:
                headings.begin(level, text.strip())
            else:
                yield headings.block(text)
    yield headings.block("")


def level_of(paragraph: docx.text.paragraph.Paragraph) -> int | None:
    """Return a heading's level, 0 for a title, None for text."""
    name = (paragraph.style.name if paragraph.style is not None else "") or ""
    if found := HEADING.match(name):
        return int(found[1])
    return 0 if name.lower() == TITLE else None


def rows(table: docx.table.Table, headings: Headings) -> Iterator[Block]:
    """Yield the rows of a table; a cell that spans some stands once."""
    for row in table.rows:
        cells: list[str] = []
        last = None
        for cell in row.cells:
            if cell._tc is not last:  # noqa: SLF001 # there is no other way to tell
                cells.append(" ".join(cell.text.split()))
            last = cell._tc  # noqa: SLF001
        if any(cells):
            yield headings.block(" | ".join(cells), LINE)
