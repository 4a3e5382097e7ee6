"""A database that another version of the service has migrated, or not yet."""

import asyncpg
import openai
import pytest
from sqlalchemy import text
from tandem_contract.config import Database as Settings
from tandem_orchestrator.errors import DatabaseDown
from tandem_orchestrator.store import migrations
from tandem_orchestrator.store.database import Database

from tests.sockets.keys.service import ADMIN, ask, make, until_status, with_admin
from tests.sockets.running import until, until_awaited
from tests.sockets.tenants.service import keep

LATER = "the database has been migrated by a later version (0006, this one knows 0005)"
WANTED = "0002 (responses and conversations)"
MISSING = f"the database lacks migration {WANTED}, which its role may not run"
LATEST = f"{WANTED}, 0003 (files and uploads), 0004 (vector stores), 0005 (batches)"
ALL_MISSING = f"database: {MISSING.replace(WANTED, LATEST)}"


async def is_at(url: str, revision: str) -> None:
    database = Database(Settings(url=url))
    await database.alone(migrations.upgrade)
    change = text("UPDATE tandem_schema SET version_num = :revision")
    await database.alone(lambda connection: connection.execute(change, {"revision": revision}))


async def problems(service) -> list[str]:
    return (await service.get("/health", **ADMIN))[1]["problems"]


async def responses_work(service, key: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{service.url}/v1", api_key=key, max_retries=0) as client:
        await keep(client, "t")


async def test_a_later_versions_database_is_told_and_used(serve, engine, tmp_path, url):
    await is_at(url, "0006")
    service = await serve(with_admin(engine, tmp_path, url))
    _, key = await make(service)
    assert await ask(service, key) == 200
    await responses_work(service, key)
    assert await problems(service) == [f"database: {LATER}"]
    status, ready = await service.get("/ready", **ADMIN)
    assert (status, ready["status"], ready["degraded"]) == (200, "ready", [f"database: {LATER}"])


async def test_what_others_migrate_meanwhile_is_noticed(serve, engine, tmp_path, url, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.store.database.LOOK_SECONDS", 0.05)
    service = await serve(with_admin(engine, tmp_path, url))
    _, key = await make(service)
    assert await problems(service) == []
    for revision, expected in (("0006", [f"database: {LATER}"]), ("0005", [])):
        await is_at(url, revision)
        await until_awaited(lambda: problems(service), expected.__eq__)
    assert await ask(service, key) == 200


@pytest.fixture
async def restricted(postgres):
    """The URLs of a database at 0001: its owner's, and that of a role that may not make tables."""
    owner = await postgres.create()
    name = owner.rpartition("/")[2]
    database = Database(Settings(url=owner))
    await database.alone(lambda connection: migrations.upgrade(connection, "0001"))
    connection = await asyncpg.connect(owner)
    await connection.execute(f"CREATE ROLE {name} LOGIN")
    await grant(connection, name)
    yield owner, f"postgresql://{name}:secret-password@{owner.rpartition('@')[2]}"
    await connection.execute(f"DROP OWNED BY {name}")
    await connection.execute(f"DROP ROLE {name}")
    await connection.close()


async def grant(connection, name: str) -> None:
    await connection.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}")


async def test_a_missing_migration_keeps_only_responses_away(serve, engine, tmp_path, restricted, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.store.database.LOOK_SECONDS", 0.05)
    owner, url = restricted
    service = await serve(with_admin(engine, tmp_path, url))
    key_id, key = await make(service, tokensPerDay=1000)
    assert await ask(service, key) == 200
    headers = {"authorization": f"Bearer {key}"}
    async with service.client.post("/v1/responses", json={"model": "double", "input": "Hi"}, headers=headers) as answer:
        error = (await answer.json())["error"]
        assert (answer.status, error["code"], "retry-after" in answer.headers) == (503, "migration_missing", True)
        assert error["message"].startswith(MISSING)
    async with service.client.get("/v1/conversations/conv_1", headers=headers) as answer:
        assert answer.status == 503
    unkept = {"model": "double", "input": "Hi", "store": False}
    async with service.client.post("/v1/responses", json=unkept, headers=headers) as answer:
        assert answer.status == 200
    (problem,) = await problems(service)
    assert problem.startswith(f"{ALL_MISSING}; run `tandem-orchestrator migrate`")
    assert (await service.get("/ready"))[0] == 200
    ledger = Database(Settings(url=url))
    await until_awaited(lambda: rows_in(ledger, "tandem_tokens"), bool)
    await ledger.close()

    database = Database(Settings(url=owner))
    async with database.transaction():
        pass
    await database.close()
    connection = await asyncpg.connect(owner)
    await grant(connection, url.split("//")[1].split(":")[0])
    await connection.close()
    await until_awaited(lambda: problems(service), [].__eq__)
    await responses_work(service, key)
    await service.client.delete(f"/admin/keys/{key_id}", headers=ADMIN)
    await until_status(service, key, 401)


async def rows_in(database: Database, table: str) -> int:
    async with database.transaction() as connection:
        return (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()


async def test_without_any_tables_a_role_that_may_not_make_them_says_so(restricted):
    owner, url = restricted
    connection = await asyncpg.connect(owner)
    await connection.execute("DROP TABLE tandem_keys, tandem_keys_version, tandem_tokens, tandem_schema")
    await connection.close()
    database = Database(Settings(url=url))
    with pytest.raises(DatabaseDown, match="permission denied for schema public"):
        async with database.transaction():
            pass
    assert database.problems == []
    await database.close()


async def test_a_role_that_may_not_make_tables_needs_not_once_they_are_there(serve, engine, tmp_path, restricted):
    owner, url = restricted
    database = Database(Settings(url=owner))
    await database.alone(migrations.upgrade)
    connection = await asyncpg.connect(owner)
    await grant(connection, url.split("//")[1].split(":")[0])
    await connection.close()
    service = await serve(with_admin(engine, tmp_path, url))
    _, key = await make(service)
    await until(lambda: service.app.services.keys.checked)
    await responses_work(service, key)
    assert await problems(service) == []
