"""Reads plain text: what stands between blank lines is a block."""

import re
from collections.abc import Iterator
from typing import IO, Final

from tandem_orchestrator.retrieval.parsing.block import LARGEST, PARAGRAPH, Block
from tandem_orchestrator.retrieval.parsing.decoding import text_of

BLANK: Final = re.compile(r"\n[^\S\n]*\n\s*")
LAST_WORD: Final = re.compile(r"\s+\S*\Z")


def read(file: IO[bytes], pages: int) -> Iterator[Block]:  # noqa: ARG001 # it has none
    """Yield paragraphs; one that is very long comes in parts, cut between words where it has any."""
    text = text_of(file)
    waiting, gap = "", PARAGRAPH
    while some := text.read(LARGEST):
        *whole, waiting = BLANK.split(waiting + some)
        for paragraph in whole:
            yield Block(paragraph, gap=gap)
            gap = PARAGRAPH
        if len(waiting) > LARGEST:
            last = LAST_WORD.search(waiting, len(waiting) - 1000)
            end = last.start() if last else len(waiting)
            yield Block(waiting[:end], gap=gap)
            waiting, gap = waiting[end:], ""
    yield Block(waiting, gap=gap)
