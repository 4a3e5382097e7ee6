"""Picks the replica for a request; does no I/O."""

from collections.abc import Collection, Sequence
from itertools import count
from typing import Protocol, TypeVar

MUCH_BUSIER, SLACK = 2, 4  # a replica with more than 2n + 4 in flight is much busier than one with n
_MIX, _MASK = 0x9E3779B97F4A7C15, 0xFFFFFFFFFFFFFFFF

_turns = count()


class Choice(Protocol):
    """What decides about a replica."""

    token: int
    """Stands for the replica in all processes alike."""

    @property
    def in_flight(self) -> int:
        """Requests that it is answering."""


Replica = TypeVar("Replica", bound=Choice)


def pick(replicas: Sequence[Replica], affinity: int, tried: Collection[Replica] = ()) -> Replica:
    """One of `replicas`, which are one or more: not one of `tried` where there are others.

    With an `affinity` it is always the same one (by rendezvous hashing, so that all processes agree and a replica that
    comes or goes moves only its own share), unless that one is much busier than the least busy. Else the least busy.
    """
    if tried:
        replicas = [replica for replica in replicas if replica not in tried] or replicas
    if len(replicas) == 1:
        return replicas[0]
    turn = affinity or next(_turns)  # the turn decides between the equally busy
    least = favourite = replicas[0]
    fewest, best = least.in_flight, _weight(least, turn)
    least_weight, favourite_busy = best, fewest
    for replica in replicas[1:]:
        busy, weight = replica.in_flight, _weight(replica, turn)
        if busy < fewest or (busy == fewest and weight > least_weight):
            least, fewest, least_weight = replica, busy, weight
        if weight > best:
            favourite, best, favourite_busy = replica, weight, busy
    return favourite if affinity and favourite_busy <= fewest * MUCH_BUSIER + SLACK else least


def _weight(replica: Choice, key: int) -> int:
    return ((key ^ replica.token) * _MIX) & _MASK
