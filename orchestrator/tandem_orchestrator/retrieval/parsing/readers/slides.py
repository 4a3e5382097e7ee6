"""Reads pptx: the texts of a slide are blocks under its title, and so are its notes."""

from collections.abc import Iterable, Iterator
from typing import IO, Any

import pptx
import pptx.presentation

from tandem_orchestrator.retrieval.parsing.block import LINE, Block
from tandem_orchestrator.retrieval.parsing.readers import refuse_more
from tandem_orchestrator.retrieval.parsing.readers.headings import LONGEST


def read(file: IO[bytes], pages: int) -> Iterator[Block]:
    """Yield the texts of the slides."""
    slides = pptx.Presentation(file).slides
    if len(slides) > pages:
        raise refuse_more(pages, "slides")
    for number, slide in enumerate(slides, 1):
        title = slide.shapes.title
        heading = " ".join(title.text_frame.text.split())[:LONGEST] if title is not None else ""
        for text in texts(slide.shapes):
            yield Block(text, number, heading)
        if slide.has_notes_slide and (notes := slide.notes_slide.notes_text_frame) is not None:
            yield Block(notes.text, number, heading)


def texts(shapes: Iterable[Any]) -> Iterator[str]:
    """Yield what is written on shapes."""
    waiting = list(shapes)[::-1]
    while waiting:
        shape = waiting.pop()
        if hasattr(shape, "shapes"):
            waiting += list(shape.shapes)[::-1]
        elif shape.has_text_frame:
            yield shape.text_frame.text.replace("\v", LINE)
        elif getattr(shape, "has_table", False):
            rows = (" | ".join(" ".join(cell.text.split()) for cell in row.cells) for row in shape.table.rows)
            yield LINE.join(rows)
