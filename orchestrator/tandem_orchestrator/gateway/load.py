"""How many requests wait inside a replica, between two looks at its own count."""


class Load:
    """The replica's last word, and what was sent since."""

    __slots__ = ("_in_flight", "_waiting", "full")

    def __init__(self) -> None:
        self._waiting = 0
        self._in_flight = 0
        self.full = False
        """True if it had requests waiting, or did not say, which a busy one does not."""

    def seen(self, waiting: int, in_flight: int) -> None:
        """The replica says how many wait, while `in_flight` of its requests are ours."""
        self._waiting = waiting
        self._in_flight = in_flight
        self.full = waiting > 0

    def missed(self) -> None:
        """The replica did not say in time."""
        self.full = True

    def sent(self, in_flight: int) -> int:
        """How many more of ours it has now than when it last spoke."""
        return max(0, in_flight - self._in_flight)

    def waiting(self, in_flight: int) -> int:
        """How many wait now, as far as one can tell.

        While none waited the replica had room, nobody knows how much; what it was sent since is taken for running.
        """
        return self._waiting + self.sent(in_flight) if self.full else 0
