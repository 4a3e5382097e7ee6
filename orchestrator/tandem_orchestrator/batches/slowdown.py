"""How much slower an engine makes its tokens the more requests it runs, as learned from the lines of batches."""

from math import log2
from typing import Final

SHARE: Final = 0.05  # by which requests may be slower for lines beside them
SMOOTHING: Final = 0.2
LEAST_SLOPE: Final = 0.01  # by which one more request makes a token slower at least, whatever was measured


class Slowdown:
    """Seconds a token, by how many requests run in a replica: rounded to powers of two, and smoothed."""

    def __init__(self) -> None:
        self._levels: dict[int, float] = {}

    def note(self, running: float, seconds: float) -> None:
        """Note that a token took `seconds` while so many requests ran."""
        level = round(log2(max(1.0, running)))
        before = self._levels.get(level, seconds)
        self._levels[level] = before + SMOOTHING * (seconds - before)

    def room(self, urgent: float) -> float:
        """Return how many lines may run in a replica beside `urgent` other requests.

        With token times that grow by the request, a `SHARE` of the others' own number never costs more than that share;
        where it is known how they grow, it may be more.
        """
        if len(self._levels) < 2:  # noqa: PLR2004 # a slope takes two
            return SHARE * urgent
        low, high = min(self._levels), max(self._levels)
        slope = (self._levels[high] - self._levels[low]) / (2**high - 2**low)
        alone = self._levels[low] + slope * (max(1.0, urgent) - 2**low)
        return SHARE * alone / max(slope, LEAST_SLOPE * alone) if alone > 0 else SHARE * urgent
