"""Reads JSON lines: each line is a block. One that is no JSON is read as text."""

from collections.abc import Iterator
from typing import IO, Final

from tandem_orchestrator.retrieval.parsing.block import PARAGRAPH, Block
from tandem_orchestrator.retrieval.parsing.decoding import text_of
from tandem_orchestrator.retrieval.parsing.readers.json_document import blocks_of

LONGEST: Final = 1 << 20  # characters


def read(file: IO[bytes], pages: int) -> Iterator[Block]:  # noqa: ARG001 # it has none
    """Yield lines."""
    text = text_of(file)
    while line := text.readline(LONGEST):
        try:
            lines = [block.text for block in blocks_of(line)]
        except (ValueError, RecursionError):
            lines = [line]
        yield Block("\n".join(lines), gap=PARAGRAPH)
