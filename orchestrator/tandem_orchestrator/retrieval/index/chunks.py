"""What goes into an index, what is asked of it, and what comes back."""

from array import array
from collections.abc import Sequence
from math import isfinite
from typing import NamedTuple

import orjson

from tandem_orchestrator.errors import BadRequest

Vector = Sequence[float]
"""Any length but 0; `array("f")` costs the least."""


class Embedded(NamedTuple):
    """A chunk of a file, and its vector."""

    file_id: str
    position: int
    """Among the chunks of its file, from 0 on."""
    text: str
    page: int | None
    heading: str
    tokens: int
    vector: Vector | None
    """None in an index that is searched by words alone."""

    @property
    def size(self) -> int:
        """Return the bytes of its text and its vector."""
        return len(self.text.encode(errors="replace")) + 4 * len(self.vector or ())


class Kept(NamedTuple):
    """A chunk as it is kept."""

    file_id: str
    position: int
    text: str
    page: int | None
    heading: str
    tokens: int


class Query(NamedTuple):
    """A question. Without a text it asks for what lies near the vector, without a vector for what has its words."""

    most: int
    vector: Vector | None = None
    text: str | None = None
    files: Sequence[str] | None = None
    """Only chunks of these."""
    vector_weight: float = 1.0
    text_weight: float = 1.0


class Found(NamedTuple):
    """A chunk that was found."""

    file_id: str
    position: int
    text: str
    page: int | None
    heading: str
    score: float
    """Of vectors alone, cosine similarity, 0 where it is negative; else what `fusion` says. From 0 to 1."""


def floats(vector: Vector, dimension: int) -> array[float]:
    """Return a vector as 32-bit floats. Raises `BadRequest` for one that does not fit."""
    if len(vector) != dimension:
        raise BadRequest(
            f"the index holds vectors of {dimension} dimensions, and this one has {len(vector)}: embed with the model "
            "that the vector store names, or re-index the store",
            code="dimension_mismatch",
        )
    try:
        found = vector if isinstance(vector, array) and vector.typecode == "f" else array("f", vector)
    except (OverflowError, TypeError):
        found = array("f")
    if not found or not isfinite(sum(found)):  # the sum of 4,096 floats of 32 bits does not overflow one of 64
        raise BadRequest("the vector has values that are no finite 32-bit floats", code="invalid_vector")
    return found


def spelled(vector: array[float]) -> str:
    """Return a vector as pgvector reads it: asyncpg takes three times as long for an array."""
    return orjson.dumps(vector.tolist()).decode()
