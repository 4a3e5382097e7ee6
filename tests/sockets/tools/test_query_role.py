"""query_database and what its role may do: the server enforces it, the tool looks, refuses and says."""

import asyncio
import re
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from structlog.testing import capture_logs

PAGE = (Path(__file__).parents[3] / "docs" / "tools.md").read_text(encoding="utf-8")
MADE, HARDENED = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
EVERYBODY = (
    "may see the SQL of its other sessions",
    "may end its other sessions",
    "may take locks that applications may wait for",
    "may write to the log of changes",
    "may write large objects",
    "may notify listeners",
    "may create temporary tables",
)


@pytest.fixture
async def documented(admin, postgres):
    """A URL whose role was made by the SQL of docs/tools.md, first part or both."""
    database = await admin.fetchval("SELECT current_database()")
    roles = {"reader": f"reader_{uuid4().hex}", "shop_app": f"app_{uuid4().hex}"}
    await admin.execute("CREATE TABLE customers (name text)")
    await admin.execute(f"CREATE ROLE {roles['shop_app']} LOGIN")

    async def made(*parts):
        for part in parts:
            sql = part.replace("DATABASE shop", f"DATABASE {database}")
            for name, role in roles.items():
                sql = re.sub(rf"\b{name}\b", role, sql)
            await admin.execute(sql)
        return f"postgresql://{roles['reader']}@127.0.0.1:{postgres.port}/{database}"

    yield made
    for role in roles.values():
        await admin.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def warnings(logs):
    """What was said of the role, less the databases of other tests."""
    said: list[str] = next(
        (line["it"] for line in logs if line["event"] == "the role may do more than read tables"), []
    )
    return [line for line in said if "connect to" not in line and "more such" not in line]


async def test_the_role_of_the_docs_is_taken(box_for, documented):
    with capture_logs() as logs:
        box = await box_for(await documented(MADE), schemas=["public"])
    assert (await box.call("query_database", query="SELECT count(*) FROM orders"))[1]["rows"] == [[2]]
    assert not any("temporary" in line for line in warnings(logs))


async def test_the_server_withholds_what_the_docs_take_from_everybody(box_for, documented, admin):
    with capture_logs() as logs:
        box = await box_for(await documented(MADE, HARDENED), schemas=["public"])
    assert warnings(logs) == []
    for call in (
        "lo_from_bytea(0, 'x')",
        "lo_create(0)",
        "pg_notify('a', 'b')",
        "pg_advisory_lock(1)",
        "pg_terminate_backend(1)",
        "pg_logical_emit_message(false, 'a', 'b')",
        "pg_stat_get_activity(NULL)",
        "pg_stat_get_backend_activity(1)",
    ):
        assert "permission denied for function" in await box.error("query_database", query=f"SELECT {call}")
    assert "permission denied" in await box.error("query_database", query="SELECT query FROM pg_stat_activity")
    app = [role for (role,) in await admin.fetch("SELECT rolname FROM pg_roles WHERE rolname ~ '^app_'")]
    assert await admin.fetchval("SELECT has_function_privilege($1, 'pg_notify(text, text)', 'EXECUTE')", app[-1])
    assert not await admin.fetchval("SELECT has_function_privilege($1, 'lo_import(text)', 'EXECUTE')", app[-1])


async def test_what_everybody_may_is_said_at_the_start(box_for, reader):
    with capture_logs() as logs:
        await box_for(reader[0])
    said = warnings(logs)
    for line in EVERYBODY:
        assert any(part.startswith(line) for part in said), line


ACTS = [
    "SELECT lo_create(4711)",
    "SELECT lo_from_bytea(4711, 'x')",
    "SELECT pg_notify('tandem', 'was here')",
    "SELECT setval('counter', 100)",
    "SELECT nextval('counter')",
    "SELECT pg_advisory_lock(4711)",
    "SELECT pg_advisory_xact_lock(4711)",
    "SELECT set_config('role', '{reader}', false)",
    "SELECT query_to_xml('SELECT lo_create(4711)', true, true, '')",
    "SELECT lo_create(4711) FROM generate_series(1, 5000)",
    "SELECT definer()",
    "CALL gives('x')",
    "EXECUTE anything",
    "LISTEN tandem",
    "SELECT 1 FROM orders FOR UPDATE",
    "SELECT 1) AS asked(c0) OFFSET 0) AS rows; SELECT lo_create(4711) --",
    "EXPLAIN ANALYZE SELECT lo_create(4711)",
]


