"""A piece of a document, as it is embedded, kept and found."""

from typing import NamedTuple


class Chunk(NamedTuple):
    """Text of a document that stands together."""

    text: str
    page: int | None
    """Of a PDF, or the number of a slide or sheet, from 1 on."""
    heading: str
    """The headings above it, joined by " > "; "" where there are none."""
    tokens: int
    """An estimate: see `parsing.tokens`."""
