"""How many requests wait inside a replica, between two looks at its own counts."""

from sys import maxsize
from typing import Final

START: Final = 32  # requests that an engine is taken to run before it has told how many it can
INSIDE: Final = 32  # that it can run, for each that may wait inside: it begins with these as others end
GROWTH: Final = 8  # that it runs while none waits, for each more that it is given beyond what it has shown to run


class Backlog:
    """The replica's last word, and what was sent since. Nothing is `told` by one that has no such word."""

    __slots__ = ("_exact", "_ran", "_room", "capacity", "counted", "in_flight", "running", "turns", "waiting")

    def __init__(self, *, told: bool = True) -> None:
        self.in_flight = 0
        """Requests of ours that it had when it last spoke."""
        self.waiting = 0
        self.running = 0
        self.capacity = 0
        """How many it can run at the same time, as far as that has been seen; 0 while some have never waited."""
        self.counted = 0
        """How often it has spoken."""
        self.turns = START if told else maxsize
        """With how many of ours in flight few wait inside, so that whose turn is next is decided out here."""
        self._room = maxsize
        self._exact = 0.0
        self._ran = 0
        """The most that it ran since some waited."""

    def seen(self, waiting: int, running: int, in_flight: int) -> None:
        """Note that the replica says how many wait and run, while `in_flight` of its requests are ours.

        What it ran while some waited is taken for what it can run.
        """
        self.waiting, self.running = waiting, running
        self.counted += 1
        self.in_flight = in_flight
        if waiting or running > self.capacity > 0:
            self.capacity = running
        if waiting:
            self._room = 0
        else:
            self._room = self.capacity - running if self.capacity else maxsize
        self._ran = 0 if waiting else max(self._ran, running)
        ours = self._exact if in_flight == int(self._exact) else in_flight  # or what is less than one would be lost
        self._exact = max(1.0, ours + self._more(ours))
        self.turns = int(self._exact)

    def untold(self) -> None:
        """Note that the replica tells no such thing, so that nothing can be decided by it."""
        if not self.counted:
            self.turns = maxsize

    def missed(self) -> None:
        """Note that the replica did not say in time, which a busy one does not."""
        self._room = 0
        self.turns = min(self.turns, max(START, self.in_flight))

    def _more(self, ours: float) -> float:
        """Return how many more of ours it should have than `ours`, below zero for fewer.

        Each of several processes, none of which knows the others, gives up its part of what is too much, and takes all
        of what is free: so those that have more than others come down to them.
        """
        inside = 1 + self.capacity // INSIDE
        if not self.waiting:
            if not self.capacity:
                return max(START, 2 * self._ran - self.running)
            return max(self.capacity - self.running, self.running // GROWTH) + inside
        excess, everybody = self.waiting - inside, self.running + self.waiting
        if ours >= everybody:
            return -excess
        return 1 - excess * ours / everybody if excess > 0 else 1 - excess

    def most(self, max_waiting: int) -> int:
        """Return with how many of ours in flight no more than `max_waiting` wait, as far as one can tell; -1 for none.

        What was sent since it spoke runs as long as there is room for it. Until some have waited once, nobody knows how
        much room there is.
        """
        if self.waiting > max_waiting:
            return -1
        return min(maxsize, self.in_flight + self._room + max_waiting - self.waiting)
