"""Counts that limits are held against, in one process: a minute's, a calendar period's, what is under way.

Each takes the time as whole UTC seconds, knows what was counted `elsewhere` (in other processes or replicas) beside
its own, and says how long it takes until it is below a figure again.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

WINDOW: Final = 60
DAY: Final = 86_400

Bounds = Callable[[int], tuple[int, int]]


class Window:
    """A sum over the last minute, in buckets of a second.

    The bucket that the minute begins in counts as a whole. So no 60 seconds ever hold more than the sum says, and a
    count is gone 60 to 61 seconds after it was made.
    """

    __slots__ = ("buckets", "elsewhere", "second", "total")

    def __init__(self) -> None:
        self.second = 0
        self.total = 0
        self.buckets: dict[int, int] = {0: 0}
        self.elsewhere: dict[int, int] = {}

    def at(self, second: int) -> int:
        """Return the sum."""
        if second != self.second:
            self._roll(second)
        return self.total

    def add(self, second: int, count: int) -> int:
        """Count here and return the new sum."""
        if second != self.second:
            self._roll(second)
        self.buckets[self.second] += count
        self.total += count
        return self.total

    def absorb(self, second: int, count: int) -> None:
        """Add what was counted elsewhere in `second`; what is older than the window is left out."""
        second = min(second, self.second)
        if second >= self.second - WINDOW:
            self.buckets[second] = self.buckets.get(second, 0) + count
            self.elsewhere[second] = self.elsewhere.get(second, 0) + count
            self.total += count

    def own(self, since: int) -> list[tuple[int, int]]:
        """Return each second from `since` on that has been counted in, with what was counted here."""
        return [
            (second, count - self.elsewhere.get(second, 0)) for second, count in self.buckets.items() if second >= since
        ]

    def reset(self, second: int) -> int:
        """Return seconds until the oldest counts are gone."""
        return next(iter(self.buckets)) + WINDOW + 1 - second

    def wait(self, figure: int, second: int) -> int:
        """Return seconds until the sum is below `figure`, if nothing is added."""
        total = self.at(second)
        for bucket in sorted(self.buckets):
            total -= self.buckets[bucket]
            if total < figure:
                return bucket + WINDOW + 1 - second
        return WINDOW + 1

    def _roll(self, second: int) -> None:
        if self.second - WINDOW <= second < self.second:
            return  # the clock was put back: counts go to the newest bucket until it has caught up
        oldest = second - WINDOW
        self.buckets = {bucket: count for bucket, count in self.buckets.items() if count and oldest <= bucket <= second}
        if self.elsewhere:
            self.elsewhere = {bucket: count for bucket, count in self.elsewhere.items() if bucket in self.buckets}
        self.total = sum(self.buckets.values())
        self.buckets.setdefault(second, 0)
        self.second = second


class Period:
    """Tokens of a calendar period, which `bounds` names for any second of it."""

    __slots__ = ("_bounds", "elsewhere", "end", "here", "start")

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self.start = self.end = 0
        self.here = 0
        self.elsewhere = 0

    def at(self, second: int) -> int:
        """Return the sum since the period began."""
        if not self.start <= second < self.end:
            self._roll(second)
        return self.here + self.elsewhere

    def add(self, second: int, count: int) -> int:
        """Count here and return the new sum."""
        if not self.start <= second < self.end:
            self._roll(second)
        self.here += count
        return self.here + self.elsewhere

    def raise_to(self, second: int, total: int) -> None:
        """Raise the sum to `total`, which everybody together has used at least."""
        here = self.at(second) - self.elsewhere
        self.elsewhere = max(self.elsewhere, total - here)

    def reset(self, second: int) -> int:
        """Return seconds until the next period."""
        return self.end - second

    def wait(self, figure: int, second: int) -> int:
        """Return seconds until the sum is below `figure`."""
        return self.end - second if self.at(second) >= figure else 0

    def _roll(self, second: int) -> None:
        self.start, self.end = self._bounds(second)
        self.here = self.elsewhere = 0


class Concurrency:
    """Requests under way."""

    __slots__ = ("elsewhere", "here")

    def __init__(self) -> None:
        self.here = 0
        self.elsewhere = 0

    def at(self, _: int) -> int:
        """Return how many there are."""
        return self.here + self.elsewhere

    def enter(self) -> int:
        """Count one more; return the new number."""
        self.here += 1
        return self.here + self.elsewhere

    def leave(self) -> None:
        """Count one less."""
        self.here -= 1

    def wait(self, figure: int, second: int) -> int:
        """Return seconds after which another try makes sense: nobody knows when a request ends."""
        return 1 if self.at(second) >= figure else 0


def day(second: int) -> tuple[int, int]:
    """Return the first second of the UTC day and of the next."""
    start = second - second % DAY
    return start, start + DAY


def month(second: int) -> tuple[int, int]:
    """Return the first second of the UTC calendar month and of the next."""
    first = datetime.fromtimestamp(second, UTC).replace(day=1, hour=0, minute=0, second=0)
    following = (first + timedelta(days=32)).replace(day=1)
    return int(first.timestamp()), int(following.timestamp())
