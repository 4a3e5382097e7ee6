"""How many lines of a batch may be under way: as many as nobody else has need of. Does no I/O."""

from typing import Final, NamedTuple

from tandem_orchestrator.batches.slowdown import Slowdown

BEGIN_SHARE: Final = 0.05  # by which others may be slower for lines that are begun beside them
KEEP_SHARE: Final = 0.08  # and for lines that run already, so that not each change of their number ends some
QUIET_SECONDS: Final = 0.5  # without others, at least, before lines may take all of an engine
LONGEST_QUIET: Final = 10.0
GAPS: Final = 3.0  # times as long as others usually leave an engine alone
SMOOTHING: Final = 0.2
GROW_SECONDS: Final = 0.25  # between two times that lines become twice as many
LEARN_SECONDS: Final = 5.0  # for which there are few lines at first, to learn how long a token takes then
FEW: Final = 2
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


class Bounds(NamedTuple):
    """How many lines there may be with one that is begun, and how many of those that run may go on."""

    begin: int
    keep: int


class Quiet:
    """How long nobody else has asked, beside how long that usually lasts."""

    def __init__(self) -> None:
        self._usual = 0.0
        self._since: float | None = None

    def look(self, moment: float, *, urgent: bool) -> bool:
        """Return whether it has been quiet for so long that most likely it goes on."""
        if urgent:
            if self._since is not None:
                gap = min(moment - self._since, LONGEST_QUIET)
                self._usual += SMOOTHING * (gap - self._usual)
            self._since = None
            return False
        if self._since is None:
            self._since = moment
        return moment - self._since >= min(max(QUIET_SECONDS, GAPS * self._usual), LONGEST_QUIET)


class Room:
    """Falls at once when somebody else asks, and grows slowly when nobody does; `most` bounds it."""

    def __init__(self, slowdown: Slowdown) -> None:
        self._slowdown = slowdown
        self._quiet = Quiet()
        self._window = 0
        self._learns_until = 0.0
        self._next = 0.0
        """When there may be more, on the monotonic clock."""

    def bounds(self, load: Load, most: int, moment: float) -> Bounds:
        """Return how many lines may be under way from `moment` on, `most` of them at the most."""
        if load.capacity:
            most = min(most, max(int(HEADROOM * load.capacity) - load.urgent, 0 if load.urgent else 1))
        quiet = self._quiet.look(moment, urgent=load.urgent > 0)
        if not load.replicas:
            return Bounds(0, most)  # whether those under way end well is for their engine to say
        begin, keep = (most, most) if quiet else (self._beside(load, most, s) for s in (BEGIN_SHARE, KEEP_SHARE))
        if quiet and self._slowdown.empty:
            self._learns_until = self._learns_until or moment + LEARN_SECONDS
            if moment < self._learns_until:
                begin = min(begin, FEW)
        self._window = min(self._window, keep)
        if self._window < begin and load.lines >= self._window and moment >= self._next and not load.waiting:
            self._window = min(begin, max(1, 2 * self._window))
            self._next = moment + GROW_SECONDS
        return Bounds(min(self._window, begin), keep)

    def _beside(self, load: Load, most: int, share: float) -> int:
        return min(most, int(load.replicas * self._slowdown.room(load.urgent / load.replicas, share)))
