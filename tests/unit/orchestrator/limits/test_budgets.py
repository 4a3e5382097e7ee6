"""Tokens on their way to a ledger."""

from tandem_contract.config import RateLimits
from tandem_orchestrator.limits.budgets import Budgets
from tandem_orchestrator.limits.limiter import Limiter

SECOND = 1_795_000_000


class Ledger:
    """Each time it is written to, another request ends."""

    def __init__(self, limiter):
        self.limiter = limiter
        self.added = []
        self.failing = False

    async def load(self, _period):
        return {}

    async def add(self, _day, tokens):
        self.limiter.spending.add("a", SECOND, 1)
        if self.failing:
            raise OSError("away")
        assert len(self.added) < 10, "this would go on for ever"
        self.added.append(tokens["a"])
        return {"a": sum(self.added)}


def budgets():
    limiter = Limiter(RateLimits())
    ledger = Ledger(limiter)
    return Budgets(limiter, lambda: ledger, lambda: SECOND), ledger, limiter.spending


async def test_writing_ends_while_requests_go_on():
    kept, ledger, spending = budgets()
    spending.add("a", SECOND, 10)
    assert await kept.sync()
    assert ledger.added == [10]
    assert await kept.sync()
    assert ledger.added == [10, 1]


async def test_all_that_was_there_is_written_also_what_failed_before():
    kept, ledger, spending = budgets()
    spending.add("a", SECOND, 10)
    ledger.failing = True
    assert not await kept.sync()
    ledger.failing = False
    assert await kept.sync()
    assert ledger.added == [10, 1 + 1]
