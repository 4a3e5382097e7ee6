"""Keeps requests away from a replica that fails one after the other."""

from enum import Enum, auto


class _State(Enum):
    CLOSED = auto()
    OPEN = auto()
    HALF_OPEN = auto()
    PROBING = auto()


class Breaker:
    """Opens after `failures` in a row; once it is half open one request probes, and its outcome decides.

    Failures of requests that ran side by side count as one: an engine that dies under a hundred requests has failed
    once.
    """

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self._state = _State.CLOSED
        self._row = 0

    @property
    def admits(self) -> bool:
        """True while a request may begin."""
        return self._state is _State.CLOSED or self._state is _State.HALF_OPEN

    @property
    def closed(self) -> bool:
        """True while it has no reason to keep requests away."""
        return self._state is _State.CLOSED

    @property
    def failing(self) -> bool:
        """True while the last outcome was a failure."""
        return self._row > 0

    @property
    def state(self) -> str:
        """For people: closed, open or half-open."""
        if self._state in (_State.HALF_OPEN, _State.PROBING):
            return "half-open"
        return self._state.name.lower()

    def begin(self) -> int:
        """A request begins; what this returns goes with its outcome."""
        if self._state is _State.HALF_OPEN:
            self._state = _State.PROBING
        return self._row

    def succeed(self) -> None:
        """A request was answered. One from before it opened changes nothing."""
        if self._state is not _State.OPEN:
            self.reset()

    def reset(self) -> None:
        """Nothing that happened before counts any more."""
        self._row = 0
        self._state = _State.CLOSED

    def fail(self, begun: int) -> bool:
        """A request failed; true if that opened the breaker."""
        if begun == self._row:
            self._row += 1
        if self._state is _State.PROBING or (self._state is _State.CLOSED and self._row >= self.failures):
            self._state = _State.OPEN
            return True
        return False

    def abandon(self) -> None:
        """A request ended without an outcome; the next one may probe in its place."""
        if self._state is _State.PROBING:
            self._state = _State.HALF_OPEN

    def half_open(self) -> None:
        """The time of rest is over."""
        if self._state is _State.OPEN:
            self._state = _State.HALF_OPEN
