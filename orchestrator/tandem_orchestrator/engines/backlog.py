"""How many requests wait inside a replica, between two looks at its own counts."""

from sys import maxsize


class Backlog:
    """The replica's last word, and what was sent since."""

    __slots__ = ("_room", "capacity", "counted", "in_flight", "running", "waiting")

    def __init__(self) -> None:
        self.in_flight = 0
        """Requests of ours that it had when it last spoke."""
        self.waiting = 0
        self.running = 0
        self.capacity = 0
        """How many it can run at the same time, as far as that has been seen; 0 while some have never waited."""
        self.counted = 0
        """How often it has spoken."""
        self._room = maxsize

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

    def missed(self) -> None:
        """Note that the replica did not say in time, which a busy one does not."""
        self._room = 0

    def most(self, max_waiting: int) -> int:
        """Return with how many of ours in flight no more than `max_waiting` wait, as far as one can tell; -1 for none.

        What was sent since it spoke runs as long as there is room for it. Until some have waited once, nobody knows how
        much room there is.
        """
        if self.waiting > max_waiting:
            return -1
        return min(maxsize, self.in_flight + self._room + max_waiting - self.waiting)
