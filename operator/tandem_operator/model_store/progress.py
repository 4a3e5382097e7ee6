"""How far a fetch is, as several threads tell it."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Final

_WINDOW: Final = 10.0
"""Seconds of which the rate is the mean."""


class State(StrEnum):
    """What the program does, as /progress says it."""

    STARTING = "Starting"
    FETCHING = "Fetching"
    WAITING = "Waiting"
    VERIFYING = "Verifying"
    COMPLETE = "Complete"
    FAILED = "Failed"


class Progress:
    """Bytes that are there, of how many, how fast, and what is waited for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state = State.STARTING
        self._message = ""
        self._waits: list[str] = []
        self._arrivals: deque[tuple[float, int]] = deque()
        self._moved = time.monotonic()
        self._done = 0
        self._total = 0
        self.fetched = 0
        """Bytes that came over the network."""

    def enter(self, state: State, message: str = "", *, done: int = 0, total: int = 0) -> None:
        """Begin what is done next, with the bytes of it that are there and all of it."""
        with self._lock:
            self._state, self._message, self._done, self._total = state, message, done, total
            self._moved = time.monotonic()

    def end(self, state: State, message: str) -> None:
        """Say how it ended; the bytes stay as they are."""
        with self._lock:
            self._state, self._message = state, message

    def received(self, size: int, kept: int) -> None:
        """Count bytes of the network, and those of them that were not there yet."""
        with self._lock:
            self.fetched += size
            self._count(kept, size)

    def verified(self, size: int) -> None:
        """Count bytes that were read again."""
        with self._lock:
            self._count(size, size)

    def lost(self, size: int) -> None:
        """Take back bytes that turned out wrong."""
        with self._lock:
            self._done -= size

    def idle(self) -> float:
        """Return the seconds since anything moved."""
        with self._lock:
            return time.monotonic() - self._moved

    @contextmanager
    def waiting(self, message: str) -> Iterator[None]:
        """Tell what is waited for."""
        with self._lock:
            self._waits.append(message)
        try:
            yield
        finally:
            with self._lock:
                self._waits.remove(message)

    def snapshot(self) -> dict[str, Any]:
        """Return what /progress answers: sizes in bytes, the rate in bytes a second."""
        with self._lock:
            state, message = self._state, self._message
            if self._waits:
                state, message = State.WAITING, self._waits[-1]
            elif state is State.FETCHING and self._done >= self._total:
                state = State.VERIFYING
            return {
                "state": state,
                "done": self._done,
                "total": self._total,
                "percent": 100 * self._done // self._total if self._total else 0,
                "rate": round(self._rate()),
                "message": message,
            }

    def _count(self, kept: int, size: int) -> None:
        now = time.monotonic()
        self._done += kept
        self._moved = now
        self._arrivals.append((now, size))
        while self._arrivals[0][0] < now - _WINDOW:
            self._arrivals.popleft()

    def _rate(self) -> float:
        now = time.monotonic()
        recent = [(when, size) for when, size in self._arrivals if when >= now - _WINDOW]
        return sum(size for _, size in recent) / max(now - recent[0][0], 1.0) if recent else 0.0
