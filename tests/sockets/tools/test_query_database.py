"""query_database on real databases: it reads, within bounds, and nothing that it is told makes it do more."""

import asyncio

import pytest


def description(box):
    return box.toolbox._by_name["query_database"].tool.description


async def test_postgres_answers(box_for, reader):
    box = await box_for(reader[0])
    assert await box.call("query_database", query="SELECT id, customer, total, at, raw FROM orders ORDER BY id;") == (
        "success",
        {
            "columns": ["id", "customer", "total", "at", "raw"],
            "rows": [[1, "Ada", "19.99", "2026-11-21T09:00:00+00:00", "00ff"], [2, "Bob", None, None, None]],
            "truncated": False,
        },
    )


async def test_the_model_is_told_the_tables(box_for, reader, lite):
    declared = description(await box_for(reader[0], description="Totals are in euros."))
    assert "Totals are in euros." in declared
    assert "orders(id integer, customer text, total numeric, at timestamp with time zone, raw bytea)" in declared
    assert "other.moods(mood mood)" in declared
    assert "orders(id INTEGER, customer TEXT, raw BLOB)" in description(await box_for(lite))
    assert "orders(" not in description(await box_for(lite, describeTables=False))


WRITES = [
    "INSERT INTO orders VALUES (3, 'Eve')",
    "INSERT INTO orders VALUES (3, 'Eve') RETURNING id",
    "UPDATE orders SET customer = 'Eve' RETURNING 1",
    "DELETE FROM orders RETURNING 1",
    "CREATE TABLE mine (id integer)",
    "DROP TABLE orders",
]


@pytest.mark.parametrize(
    "sql",
    [
        *WRITES,
        "SELECT 1; DELETE FROM orders",
        "WITH gone AS (DELETE FROM orders RETURNING 1) SELECT * FROM gone",
        "SELECT * INTO mine FROM orders",
        "SET default_transaction_read_only = off",
        "COPY orders TO STDOUT",
        "COPY (SELECT 1) TO PROGRAM 'touch /tmp/tandem-was-here'",
        "DO $$ BEGIN DELETE FROM orders; END $$",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT set_config('transaction_read_only', 'off', true)",
        "BEGIN",
        "NOTHING",
    ],
)
async def test_postgres_is_only_read(box_for, reader, admin, sql):
    # Even where somebody has given the role more since it was looked at.
    box = await box_for(reader[0])
    await reader[1]("GRANT ALL ON orders TO {reader}; GRANT CREATE ON SCHEMA public TO {reader}")
    assert await box.error("query_database", query=sql)
    assert await admin.fetch("SELECT id FROM orders WHERE customer != 'Eve'") == [(1,), (2,)]
    assert (await box.call("query_database", query="SELECT count(*) FROM orders"))[1]["rows"] == [[2]]


async def test_settings_of_one_query_are_gone_with_it(box_for, reader):
    box = await box_for(reader[0], maxConnections=1)
    sql = (
        "SELECT set_config('default_transaction_read_only', 'off', false), set_config('statement_timeout', '0', false)"
    )
    await box.call("query_database", query=sql)
    shown = [
        (await box.call("query_database", query=f"SELECT current_setting('{name}')"))[1]["rows"][0][0]
        for name in ("transaction_read_only", "default_transaction_read_only", "statement_timeout")
    ]
    assert shown == ["on", "on", "5s"]


@pytest.mark.parametrize(
    ("grant", "complaint"),
    [
        ("GRANT INSERT ON orders TO {reader}", "may write to orders"),
        ("GRANT UPDATE (customer) ON orders TO {reader}", "may write to orders"),
        ("GRANT TRUNCATE ON other.moods TO {reader}", "may write to other.moods"),
        ("ALTER TABLE orders OWNER TO {reader}", "may write to orders"),
        ("ALTER ROLE {reader} SUPERUSER", "is a superuser"),
        ("GRANT pg_execute_server_program TO {reader}", "is a member of pg_execute_server_program"),
        ("GRANT pg_write_all_data TO {reader}", "may write to"),
        ("GRANT EXECUTE ON FUNCTION pg_read_file(text) TO {reader}", "may call pg_read_file"),
    ],
)
async def test_a_role_that_may_do_more_is_refused(tools, reader, grant, complaint):
    url, run = reader
    await run(grant)
    box = await tools(queryDatabase={"url": url})
    problem = await box.down()
    assert problem.startswith("tools of query_database: the role must only be able to read, but it ")
    assert complaint in problem
    assert box.toolbox.names == set()


