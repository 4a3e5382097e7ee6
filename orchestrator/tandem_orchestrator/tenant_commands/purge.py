"""Deletes all that a tenant keeps, in transactions that nobody waits long for; bytes of files after their rows."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Final

from tandem_orchestrator.files.blobs import Blobs
from tandem_orchestrator.retrieval.index import Indexes
from tandem_orchestrator.store.database import Conflict, Database
from tandem_orchestrator.store.statement import Row, Statement, Step
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
    ("ended", statements.END_BATCHES),
    ("outcomes", statements.DELETE_OUTCOMES),
    ("spans", statements.DELETE_SPANS),
    ("batches", statements.DELETE_BATCHES),
    ("stores", statements.DELETE_STORES),
    ("files", statements.DELETE_FILES),
    ("parts", statements.DELETE_PARTS),
    ("uploads", statements.DELETE_UPLOADS),
    ("blobs", statements.DELETE_BLOBS),
    ("counts", statements.FORGET),
    ("counts", statements.FORGET_FILES),
)


async def purge(database: Database, tenant: str, blobs: Blobs) -> tuple[Counter[str], int]:
    """Delete all; return how many rows of each kind, and how many are left because they keep coming.

    `unreached` among the kinds are bytes that could not be deleted, and are swept by a process that serves.

    Raises `DatabaseDown`; what was deleted until then is gone, and the rest is for another purge.
    """
    gone: Counter[str] = Counter()
    left = 0
    for _ in range(MOST_ROUNDS):
        for kind, statement in STEPS:
            number, unreached = await _all(database, statement, tenant, blobs)
            gone[kind] += number
            gone["unreached"] += unreached
        await _drop_indexes(database, tenant)
        ((*numbers,),) = await database.read(Step(statements.LEFT, ({"tenant": tenant},)))
        if not (left := sum(numbers)):
            break
        await asyncio.sleep(PAUSE_SECONDS)
    return gone, left


async def _drop_indexes(database: Database, tenant: str) -> None:
    """Drop the tables of indexes whose stores are gone."""
    indexes = Indexes(database)
    while rows := await database.read(Step(statements.INDEXES_OF, ({"tenant": tenant, "most": MOST_AT_ONCE},))):
        for (index_id,) in rows:
            await indexes.index(index_id, 0).drop()
            await database.write([Step(statements.FORGET_INDEX, ({"tenant": tenant, "id": index_id},))])


async def _all(database: Database, statement: Statement, tenant: str, blobs: Blobs) -> tuple[int, int]:
    """Return how many rows are gone, and of how many the bytes are left."""
    total = unreached = 0
    while rows := await _some(database, statement, tenant):
        total += len(rows)
        keys = [key for _, *keys in rows for key in keys]
        if keys and not await blobs.drop(*keys):
            unreached += len(keys)
    return total, unreached


async def _some(database: Database, statement: Statement, tenant: str) -> Sequence[Row]:
    try:
        (rows,) = await database.write([Step(statement, ({"tenant": tenant, "most": MOST_AT_ONCE},))])
    except Conflict:  # what needs one of these was added at this moment
        return ()
    return rows
