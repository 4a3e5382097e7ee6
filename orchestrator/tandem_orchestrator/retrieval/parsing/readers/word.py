"""Reads docx: paragraphs under headings, and rows of tables."""

import re
from collections.abc import Iterator
from typing import IO, Final

import docx
import docx.document
import docx.table
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml.ns import qn

from tandem_orchestrator.retrieval.parsing.block import LINE, Block
from tandem_orchestrator.retrieval.parsing.readers.headings import Headings

HEADING: Final = re.compile(r"heading (\d)\Z")
TITLE: Final = "title"
PARAGRAPH: Final = qn("w:p")


def read(file: IO[bytes], pages: int) -> Iterator[Block]:  # noqa: ARG001 # they are made where it is shown
    """Yield paragraphs and rows, in their order."""
    document = docx.Document(file)
    levels = levels_of(document)
    headings = Headings()
    for item in document.iter_inner_content():
        if isinstance(item, docx.table.Table):
            yield from rows(item, headings)
        elif (text := item.text).strip():
            level = levels.get(item._p.style or "")  # noqa: SLF001 # its own `style` looks into the styles each time
            if level is not None:
                headings.begin(level, text.strip())
            else:
                yield headings.block(text)
    yield headings.block("")


def levels_of(document: docx.document.Document) -> dict[str, int]:
    """Return the levels of headings, 0 for a title, by the ids of styles."""
    if all(relation.reltype != RELATIONSHIP_TYPE.STYLES for relation in document.part.rels.values()):
        return {}  # else python-docx would open a template
    levels: dict[str, int] = {}
    for style in document.styles:
        name = (style.name or "").lower()
        if found := HEADING.match(name):
            levels[style.style_id] = int(found[1])
        elif name == TITLE:
            levels[style.style_id] = 0
    return levels


def rows(table: docx.table.Table, headings: Headings) -> Iterator[Block]:
    """Yield the rows of a table; a cell that spans some stands once, and what is in tables in cells goes with them."""
    for row in table.rows:
        cells: list[str] = []
        last = None
        for cell in row.cells:
            element = cell._tc  # noqa: SLF001 # there is no other way to tell them apart
            if element is not last:
                cells.append(" ".join(" ".join(paragraph.text.split()) for paragraph in element.iter(PARAGRAPH)))
            last = element
        if any(cells):
            yield headings.block(" | ".join(cells), LINE)