async def test_a_database_that_is_not_there(tools):
    box = await tools(queryDatabase={"url": "postgresql://reader:pw@127.0.0.1:1/shop"})
    problem = await box.down()
    assert "the database cannot be reached" in problem
    assert "pw" not in problem
    box = await tools(queryDatabase={"url": "sqlite:////nowhere/shop.db"})
    assert "the database cannot be read" in await box.down()


async def test_sqlite_answers(box_for, lite):
    box = await box_for(lite)
    assert await box.call("query_database", query="SELECT *, upper(customer) AS u FROM orders ORDER BY id") == (
        "success",
        {
            "columns": ["id", "customer", "raw", "u"],
            "rows": [[1, "Ada", "00ff", "ADA"], [2, "Bob", None, "BOB"]],
            "truncated": False,
        },
    )
    recursive = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i FROM n"
    assert (await box.call("query_database", query=recursive))[1]["rows"] == [[1], [2], [3]]


@pytest.mark.parametrize(
    "sql",
    [
        *WRITES,
        "SELECT 1; DELETE FROM orders",
        "ATTACH DATABASE '/tmp/tandem-was-here.db' AS other",
        "PRAGMA query_only = 0",
        "PRAGMA table_info(orders)",
        "VACUUM INTO '/tmp/tandem-was-here.db'",
        "SELECT load_extension('evil')",
        "SELECT zeroblob(1000000000)",
        "BEGIN",
        "NOTHING",
    ],
)
async def test_sqlite_is_only_read(box_for, lite, sql):
    box = await box_for(lite)
    assert await box.error("query_database", query=sql)
    assert (await box.call("query_database", query="SELECT count(*) FROM orders"))[1]["rows"] == [[2]]


@pytest.fixture(params=["postgres", "sqlite"])
def either(request, box_for, lite):
    """A box for each kind of database, and a query that gives the numbers up to n."""
    url = request.getfixturevalue("reader")[0] if request.param == "postgres" else lite

    async def box(**settings):
        if request.param == "sqlite":
            return await box_for(url, **settings), (
                "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < {n}) SELECT {what} FROM s"
            )
        return await box_for(url, **settings), "SELECT {what} FROM generate_series(1, {n}) AS i"

    return box


async def test_rows_are_bounded(either):
    box, sql = await either(maxRows=70)
    _, found = await box.call("query_database", query=sql.format(what="i", n=1000))
    assert (len(found["rows"]), found["truncated"]) == (70, True)
    _, found = await box.call("query_database", query=sql.format(what="i", n=70))
    assert (len(found["rows"]), found["truncated"]) == (70, False)


async def test_bytes_are_bounded(either):
    box, sql = await either(maxBytes=300)
    _, found = await box.call("query_database", query=sql.format(what="'0123456789' AS t", n=1000))
    assert (len(found["rows"]), found["truncated"]) == (20, True)  # of 15 bytes each


async def test_time_is_bounded(either):
    box, sql = await either(timeoutSeconds=0.1)
    slow = f"SELECT count(*) FROM ({sql.format(what='i', n=10**8)}) AS s"
    assert await box.error("query_database", query=slow) == "the query took longer than 0.1 s"


async def test_a_client_that_leaves_ends_its_query(box_for, reader, admin):
    box = await box_for(reader[0], timeoutSeconds=60)
    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND usename ~ '^reader_'"
    asking = asyncio.create_task(box.call("query_database", query="SELECT pg_sleep(60)"))
    async with asyncio.timeout(20):
        while not await admin.fetchval(f"{running} AND state = 'active'"):
            pass
        asking.cancel()
        while await admin.fetchval(f"{running} AND state = 'active'"):
            pass
