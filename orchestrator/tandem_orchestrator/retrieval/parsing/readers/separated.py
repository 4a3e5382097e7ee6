"""Reads tables as text, separated by commas, semicolons, bars or tabs: a row is a block."""

import csv
from collections.abc import Iterator
from typing import IO, Final

from tandem_orchestrator.retrieval.parsing.block import LINE, Block
from tandem_orchestrator.retrieval.parsing.decoding import lines_of, text_of
from tandem_orchestrator.retrieval.parsing.readers.records import gap, is_header, shown

SEPARATORS: Final = ",;\t|"
LONGEST_FIELD: Final = 1 << 20  # characters; what is longer is hardly a field, but a quotation mark that never ends


class _Lines(Iterator[str]):
    """Lines, and those since the last whole row."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.since: list[str] = []

    def __next__(self) -> str:
        line = next(self._lines).replace("\0", " ")
        self.since.append(line)
        return line


def read(file: IO[bytes], pages: int) -> Iterator[Block]:  # noqa: ARG001 # it has one
    """Yield rows; what cannot be read as one comes as it is."""
    csv.field_size_limit(LONGEST_FIELD)
    text = text_of(file)
    first = text.readline(LONGEST_FIELD)
    text.seek(0)
    separator = max(SEPARATORS, key=first.count)
    lines = _Lines(lines_of(text))
    header: list[str] | None = None
    begun = False
    while True:
        try:
            for row in csv.reader(lines, delimiter=separator):
                lines.since = []
                if not begun and is_header(row):
                    header = row
                    yield Block(separator.join(row), gap=LINE)
                else:
                    yield Block(shown(row, header), gap=gap(header))
                begun = begun or any(row)
        except csv.Error:
            yield from (Block(line.rstrip("\n"), gap=LINE) for line in lines.since)
            lines.since, begun = [], True
        else:
            return
