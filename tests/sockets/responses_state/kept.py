"""What is kept of responses, below HTTP: the store of one process, and what a database holds of all of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from sqlalchemy import text
from tandem_contract.config import Database as Settings
from tandem_orchestrator.responses import ids
from tandem_orchestrator.responses.runs import Events
from tandem_orchestrator.responses.store import Stored
from tandem_orchestrator.responses.stores import Stores
from tandem_orchestrator.store.database import Database
from tandem_orchestrator.store.ids import new

from tests.sockets.running import until

TABLES = (
    "tandem_response_events",
    "tandem_response_runs",
    "tandem_responses",
    "tandem_conversation_items",
    "tandem_conversations",
    "tandem_stored",
    "tandem_leases",
)


@asynccontextmanager
async def another(url: str) -> AsyncIterator[Stores]:
    """Another process on the same database."""
    database = Database(Settings.model_validate({"url": url}))
    try:
        yield Stores(database)
    finally:
        await database.close()


def said(text: str) -> dict[str, Any]:
    """An item."""
    return {"type": "message", "role": "user", "content": text, "id": f"msg_{new()}"}


def stored(tenant: str, *, status: str = "completed", background: bool = False, **fields: Any) -> Stored:
    """A new response that was given one item and has said another one."""
    response_id = ids.response()
    defaults = {
        "previous_id": None,
        "conversation_id": None,
        "resource": orjson.dumps({"id": response_id, "status": status, "background": background}).decode(),
        "input": orjson.dumps([said("in")]).decode(),
        "output": orjson.dumps([said("out")]).decode(),
    }
    return Stored(tenant, response_id, status=status, **{**defaults, **fields})


def told(first: int, number: int) -> Events:
    """Some events in a row, as they are sent."""
    numbers = range(first, first + number)
    return Events(first, first + number - 1, b"".join(b"data: %d\n\n" % each for each in numbers))


@asynccontextmanager
async def together(database: Database, number: int) -> AsyncIterator[None]:
    """What is written in here, `number` jobs, shares a transaction, in the order in which it was added."""
    writer = database._writer
    await writer.drained()
    writer._running = asyncio.get_running_loop().create_future()  # type: ignore[assignment]
    try:
        yield
        await until(lambda: len(writer._waiting) == number)
    finally:
        writer._running = asyncio.get_running_loop().create_task(writer._run())


async def query(database: Database, sql: str, **parameters: Any) -> list[Any]:
    async with database.transaction() as connection:
        found = await connection.execute(text(sql), parameters)
        return [tuple(row) for row in found] if found.returns_rows else []


async def counts(database: Database) -> dict[str, tuple[int, int]]:
    """Responses and bytes of each tenant, as they are counted and as they are."""
    sql = "SELECT tenant, responses, bytes FROM tandem_stored WHERE responses <> 0 OR bytes <> 0"
    counted = await query(database, sql)
    return {tenant: (int(responses), int(size)) for tenant, responses, size in counted}


async def true_counts(database: Database) -> dict[str, tuple[int, int]]:
    """The same, out of the rows themselves."""
    sql = (
        "SELECT tenant, sum(n), sum(bytes) FROM (SELECT tenant, 1 AS n, bytes FROM tandem_responses UNION ALL "
        "SELECT tenant, 0, bytes FROM tandem_conversation_items) AS kept GROUP BY tenant ORDER BY tenant"
    )
    return {tenant: (int(responses), int(size)) for tenant, responses, size in await query(database, sql)}


async def until_true(condition: Any, seconds: float = 10.0) -> None:
    """Waits for a condition that has to be awaited, at most `seconds`."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 # what is waited for lies in a database
            await asyncio.sleep(0.02)
