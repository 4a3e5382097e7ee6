"""Admits requests within their limits; decides in memory alone."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from time import time
from typing import Final, TypeVar

from tandem_contract.config import RateLimits

from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.errors import LimitExceeded
from tandem_orchestrator.limits.account import CONCURRENT, UNLIMITED, Account, Limit, Quota, Rate
from tandem_orchestrator.limits.haste import PARTS
from tandem_orchestrator.limits.headers import (
    REMAINING_REQUESTS,
    REMAINING_TOKENS,
    Header,
    duration,
    reset_requests,
    reset_tokens,
)
from tandem_orchestrator.limits.spending import Spending
from tandem_orchestrator.limits.subjects import Counters, OwnCounters, Subject, Subjects
from tandem_orchestrator.observability.metrics import LIMITED

CONCURRENCY: Final = "concurrency_limit_exceeded"
"""Code of the error where a key has as many requests under way as it may."""
Tightest = TypeVar("Tightest", Rate, Quota)


class Ticket:
    """A request that was admitted; counts among the concurrent ones until `settle`."""

    __slots__ = ("_account", "_limiter", "headers")

    def __init__(self, limiter: "Limiter", account: Account | None, headers: list[Header]) -> None:
        self._limiter = limiter
        self._account = account
        self.headers = headers
        """The x-ratelimit-* headers of the answer; empty where nothing is limited."""

    def settle(self, tokens: int) -> None:
        """End the request, which used `tokens`; a second call does nothing."""
        account = self._account
        if account is not None:
            self._account = None
            self._limiter.settle(account, tokens)


class Limiter:
    """All limits of this process.

    Tokens are known when a request ends. So a request is admitted while the tokens counted so far are below the
    limit, and those that run at the same time may exceed it once by what they use.
    """

    def __init__(
        self, settings: RateLimits, counters: Counters | None = None, clock: Callable[[], float] = time
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._accounts: dict[str, Account] = {}
        self._counters = counters or OwnCounters()
        self.subjects = Subjects(self._counters)
        self.changed: dict[Subject, int] | None = None
        """Those that counted something since this was last emptied, with their tokens, while somebody wants to know."""
        self.spending = Spending()
        self.tell_soon = asyncio.Event()
        """Set when the other replicas should hear of `changed` before it is their turn."""
        self.write_soon = asyncio.Event()
        """The same of `spending`, and the ledger."""

    def update(self, settings: RateLimits) -> None:
        """Take changed limits; what was counted stays."""
        self._settings = settings
        self._accounts.clear()

    def sweep(self) -> None:
        """Forget keys and tenants that were not heard of for a minute."""
        self._accounts.clear()
        self.subjects.sweep(int(self._clock()))

    @property
    def server(self) -> str:
        """Names this replica to the others; all workers of one server are one replica."""
        return self._counters.server

    def recall(self, key_ids: Iterable[str] | None = None) -> None:
        """Raise the budgets' counts, all or those of some keys, to what `spending` has heard of peers."""
        second = int(self._clock())
        for key_id in self._accounts if key_ids is None else key_ids:
            account = self._accounts.get(key_id)
            if account is not None and account.budgeted:
                self.spending.recall(account.key, account.principal.key_id, second)

    def admit(self, principal: Principal) -> Ticket:
        """Count a request. Raises `LimitExceeded`, and then nothing has been counted."""
        account = self._accounts.get(principal.key_id)
        if account is None or account.principal is not principal:
            account = self._open(principal)
        if account.free:
            return Ticket(self, None, [])
        second = int(self._clock())
        requests_left = tokens_left = UNLIMITED
        rate = quota = None
        for each in account.rates:
            left = each.figure - each.counter.add(second, 1)
            if left < requests_left:
                requests_left, rate = left, each
        for other in account.quotas:
            left = other.figure - other.counter.at(second)
            if left < tokens_left:
                tokens_left, quota = left, other
        if account.key.concurrency.enter() > account.most or requests_left < 0 or tokens_left <= 0:
            raise self._refusal(account, second)
        if self.changed is not None:
            for subject in account.subjects:
                self.changed.setdefault(subject, 0)
        return Ticket(self, account, _headers(rate, requests_left, quota, tokens_left, second))

    def check_budgets(self, principal: Principal) -> None:
        """Raise `LimitExceeded` where the tokens of a day or a month are used up; nothing is counted."""
        account, second = self._account(principal), int(self._clock())
        for quota in account.budgets:
            if quota.counter.at(second) >= quota.figure:
                LIMITED.labels(quota.level, quota.kind).inc()
                raise _error(quota, quota.counter.wait(quota.figure, second))

    def charge(self, principal: Principal, tokens: int) -> None:
        """Count tokens against the budgets of a day and a month alone: what came in no minute of a client's."""
        account, second = self._account(principal), int(self._clock())
        if not (tokens and account.budgeted):
            return
        left = min(quota.figure - quota.counter.add(second, tokens) for quota in account.budgets)
        if self.spending.add(principal.key_id, second, tokens) * PARTS >= left:
            self.write_soon.set()

    def settle(self, account: Account, tokens: int) -> None:
        """Do what `Ticket.settle` does."""
        account.key.concurrency.leave()
        left = UNLIMITED
        if tokens:
            second = int(self._clock())
            for quota in account.quotas:
                left = min(left, quota.figure - quota.counter.add(second, tokens))
            if account.budgeted and self.spending.add(account.principal.key_id, second, tokens) * PARTS >= left:
                self.write_soon.set()
        if self.changed is not None:
            untold = self.changed[account.key] = self.changed.get(account.key, 0) + tokens
            if untold * PARTS >= left:
                self.tell_soon.set()

    def _account(self, principal: Principal) -> Account:
        account = self._accounts.get(principal.key_id)
        return account if account is not None and account.principal is principal else self._open(principal)

    def _open(self, principal: Principal) -> Account:
        second = int(self._clock())
        account = Account(principal, self._settings, self.subjects, second)
        if account.budgeted:
            self.spending.recall(account.key, principal.key_id, second)
        self._accounts[principal.key_id] = account
        return account

    def _refusal(self, account: Account, second: int) -> LimitExceeded:
        """Take back what was counted; the error names the limit that lasts longest."""
        account.key.concurrency.leave()
        for rate in account.rates:
            rate.counter.add(second, -1)
        limits = account.limits()
        reached = [limit for limit in limits if limit.counter.at(second) >= limit.figure]
        # where another worker has just ended the last one, all that can be said is to try again
        limit = max(reached or limits, key=lambda limit: limit.counter.wait(limit.figure, second))
        LIMITED.labels(limit.level, limit.kind).inc()
        error = _error(limit, limit.counter.wait(limit.figure, second))
        error.headers += _headers(*_tightest(account.rates, second), *_tightest(account.quotas, second), second)
        return error