@pytest.mark.parametrize("sql", ACTS)
async def test_nothing_that_a_query_does_stays(box_for, reader, admin, sql):
    url, _ = reader
    await admin.execute(
        "CREATE SEQUENCE counter; GRANT SELECT ON counter TO PUBLIC;"
        "CREATE FUNCTION definer() RETURNS oid LANGUAGE sql SECURITY DEFINER AS 'SELECT lo_create(4711)';"
        "CREATE PROCEDURE gives(INOUT x text) LANGUAGE plpgsql AS 'BEGIN COMMIT; END'"
    )
    heard = []
    await admin.add_listener("tandem", lambda *message: heard.append(message))
    box = await box_for(url, maxConnections=1)
    await box.call("query_database", query=sql)
    await admin.execute("NOTIFY tandem, 'the end'")
    assert [payload for *_, payload in heard] == ["the end"]
    assert await admin.fetchval("SELECT count(*) FROM pg_largeobject_metadata") == 0
    assert await admin.fetchval("SELECT last_value FROM counter") == 1
    assert await admin.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    state = "SELECT current_setting('role'), current_setting('transaction_read_only')"
    assert (await box.call("query_database", query=state))[1]["rows"] == [["none", "on"]]


async def test_another_role_that_a_query_took_is_gone_with_it(box_for, reader, admin):
    url, run = reader
    group = f"group_{uuid4().hex}"
    await admin.execute(f"CREATE ROLE {group}")
    await run(f"GRANT {group} TO {{reader}}")
    try:
        box = await box_for(url, maxConnections=1)
        await box.call("query_database", query=f"SELECT set_config('role', '{group}', false)")
        assert (await box.call("query_database", query="SELECT current_user = session_user"))[1]["rows"] == [[True]]
    finally:
        await admin.execute(f"DROP ROLE {group}")


async def test_a_long_lived_lock_of_a_query_is_gone_when_it_ends(box_for, reader, admin):
    box = await box_for(reader[0], timeoutSeconds=0.3)
    assert "took longer" in await box.error("query_database", query="SELECT pg_advisory_lock(7), pg_sleep(5)")
    assert await asyncio.wait_for(admin.fetchval("SELECT pg_try_advisory_lock(7)"), 5)


async def test_a_query_that_lifts_its_time_limit_ends_in_time(box_for, reader, admin):
    box = await box_for(reader[0], timeoutSeconds=0.5, maxBytes=1_048_576)  # of which few are fetched at once
    sql = (
        "SELECT CASE WHEN i = 1 THEN set_config('statement_timeout', '0', false) WHEN i = 9 THEN pg_sleep(60)::text END"
        " FROM generate_series(1, 9) AS i"
    )
    assert await box.error("query_database", query=sql) == "the query took longer than 0.5 s"
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()"
    async with asyncio.timeout(20):
        while await admin.fetchval(sleeping + " AND state = 'active'"):
            pass


@pytest.mark.parametrize(
    ("grant", "complaint"),
    [
        ("ALTER ROLE {reader} CREATEROLE", "may create roles"),
        ("ALTER ROLE {reader} CREATEDB", "may create databases"),
        ("ALTER ROLE {reader} REPLICATION", "may replicate"),
        ("GRANT pg_monitor TO {reader}", "is a member of pg_monitor"),
        ("GRANT pg_signal_backend TO {reader}", "is a member of pg_signal_backend"),
        ("GRANT CREATE ON SCHEMA public TO {reader}", "may create in schema public"),
        ("GRANT USAGE ON SEQUENCE counter TO {reader}", "may write to counter"),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION f() OWNER TO {reader}",
            "owns fun",
        ),
        ("GRANT EXECUTE ON FUNCTION lo_export(oid, text) TO {reader}", "may call lo_export(oid,text)"),
        ("GRANT EXECUTE ON FUNCTION pg_ls_dir(text) TO PUBLIC", "may call pg_ls_dir(text)"),
        (
            "CREATE FUNCTION acts() RETURNS int LANGUAGE internal AS 'pg_backend_pid'",
            "may call acts()",
        ),
        (
            "CREATE ROLE {reader}_g; GRANT INSERT ON orders TO {reader}_g; GRANT {reader}_g TO {reader}",
            "may write to or",
        ),
        ("CREATE ROLE {reader}_g SUPERUSER; GRANT {reader}_g TO {reader}", "is a superuser as "),
    ],
)
async def test_a_role_that_may_do_more_is_refused(tools, reader, admin, grant, complaint):
    url, run = reader
    await admin.execute("CREATE SEQUENCE counter")
    await run(grant)
    try:
        box = await tools(queryDatabase={"url": url})
        problem = await box.down()
        assert problem.startswith("tools of query_database: the role must only be able to read, but it ")
        assert complaint in problem
        assert box.toolbox.names == set()
    finally:
        if "_g" in grant:
            await run("DROP OWNED BY {reader}_g; DROP ROLE {reader}_g")


