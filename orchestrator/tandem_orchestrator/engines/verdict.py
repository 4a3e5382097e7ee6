"""What a failed attempt means for its request and for its replica; does no I/O.

                                                        the request               the replica
no connection came about, the key cannot be read        goes again when one does  is down
the engine did not take it: 503, our key refused        is tried again            is checked
too many wait inside the engine                         is tried again            has no room
the engine says no: 4xx, 501 …                          is answered               is well
the engine fails at it: 500, 502, 504, nonsense         goes once more            is checked
the engine takes too long                               ends here                 is checked
the connection is lost, the engine says that it stops   goes once more, or never  is checked
"""

from enum import Enum, auto
from typing import Final, NamedTuple

from tandem_orchestrator.errors import Cut, EngineError, Full, KeyRefused, KeyUnusable, Refused, TimedOut

SERVER_ERRORS: Final = 500
BAD_MOMENT: Final = 503


class ForRequest(Enum):
    """What becomes of the request."""

    OVER = auto()
    UNSENT = auto()
    """No engine has seen it: nothing has happened."""
    TURNED_AWAY = auto()
    """No engine has begun with it: it may be tried as often as the settings say."""
    NO_ROOM = auto()
    """The same, by an engine that is well: nothing is to be found out before."""
    FAILED = auto()
    """An engine has begun with it: it may be sent once more."""
    DIED = auto()
    """The same, and it may be what the engine died of."""


class ForReplica(Enum):
    """What is thought of the replica. Only a check can tell that it is gone, since a request may fail by itself."""

    WELL = auto()
    FULL = auto()
    """It is well, and rests for a moment."""
    DOUBTED = auto()
    DOWN = auto()


class Verdict(NamedTuple):
    """What a failure means."""

    request: ForRequest
    replica: ForReplica


_BY_KIND: Final[tuple[tuple[type[EngineError], Verdict], ...]] = (
    (Full, Verdict(ForRequest.NO_ROOM, ForReplica.FULL)),
    (Cut, Verdict(ForRequest.DIED, ForReplica.DOUBTED)),
    (TimedOut, Verdict(ForRequest.OVER, ForReplica.DOUBTED)),
    (KeyRefused, Verdict(ForRequest.TURNED_AWAY, ForReplica.DOUBTED)),
)


def judge(error: EngineError) -> Verdict:
    """Return what it means that an attempt failed so."""
    if error.unsent:
        return Verdict(ForRequest.UNSENT, ForReplica.DOWN)
    for kind, verdict in _BY_KIND:
        if isinstance(error, kind):
            return verdict
    if isinstance(error, Refused) and error.status == BAD_MOMENT:
        return Verdict(ForRequest.TURNED_AWAY, ForReplica.DOUBTED)
    if isinstance(error, Refused) and not error.retryable:
        return Verdict(ForRequest.OVER, ForReplica.WELL)
    return Verdict(ForRequest.FAILED, ForReplica.DOUBTED)


def blames_engine(error: EngineError) -> bool:
    """Return whether the engine is to blame, rather than the request, want of room, or a key that cannot be read."""
    if isinstance(error, Refused):
        return error.status >= SERVER_ERRORS
    if isinstance(error, Cut):
        return not error.stale
    return isinstance(error, KeyRefused) or not isinstance(error, Full | KeyUnusable)
