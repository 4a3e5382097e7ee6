"""Which values belong to training and which are kept for the evaluation.

The split is a property of the value's spelling, so that an evaluation case can never have been trained on.
"""

import random
import zlib
from collections.abc import Callable
from typing import Final

HELD_OUT_SHARE: Final = 16

Draw = Callable[[random.Random], str]


def held_out(value: str) -> bool:
    """Return whether this is the one value in `HELD_OUT_SHARE` that training never shows."""
    return zlib.crc32(value.encode()) % HELD_OUT_SHARE == 0


def trained(rng: random.Random, draw: Draw) -> str:
    """Return the next value of `draw` that training may show."""
    while held_out(value := draw(rng)):
        pass
    return value


def unseen(rng: random.Random, draw: Draw) -> str:
    """Return the next value of `draw` that training never shows."""
    while not held_out(value := draw(rng)):
        pass
    return value
