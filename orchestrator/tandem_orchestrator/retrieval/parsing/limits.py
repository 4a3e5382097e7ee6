"""What reading a file may cost."""

from typing import NamedTuple


class ParseLimits(NamedTuple):
    """A file that needs more than this is refused."""

    memory_bytes: int
    """Beside what the interpreter and the libraries take."""
    seconds: float
    """Time that the worker computes; waiting for whoever takes the pieces is not counted."""
    pages: int
    """Pages, slides or sheets."""
    unpacked_bytes: int
    """Of all that is in a docx, pptx or xlsx file."""
    characters: int = 1 << 29
    """Of text."""
