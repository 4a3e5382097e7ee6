"""Shows rows of a table so that each can be understood alone."""

from collections.abc import Iterable, Sequence
from typing import Final

from tandem_orchestrator.retrieval.parsing.block import LINE, PARAGRAPH

LONGEST_NAME: Final = 100  # characters of a column's name


def is_header(row: Sequence[str]) -> bool:
    """Tell whether a table's first row names its columns: it is full of different texts, none of them a number."""
    names = [cell.strip() for cell in row]
    return len(names) > 1 and all(names) and len(set(names)) == len(names) and not any(map(is_number, names))


def is_number(cell: str) -> bool:
    """Tell whether a cell is a number."""
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


def shown(row: Iterable[str], header: Sequence[str] | None) -> str:
    """Return "column: value" lines; without a header the values alone."""
    cells = [cell.strip() for cell in row]
    if header is None:
        return " | ".join(cells).strip(" |")
    return LINE.join(
        f"{header[n].strip()[:LONGEST_NAME]}: {cell}" if n < len(header) else cell
        for n, cell in enumerate(cells)
        if cell
    )


def gap(header: Sequence[str] | None) -> str:
    """Return what stands between rows."""
    return LINE if header is None else PARAGRAPH
