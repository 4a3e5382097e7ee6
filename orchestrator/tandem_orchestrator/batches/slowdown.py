"""How much slower an engine makes its tokens the more requests it runs, as learned from the lines of batches."""

from math import log2
from typing import Final

SMOOTHING: Final = 0.2
UNKNOWN_SHARE: Final = 0.1
LEAST_SLOPE: Final = 0.01  # by which one more request makes a token slower at least, whatever was measured


class Slowdown:
    """Seconds a token, by how many requests run in a replica: in steps of the root of two, and smoothed."""

    def __init__(self) -> None:
        self._levels: dict[int, tuple[float, float]] = {}
        """Requests and seconds, both on average."""

    @property
    def empty(self) -> bool:
        """Whether nothing is known yet."""
        return not self._levels

    def note(self, running: float, seconds: float) -> None:
        """Note that a token took `seconds` while so many requests ran."""
        level = round(2 * log2(max(1.0, running)))
        requests, before = self._levels.get(level, (running, seconds))
        self._levels[level] = (
            requests + SMOOTHING * (running - requests),
            before + SMOOTHING * (seconds - before),
        )

    def bound(self, most: float) -> None:
        """Forget what was measured with more requests than an engine can run, of which some waited."""
        self._levels = {level: figures for level, figures in self._levels.items() if figures[0] <= most}

    def room(self, urgent: float, share: float) -> float:
        """Return how many lines may run in a replica beside `urgent` others, whose tokens take `share` longer for it.

        While it is not known how token times grow, it is a tenth of the others' own number: where they grow by the
        request, that never costs more than a tenth.
        """
        if len(self._levels) < 2:  # noqa: PLR2004 # a slope takes two
            return UNKNOWN_SHARE * urgent
        (few, fast), (many, slow) = self._levels[min(self._levels)], self._levels[max(self._levels)]
        slope = (slow - fast) / (many - few)
        alone = fast + slope * (max(1.0, urgent) - few)
        if alone <= 0:
            return UNKNOWN_SHARE * urgent
        return share * alone / max(slope, LEAST_SLOPE * alone)
