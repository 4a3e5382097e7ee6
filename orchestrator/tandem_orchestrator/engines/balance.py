"""Picks the replica for a request; does no I/O."""

from collections.abc import Collection, Sequence
from itertools import count
from operator import attrgetter
from typing import Final, Protocol, TypeVar

MUCH_BUSIER: Final = 2
SLACK: Final = 4  # a replica with more than 2n + 4 in flight is much busier than one with n
_MIX: Final = 0x9E3779B97F4A7C15
_MASK: Final = 0xFFFFFFFFFFFFFFFF

_turns = count()
_in_flight = attrgetter("in_flight")


class Choice(Protocol):
    """What decides about a replica."""

    token: int
    """Stands for the replica in all processes alike."""

    @property
    def in_flight(self) -> int:
        """Requests that it is answering."""


Replica = TypeVar("Replica", bound=Choice)


def pick[Replica: Choice](replicas: Sequence[Replica], affinity: int, tried: Collection[Replica] = ()) -> Replica:
    """Return one of `replicas`, which are one or more: not one of `tried` where there are others.

    With an `affinity` it is always the same one (by rendezvous hashing, so that all processes agree and a replica that
    comes or goes moves only its own share), unless that one is much busier than the least busy. Else the least busy,
    of the equally busy each in turn.
    """
    if tried:
        replicas = [replica for replica in replicas if replica not in tried] or replicas
    if len(replicas) == 1:
        return replicas[0]
    start = (affinity or next(_turns)) % len(replicas)
    least = min((*replicas[start:], *replicas[:start]), key=_in_flight)
    if affinity:
        favourite = max(replicas, key=lambda replica: ((affinity ^ replica.token) * _MIX) & _MASK)
        if favourite.in_flight <= least.in_flight * MUCH_BUSIER + SLACK:
            return favourite
    return least
