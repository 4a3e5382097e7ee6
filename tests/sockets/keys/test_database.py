"""The database itself, SQLite and PostgreSQL: migrations, failures, budgets."""

import asyncio

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from tandem_contract.config import Database as Settings
from tandem_contract.config import SecretFile
from tandem_orchestrator.batches import tables as _batches  # noqa: F401 # which makes these known, as the others do
from tandem_orchestrator.errors import DatabaseDown
from tandem_orchestrator.files import tables as _files  # noqa: F401
from tandem_orchestrator.limits.sql_ledger import Ledger
from tandem_orchestrator.responses.tables import RESPONSES
from tandem_orchestrator.retrieval import tables as _retrieval  # noqa: F401
from tandem_orchestrator.store.database import Database
from tandem_orchestrator.store.migrations import VERSION_TABLE

from tests.sockets.postgres import door_to

TODAY, YESTERDAY, LAST_MONTH = "2026-11-21", "2026-11-20", "2026-10-31"


async def test_migrations_make_the_tables_that_the_code_means(database):
    def differences(sync):
        return compare_metadata(
            MigrationContext.configure(sync, opts={"version_table": VERSION_TABLE}), RESPONSES.metadata
        )

    async with database.transaction() as connection:
        assert await connection.run_sync(differences) == []


async def test_replicas_that_start_at_once_migrate_once(url):
    replicas = [Database(Settings(url=url)) for _ in range(6)]

    async def start(replica):
        async with replica.transaction() as connection:
            return (await connection.execute(text("SELECT count(*) FROM tandem_keys_version"))).scalar()

    assert await asyncio.gather(*(start(replica) for replica in replicas)) == [1] * 6
    for replica in replicas:
        await replica.close()


async def test_a_database_of_a_later_version_is_used_as_it_is(database, url):
    async with database.transaction() as connection:
        await connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = 'later'"))
    await database.close()
    assert await Ledger(database).load(TODAY) == {}


async def test_a_failed_transaction_leaves_nothing(database):
    async def change_and_fail():
        async with database.transaction() as connection:
            await connection.execute(text("UPDATE tandem_keys_version SET version = 7"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change_and_fail()
    async with database.transaction() as connection:
        assert (await connection.execute(text("SELECT version FROM tandem_keys_version"))).scalar() == 0


async def test_the_ledger_sums_by_key_and_day(database, url):
    ledger, other = Ledger(database), Ledger(Database(Settings(url=url)))
    await ledger.add(TODAY, {"a": 5, "b": 1})
    await other.add(TODAY, {"b": 2, "a": 10})
    await ledger.add(YESTERDAY, {"a": 100})
    await ledger.add(LAST_MONTH, {"a": 1000})
    assert await ledger.load(TODAY) == {"a": 15, "b": 3}
    assert await ledger.load("2026-11") == {"a": 115, "b": 3}
    assert await ledger.load("2026-12") == {}
    await other._database.close()


async def test_replicas_add_to_the_ledger_at_once(url):
    ledgers = [Ledger(Database(Settings(url=url))) for _ in range(4)]
    keys = [f"key-{n}" for n in range(500)]
    await asyncio.gather(*(ledger.add(TODAY, dict.fromkeys(keys[::step], 1)) for ledger in ledgers for step in (1, -1)))
    assert await ledgers[0].load(TODAY) == dict.fromkeys(keys, 8)
    for ledger in ledgers:
        await ledger._database.close()


async def test_a_sqlite_file_is_made_only_when_something_is_written(tmp_path):
    database = Database(Settings(url=f"sqlite:///{tmp_path}/tandem.db"))
    ledger = Ledger(database)
    assert await ledger.load(TODAY) == {}
    await ledger.add(TODAY, {})
    assert not list(tmp_path.iterdir())
    await ledger.add(TODAY, {"a": 1})
    assert await ledger.load(TODAY) == {"a": 1}


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("sqlite:////nowhere/at/all.db", "unable to open database file"),
        ("sqlite:///", "must be sqlite:///path"),
        ("mysql://user:secret-password@host/name", "must be sqlite:///path or postgresql"),
        ("postgresql://user:secret-password@127.0.0.1:1/name", "Connect"),
        ("postgresql://user:secret-password@host:port/name", "must be sqlite:///path or postgresql"),
        ("postgresql://user:secret-password:9@host/name", "gaierror"),
    ],
)
async def test_what_is_wrong_is_said_without_the_password(url, problem, tmp_path, capsys):
    (tmp_path / "url").write_text(url)
    database = Database(Settings(url_from=SecretFile(file=str(tmp_path / "url"))))
    with pytest.raises(DatabaseDown, match=problem) as caught:
        async with database.transaction():
            pass
    assert database.problem
    assert "secret" not in database.problem + caught.value.message + capsys.readouterr().out


async def test_a_database_that_goes_away_and_comes_back(postgres):
    async with door_to(await postgres.create()) as door:
        ledger = Ledger(database := Database(Settings(url=door.url)))
        await ledger.add(TODAY, {"a": 1})
        await door.shut()
        with pytest.raises(DatabaseDown):
            await ledger.add(TODAY, {"a": 1})
        assert "Connect" in str(database.problem)
        await door.open()
        await ledger.add(TODAY, {"a": 1})
        assert database.problem is None
        assert await ledger.load(TODAY) == {"a": 2}
        await database.close()


async def test_a_database_that_says_nothing_is_given_up(postgres, monkeypatch):
    async with door_to(await postgres.create()) as door:
        ledger = Ledger(database := Database(Settings(url=door.url)))
        await ledger.add(TODAY, {"a": 1})
        door.blocked = True
        with monkeypatch.context() as patch:
            patch.setattr("tandem_orchestrator.store.database.TRANSACTION_SECONDS", 0.1)
            with pytest.raises(DatabaseDown, match="TimeoutError"):
                await ledger.load(TODAY)
        await door.shut()
        await door.open()
        assert await ledger.load(TODAY) == {"a": 1}
        await database.close()


async def test_a_url_in_a_file_wins_and_may_change(url, tmp_path):
    file = tmp_path / "url"
    file.write_text("sqlite:////nowhere/at/all.db")
    database = Database(Settings(url="sqlite:///unused.db", url_from=SecretFile(file=str(file))))
    with pytest.raises(DatabaseDown):
        await Ledger(database).add(TODAY, {"a": 1})
    file.write_text(f"{url}\n")
    await Ledger(database).add(TODAY, {"a": 1})
    await database.close()


async def test_a_url_may_name_a_driver_as_sqlalchemys_do(url):
    named = url.replace("sqlite:", "sqlite+aiosqlite:").replace("postgresql:", "postgresql+psycopg:")
    database = Database(Settings(url=named))
    await Ledger(database).add(TODAY, {"a": 1})
    await database.close()
    same = Database(Settings(url=url))
    assert await Ledger(same).load(TODAY) == {"a": 1}
    await same.close()
