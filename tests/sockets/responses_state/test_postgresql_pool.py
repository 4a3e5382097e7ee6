"""Which connections to PostgreSQL there are, and who has them."""

import asyncio

import asyncpg
import pytest
from tandem_contract.config import Database as Settings
from tandem_orchestrator.errors import DatabaseDown
from tandem_orchestrator.responses.stores import Stores
from tandem_orchestrator.store import postgresql_pool
from tandem_orchestrator.store.database import Database
from tandem_orchestrator.store.statement import Step, TextStatement

from tests.sockets.responses_state.kept import query, stored, until_true
from tests.sockets.running import until


@pytest.fixture
async def url(postgres):
    return await postgres.create()


@pytest.mark.parametrize("size", [1, 2])
async def test_as_many_connections_as_allowed_read_and_write(url, size):
    settings = {"url": url, "poolSize": 1, "maxOverflow": size - 1, "statementTimeoutSeconds": 2}
    database = Database(Settings.model_validate(settings))
    kept = Stores(database)
    for _ in range(3):
        response = stored("a")
        await kept.responses.add(response)
        assert (await kept.responses.get("a", response.id)).status == "completed"
    await database.close()


async def test_work_that_waits_too_long_for_a_connection_costs_nobody_theirs(url):
    settings = {"url": url, "poolSize": 1, "maxOverflow": 0, "statementTimeoutSeconds": 1.5}
    database = Database(Settings.model_validate(settings))
    sleep = Step(TextStatement("", "SELECT CAST(pg_sleep(0.9) AS text)"), [{}])
    await database.read(Step(TextStatement("", "SELECT 1"), [{}]))
    engine = database._engine
    results = await asyncio.gather(*(database.read(sleep) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [list, list, DatabaseDown]
    assert "raise database.poolSize" in str(results[2])
    assert database._engine is engine
    assert database.problem is None
    await database.close()


async def test_a_connection_that_was_idle_for_long_is_not_written_to(kept, database, monkeypatch):
    await kept.responses.add(stored("a"))
    pool = database._engine._rows
    used = pool._kept
    await kept.responses.add(stored("a"))
    assert pool._kept is used
    monkeypatch.setattr(postgresql_pool, "IDLE_SECONDS", -1)
    for _ in range(12):  # more than there may be connections
        await kept.responses.add(stored("a"))
    assert pool._kept is not used
    assert used._con is None, "the pool has it back"


async def test_a_connection_that_the_server_has_closed_is_not_written_to(kept, database):
    await kept.responses.add(stored("a"))
    used = database._engine._rows._kept
    await query(database, "SELECT pg_terminate_backend(:pid)", pid=used.get_server_pid())
    await until(lambda: used._con is None)
    await kept.responses.add(stored("a"))
    assert (await query(database, "SELECT count(*) FROM tandem_responses"))[0][0] == 2


async def test_closing_waits_for_what_is_written(kept, database, url):
    await kept.responses.add(stored("a"))
    other = await asyncpg.connect(url)
    async with other.transaction():
        await other.execute("LOCK TABLE tandem_responses")
        adding = asyncio.create_task(kept.responses.add(stored("a")))
        await until_true(lambda: other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        closing = asyncio.create_task(database._drop(database._engine))
        await asyncio.sleep(0)
    await asyncio.gather(adding, closing)
    assert (await query(database, "SELECT count(*) FROM tandem_responses"))[0][0] == 2
    await other.close()


@pytest.fixture
async def has(url):
    """Waits until the database has a number of connections; what asks has one besides."""
    asking = await asyncpg.connect(url)
    counted = "SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()"

    async def is_counted(number: int) -> bool:
        return await asking.fetchval(counted) == number

    yield lambda number: until_true(lambda: is_counted(number))
    await asking.close()


async def test_a_transaction_that_ends_after_the_closing_leaves_no_connection(url, has):
    database = Database(Settings.model_validate({"url": url}))
    async with database.transaction():
        await database.close()
        await has(1)
    await has(0)


async def test_a_closing_whose_asker_is_cancelled_goes_on(url, has):
    database = Database(Settings.model_validate({"url": url}))
    await database.system()
    await has(2)
    asking = asyncio.create_task(database.close())
    while database._engine is not None:  # noqa: ASYNC110 # it is cancelled in the very turn of the loop
        await asyncio.sleep(0)
    asking.cancel()
    await has(0)