def _tightest[Tightest: (Rate, Quota)](limits: Sequence[Tightest], second: int) -> tuple[Tightest | None, int]:
    """Return the limit with the least left, and how much that is."""
    found = min(limits, key=lambda limit: limit.figure - limit.counter.at(second), default=None)
    return found, max(0, found.figure - found.counter.at(second)) if found is not None else 0


def _headers(rate: Rate | None, requests_left: int, quota: Quota | None, tokens_left: int, second: int) -> list[Header]:
    """Return the headers of the tightest limits."""
    headers: list[Header] = []
    if rate is not None:
        headers = [
            rate.header,
            (REMAINING_REQUESTS, b"%d" % requests_left),
            reset_requests(rate.counter.reset(second)),
        ]
    if quota is not None:
        headers += (
            quota.header,
            (REMAINING_TOKENS, b"%d" % tokens_left),
            reset_tokens(quota.counter.reset(second)),
        )
    return headers


def _error(limit: Limit, wait: int) -> LimitExceeded:
    if limit.kind == CONCURRENT:
        message = f"{limit.who}: {limit.figure} requests at the same time are allowed, and as many are under way"
        return LimitExceeded(f"{message}; try again when one has ended", retry_after=wait, code=CONCURRENCY)
    code = "rate_limit_exceeded" if limit.kind.endswith("minute") else "token_budget_exceeded"
    message = f"{limit.who}: the limit of {limit.figure} {limit.kind} is reached; try again in {duration(wait)}"
    return LimitExceeded(message, retry_after=wait, code=code)
