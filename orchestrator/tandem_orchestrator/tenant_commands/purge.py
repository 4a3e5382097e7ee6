"""Deletes all that a tenant keeps, in transactions that nobody waits long for."""

import asyncio
from collections import Counter
from typing import Final

from tandem_orchestrator.store.database import Conflict, Database
from tandem_orchestrator.store.statement import Statement, Step
from tandem_orchestrator.tenant_commands import statements

MOST_AT_ONCE: Final = 500  # rows
MOST_ROUNDS: Final = 20
PAUSE_SECONDS: Final = 0.2  # for what others are changing

STEPS: Final = (
    ("runs", statements.DELETE_RUNS),
    ("hidden", statements.HIDE_RESPONSES),
    ("events", statements.DELETE_EVENTS),
    ("responses", statements.DELETE_RESPONSES),
    ("items", statements.DELETE_ITEMS),
    ("conversations", statements.DELETE_CONVERSATIONS),
    ("counts", statements.FORGET),
)


async def purge(database: Database, tenant: str) -> tuple[Counter[str], int]:
    """Delete all; return how many rows of each kind, and how many are left because they keep coming.

    Raises `DatabaseDown`; what was deleted until then is gone, and the rest is for another purge.
    """
    gone: Counter[str] = Counter()
    left = 0
    for _ in range(MOST_ROUNDS):
        for kind, statement in STEPS:
            gone[kind] += await _all(database, statement, tenant)
        ((*numbers,),) = await database.read(Step(statements.LEFT, ({"tenant": tenant},)))
        if not (left := sum(numbers)):
            break
        await asyncio.sleep(PAUSE_SECONDS)
    return gone, left


async def _all(database: Database, statement: Statement, tenant: str) -> int:
    total = 0
    while number := await _some(database, statement, tenant):
        total += number
    return total


async def _some(database: Database, statement: Statement, tenant: str) -> int:
    try:
        (rows,) = await database.write([Step(statement, ({"tenant": tenant, "most": MOST_AT_ONCE},))])
    except Conflict:  # a response that continues one of these was added at this moment
        return 0
    return len(rows)
