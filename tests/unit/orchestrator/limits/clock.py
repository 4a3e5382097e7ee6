"""A clock that tests set, and keys to ask with."""

from datetime import datetime
from typing import Any

from tandem_contract.config import KeyLimits, RateLimits
from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.errors import LimitExceeded
from tandem_orchestrator.limits.limiter import Limiter, Ticket


class Clock:
    """Stands still until it is told."""

    def __init__(self, now: str = "2026-11-21T12:00:00") -> None:
        self.set(now)

    def __call__(self) -> float:
        return self.now

    def set(self, now: str) -> None:
        self.now = datetime.fromisoformat(f"{now}+00:00").timestamp()


def key(name: str = "a", tenant: str = "acme", **limits: int) -> Principal:
    return Principal(name, tenant, KeyLimits(**limits))


def limiter_for(clock: Clock, counters: Any = None, **settings: Any) -> Limiter:
    return Limiter(RateLimits(**settings), counters, clock)


def admitted(limiter: Limiter, principal: Principal, times: int) -> list[Ticket]:
    """The tickets of as many of these requests as are admitted."""
    tickets = []
    for _ in range(times):
        try:
            tickets.append(limiter.admit(principal))
        except LimitExceeded:
            continue
    return tickets
