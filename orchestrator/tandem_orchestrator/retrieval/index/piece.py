"""Pieces of documents, on their way into an index and out of it."""

from collections.abc import Sequence
from typing import NamedTuple


class Embedded(NamedTuple):
    """A piece of a file; `vector` is None in an index that has none."""

    file_id: str
    position: int
    text: str
    page: int | None
    heading: str
    tokens: int
    vector: bytes | None

    @property
    def size(self) -> int:
        """Bytes of text and vector."""
        return len(self.text.encode(errors="replace")) + len(self.vector or b"")


class Query(NamedTuple):
    """A search in one index, by meaning (`vector`), by words (`text`), or both."""

    vector: bytes | None
    text: str | None
    most: int
    files: Sequence[str] | None = None
    """Only pieces of these; None for all."""
    weights: tuple[float, float] = (1.0, 1.0)
    """Of the order by meaning, and of that by words; 0 leaves one out."""


class Found(NamedTuple):
    """A piece that a search has found."""

    file_id: str
    position: int
    text: str
    page: int | None
    heading: str
    score: float
