"""Vectors as stores, indexes and caches have them: little-endian float32 of length 1, as bytes."""

import math
from binascii import a2b_base64
from collections.abc import Sequence
from itertools import starmap
from operator import mul
from struct import error as NotPacked  # noqa: N812 # a class, whatever its name
from struct import pack, unpack
from typing import Any, Final

from tandem_orchestrator.errors import WrongVectors

BYTES: Final = 4  # of a number
NEARLY: Final = 1e-4  # of 1, as far as float32 tells after some thousand additions

Vector = bytes
"""Bytes cost 7 us less a vector than `array('f')`, and are what databases and Redis take."""


def of_numbers(numbers: Sequence[float]) -> Vector:
    """Return them as a vector of length 1. Raises `WrongVectors` for nothing, zero, NaN, infinity or no numbers."""
    try:
        return _unit(pack(f"<{len(numbers)}f", *numbers), numbers)
    except (NotPacked, OverflowError, TypeError):
        raise WrongVectors("a vector has something else than numbers in it") from None


def of_bytes(raw: bytes) -> Vector:
    """Return little-endian float32 numbers as a vector of length 1. Raises `WrongVectors`."""
    if len(raw) % BYTES:
        raise WrongVectors(f"a vector has {len(raw)} bytes, which is no number of float32")
    return _unit(raw, unpack(f"<{len(raw) // BYTES}f", raw))


def of_answer(value: Any) -> Vector:
    """Return what an engine answers for one text: a list of numbers, or their bytes in base64. Raises
    `WrongVectors`.
    """
    if isinstance(value, str):
        try:
            return of_bytes(a2b_base64(value, strict_mode=True))
        except ValueError:
            raise WrongVectors("a vector is neither a list nor base64") from None
    if isinstance(value, list):
        return of_numbers(value)
    raise WrongVectors("a vector is neither a list nor base64")


def dimension(vector: Vector) -> int:
    """Return how many numbers it has."""
    return len(vector) // BYTES


def numbers(vector: Vector) -> tuple[float, ...]:
    """Return its numbers."""
    return unpack(f"<{len(vector) // BYTES}f", vector)


def similarity(one: Vector, other: Vector) -> float:
    """Return the cosine of the angle between two, -1 to 1."""
    return math.fsum(starmap(mul, zip(numbers(one), numbers(other), strict=True)))


def _unit(raw: bytes, given: Sequence[float]) -> Vector:
    """Return `raw`, or what it is with the length 1."""
    length = math.sqrt(math.sumprod(given, given))
    if not math.isfinite(length):
        raise WrongVectors("a vector has a number that is none, or infinite")
    if length == 0:
        raise WrongVectors("a vector is empty or zero, which points nowhere")
    if abs(length - 1) < NEARLY:
        return raw
    return pack(f"<{len(given)}f", *[number / length for number in given])
