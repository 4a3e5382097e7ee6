"""Keeps requests away from a replica that fails, one after the other, at what others can do."""

from enum import Enum, auto


class _State(Enum):
    CLOSED = auto()
    OPEN = auto()
    HALF_OPEN = auto()


class Breaker:
    """Opens after `failures` in a row; when it was open for long enough it is half open, and the next outcome decides.

    Failures of requests that ran side by side count as one: an engine that stumbles under a hundred requests has
    failed once.
    """

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.row = 0
        """Failures since the last success."""
        self._state = _State.CLOSED

    @property
    def admits(self) -> bool:
        """True while requests should come."""
        return self._state is not _State.OPEN

    @property
    def closed(self) -> bool:
        """True while it has no reason to keep requests away."""
        return self._state is _State.CLOSED

    @property
    def state(self) -> str:
        """For people: closed, open or half-open."""
        return self._state.name.lower().replace("_", "-")

    def succeed(self) -> None:
        """Note that a request was answered. One from before it opened changes nothing."""
        if self._state is not _State.OPEN:
            self.reset()

    def reset(self) -> None:
        """Forget all failures, and close."""
        self.row = 0
        self._state = _State.CLOSED

    def fail(self, row: int) -> bool:
        """Count a request that began when `row` was as given and failed; return whether that opened the breaker."""
        if row != self.row:
            return False
        self.row += 1
        if self._state is _State.OPEN or self.row < self.failures:
            return False
        self._state = _State.OPEN
        return True

    def half_open(self) -> None:
        """Note that the time of rest is over."""
        if self._state is _State.OPEN:
            self._state = _State.HALF_OPEN
