"""How many requests wait inside a replica, between two looks at its own counts."""

from sys import maxsize


class Backlog:
    """The replica's last word, and what was sent since."""

    __slots__ = ("_in_flight", "_places", "_room", "_waiting")

    def __init__(self) -> None:
        self._waiting = 0
        self._in_flight = 0
        self._places = 0
        self._room = maxsize

    def seen(self, waiting: int, running: int, in_flight: int) -> None:
        """The replica says how many wait and run, while `in_flight` of its requests are ours.

        What it ran while some waited is taken for what it can run.
        """
        self._waiting = waiting
        self._in_flight = in_flight
        if waiting or running > self._places > 0:
            self._places = running
        if waiting:
            self._room = 0
        else:
            self._room = self._places - running if self._places else maxsize

    def missed(self) -> None:
        """The replica did not say in time, which a busy one does not."""
        self._room = 0

    def sent(self, in_flight: int) -> int:
        """How many more of ours it has now than when it last spoke."""
        return max(0, in_flight - self._in_flight)

    def waiting(self, in_flight: int) -> int:
        """How many wait now, as far as one can tell: what was sent since runs as long as there is room for it.

        Until some have waited once, nobody knows how much room there is.
        """
        return self._waiting + max(0, self.sent(in_flight) - self._room)