async def test_machine_code_is_taken_from_extensions_that_postgres_trusts(tools, box_for, reader, admin):
    await admin.execute("CREATE FUNCTION acts() RETURNS int LANGUAGE internal AS 'pg_backend_pid'")
    assert "may call acts()" in await (await tools(queryDatabase={"url": reader[0]})).down()
    await admin.execute("ALTER EXTENSION plpgsql ADD FUNCTION acts()")
    assert (await (await box_for(reader[0])).call("query_database", query="SELECT acts()"))[0] == "success"


async def test_schemas_beyond_the_allowed_are_refused(tools, box_for, reader, admin):
    url, run = reader
    problem = await (await tools(queryDatabase={"url": url, "schemas": ["public"]})).down()
    assert "may read other.moods outside the schemas that are allowed" in problem
    await run("REVOKE USAGE ON SCHEMA other FROM {reader}")
    await box_for(url, schemas=["public"])
    await run("CREATE SCHEMA own; CREATE FUNCTION own.f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    await run("GRANT USAGE ON SCHEMA own TO {reader}")
    problem = await (await tools(queryDatabase={"url": url, "schemas": ["public"]})).down()
    assert "may call own.f() outside the schemas that are allowed" in problem


async def test_tables_are_looked_for_in_the_allowed_schemas_only(box_for, reader, admin):
    url, run = reader
    await run('CREATE SCHEMA "Sales, 1"; CREATE VIEW "Sales, 1".totals AS SELECT 3 AS sum')
    await run('GRANT USAGE ON SCHEMA "Sales, 1" TO {reader}; GRANT SELECT ON "Sales, 1".totals TO {reader}')
    await run("REVOKE ALL ON orders FROM {reader}; REVOKE USAGE ON SCHEMA other FROM {reader}")
    box = await box_for(url, schemas=["Sales, 1"])
    assert (await box.call("query_database", query="SELECT sum FROM totals"))[1]["rows"] == [[3]]
    assert "does not exist" in await box.error("query_database", query="SELECT * FROM orders")


async def test_a_function_that_shadows_another_is_not_called_for_the_answer(box_for, reader, admin):
    await admin.execute(
        "CREATE FUNCTION public.to_json(integer) RETURNS json LANGUAGE sql AS $$ SELECT '\"evil\"'::json $$"
    )
    box = await box_for(reader[0])
    assert (await box.call("query_database", query="SELECT 1"))[1]["rows"] == [[1]]


async def test_values_are_as_postgres_writes_them(box_for, reader):
    box = await box_for(reader[0])
    values = {
        "interval '1 year 2 mons'": "1 year 2 mons",
        "interval '-1 day 24:00'": "-1 days +24:00:00",
        "date '0044-03-15 BC'": "0044-03-15 BC",
        "timestamp '0044-03-15 BC'": "0044-03-15T00:00:00 BC",
        "date 'infinity'": "infinity",
        "date '10000-01-01'": "10000-01-01",
        "time '24:00'": "24:00:00",
        "timetz '24:00+00'": "24:00:00+00",
        "numeric '1.10'": "1.10",
        "numeric 'NaN'": "NaN",
        "float8 '-infinity'": "-Infinity",
        "9007199254740993": 9007199254740993,
        "ARRAY[interval '1 mon', NULL]": ["1 mon", None],
        "int4range(1, 5)": "[1,5)",
        "jsonb '{\"a\": [1]}'": {"a": [1]},
        "E'line\\nend'": "line\nend",
        "NULL": None,
        "true": True,
        "bytea '\\xff'": "ff",
    }
    status, found = await box.call("query_database", query=f"SELECT {', '.join(values)}")
    assert status == "success", found
    assert dict(zip(values, found["rows"][0], strict=True)) == values


async def test_many_columns(box_for, reader):
    box = await box_for(reader[0])
    sql = f"SELECT {', '.join(map(str, range(1500)))}"
    assert (await box.call("query_database", query=sql))[1]["rows"] == [list(range(1500))]


async def test_a_connection_that_ended_is_made_again(box_for, reader, admin):
    box = await box_for(reader[0])
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename ~ '^reader_'")

    async def answers():
        return (await box.call("query_database", query="SELECT 1"))[0] == "success"

    assert await answers() or await answers()  # the first may be the one that finds out


async def test_a_role_of_the_docs_cannot_write_even_by_itself(documented):
    connection = await asyncpg.connect(await documented(MADE))
    try:
        assert await connection.fetchval("SHOW default_transaction_read_only") == "on"
        for sql in ("CREATE TEMP TABLE t (a int)", "CREATE TABLE t (a int)", "DELETE FROM orders"):
            await connection.execute("SET default_transaction_read_only = off")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(sql)
    finally:
        await connection.close()
