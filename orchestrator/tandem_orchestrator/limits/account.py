"""The limits that apply to a key's requests, beside the counts that they are held against."""

import sys
from dataclasses import dataclass
from typing import Final

from tandem_contract.config import KeyLimits, RateLimits

from tandem_orchestrator.auth.principal import ANONYMOUS, Principal
from tandem_orchestrator.limits.counters import Concurrency, Period, Window
from tandem_orchestrator.limits.headers import Header, figure_header
from tandem_orchestrator.limits.subjects import Subject, Subjects

UNLIMITED: Final = sys.maxsize
REQUESTS: Final = "requests per minute"
CONCURRENT: Final = "concurrent requests"


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `figure`. `level` is key, tenant or service, `who` the same for people."""

    level: str
    who: str
    kind: str
    figure: int


@dataclass(frozen=True, slots=True)
class Rate(Limit):
    """At most so many requests."""

    counter: Window
    header: Header


@dataclass(frozen=True, slots=True)
class Quota(Limit):
    """At most so many tokens."""

    counter: Window | Period
    header: Header


@dataclass(frozen=True, slots=True)
class Room(Limit):
    """At most so many requests under way."""

    counter: Concurrency


class Account:
    """All that is to be looked at when a key's request comes, and again when it ends."""

    __slots__ = ("budgeted", "budgets", "free", "key", "most", "principal", "quotas", "rates", "subjects", "who")

    def __init__(self, principal: Principal, settings: RateLimits, subjects: Subjects, second: int) -> None:
        limits = settings.defaults if principal.limits == KeyLimits() else principal.limits
        self.principal = principal
        self.who = "requests without a key" if principal.key_id == ANONYMOUS else f"the key {principal.key_id!r}"
        self.key = subjects.get(f"key:{principal.key_id}", second)
        self.subjects = [self.key]
        self.rates: list[Rate] = []
        self._limit_requests("key", self.who, self.key, limits.requests_per_minute)
        if settings.tenant_requests_per_minute is not None:
            tenant = subjects.get(f"tenant:{principal.tenant}", second)
            who = f"the tenant {principal.tenant!r}"
            self._limit_requests("tenant", who, tenant, settings.tenant_requests_per_minute)
        if settings.requests_per_minute is not None:
            service = subjects.get("service", second)
            self._limit_requests("service", "this service", service, settings.requests_per_minute)
        self.quotas = [
            Quota("key", self.who, f"tokens per {period}", figure, counter, figure_header("tokens", figure))
            for period, figure, counter in (
                ("minute", limits.tokens_per_minute, self.key.tokens),
                ("day", limits.tokens_per_day, self.key.day),
                ("month", limits.tokens_per_month, self.key.month),
            )
            if figure is not None
        ]
        self.most = limits.concurrent_requests or UNLIMITED
        self.budgets = [quota for quota in self.quotas if quota.counter is not self.key.tokens]
        """Those that outlive the process: tokens of a day and a month."""
        self.budgeted = bool(self.budgets)
        self.free = not self.rates and not self.quotas and self.most == UNLIMITED

    def limits(self) -> list[Rate | Quota | Room]:
        """Return every limit that applies."""
        room = [Room("key", self.who, CONCURRENT, self.most, self.key.concurrency)] if self.most != UNLIMITED else []
        return [*self.rates, *self.quotas, *room]

    def _limit_requests(self, level: str, who: str, subject: Subject, figure: int | None) -> None:
        if figure is not None:
            header = figure_header("requests", figure)
            self.rates.append(Rate(level, who, REQUESTS, figure, subject.requests, header))
            if subject is not self.key:
                self.subjects.append(subject)
