"""What two replicas let through beyond a budget of tokens while both are asked at once."""

import asyncio

import pytest
from tandem_orchestrator.limits.haste import PARTS

from tests.sockets.limits.test_replicas import replica
from tests.sockets.running import until
from tests.unit.orchestrator.limits.clock import admitted, key

BUDGET, TOKENS, PAUSE = 200, 13, 0.1
MOST = BUDGET + BUDGET / PARTS + 4 * TOKENS
"""A tenth for the other replica, a request under way at each, and one more while they speak."""


async def spent(principal, *replicas) -> int:
    """The tokens that a key gets of replicas that it asks at once, again and again until all refuse."""
    used = 0
    while tickets := [ticket for limiter in replicas for ticket in admitted(limiter, principal, 1)]:
        await asyncio.sleep(PAUSE)  # an engine's time
        for ticket in tickets:
            ticket.settle(TOKENS)
            used += TOKENS
    return used


@pytest.mark.parametrize("limits", [{"tokens_per_day": BUDGET}, {"tokens_per_month": BUDGET}])
async def test_a_budget_in_postgresql(postgres, limits):
    url = await postgres.create()
    principal = key(**limits)
    async with replica({}, url) as one, replica({}, url) as two:
        await until(lambda: one.spending._totals and two.spending._totals)
        assert BUDGET <= await spent(principal, one, two) <= MOST


@pytest.mark.parametrize(
    "limits", [{"tokens_per_day": BUDGET}, {"tokens_per_month": BUDGET}, {"tokens_per_minute": BUDGET}]
)
async def test_a_budget_in_redis(redis, limits):
    principal = key(**limits)
    redis = {**redis, "syncSeconds": 0.2}
    async with replica(redis) as one, replica(redis) as two:
        await until(lambda: one.spending._totals and two.spending._totals)
        assert BUDGET <= await spent(principal, one, two) <= MOST
