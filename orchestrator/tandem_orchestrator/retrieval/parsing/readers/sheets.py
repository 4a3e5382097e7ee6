"""Reads xlsx: the values of the cells, row by row, with the names of their columns. Formulas are not read."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import IO

from python_calamine import CalamineWorkbook

from tandem_orchestrator.retrieval.parsing.block import LINE, Block
from tandem_orchestrator.retrieval.parsing.readers import refuse_more
from tandem_orchestrator.retrieval.parsing.readers.headings import LONGEST
from tandem_orchestrator.retrieval.parsing.readers.records import gap, is_header, shown

type Value = int | float | str | bool | time | date | datetime | timedelta


def read(file: IO[bytes], pages: int) -> Iterator[Block]:
    """Yield rows; a sheet is a page, and its name the heading."""
    workbook = CalamineWorkbook.from_filelike(file)
    if len(workbook.sheet_names) > pages:
        raise refuse_more(pages, "sheets")
    for page, name in enumerate(workbook.sheet_names, 1):
        header: list[str] | None = None
        begun = False
        for row in workbook.get_sheet_by_index(page - 1).iter_rows():
            cells = [cell(value) for value in row]
            if not begun and is_header(cells):
                header = cells
                yield Block(" | ".join(cells), page, name[:LONGEST], LINE)
            elif any(cells):
                yield Block(shown(cells, header), page, name[:LONGEST], gap(header))
            begun = begun or any(cells)


def cell(value: Value) -> str:
    """Return a value as it is shown."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
