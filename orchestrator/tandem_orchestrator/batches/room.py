"""How many lines of a batch may be under way: as many as nobody else has need of. Does no I/O."""

from typing import Final, NamedTuple

from tandem_orchestrator.batches.slowdown import Slowdown

QUIET_SECONDS: Final = 0.5  # after others were there, before there are more lines
GROW_SECONDS: Final = 0.25  # between two times that they become twice as many
HEADROOM: Final = 0.9  # of what an engine can run, so that a request finds a place in it


class Load(NamedTuple):
    """What the engines of a model do at a moment."""

    replicas: int
    """Those that answer their checks."""
    urgent: int
    """Requests that do not give way, in them or waiting for one."""
    lines: int
    """Those that do."""
    waiting: int
    """Requests that wait inside, at the last count."""
    capacity: int
    """How many they can run together; 0 while that is not known."""

    @property
    def running(self) -> float:
        """Requests in a replica, on average."""
        return (self.urgent + self.lines) / max(1, self.replicas)


class Room:
    """Falls at once when somebody else asks, and grows slowly when nobody does; `most` bounds it."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.slowdown = Slowdown()
        self._window = 1
        self._next = 0.0
        """When there may be more, on the monotonic clock."""

    def lines(self, load: Load, moment: float) -> int:
        """Return how many lines may be under way from `moment` on."""
        if not load.replicas:
            return 0
        most = self._most(load)
        if load.urgent:
            beside = int(load.replicas * self.slowdown.room(load.urgent / load.replicas))
            self._window = min(self._window, beside)
            self._next = moment + QUIET_SECONDS
        elif load.waiting:
            self._next = moment + QUIET_SECONDS
        elif moment >= self._next and load.lines >= self._window:
            self._window = max(1, 2 * self._window)
            self._next = moment + GROW_SECONDS
        self._window = min(self._window, most)
        return self._window

    def _most(self, load: Load) -> int:
        return min(self.most, max(1, int(HEADROOM * load.capacity))) if load.capacity else self.most
