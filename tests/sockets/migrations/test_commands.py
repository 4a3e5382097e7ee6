"""tandem-orchestrator migrate, as a person runs it."""

import pytest
from sqlalchemy import inspect, text

from tests.sockets.running import Orchestrator
from tests.sockets.tenants.service import client_of, keep, with_tenants


async def tables(database) -> set[str]:
    """Those of ours; looks without migrating."""
    return set(await database.alone(lambda connection: inspect(connection).get_table_names()))


async def test_up_to_a_revision_and_on(command, database):
    code, out, error = await command("migrate", "--to", "0001")
    assert (code, out, error) == (0, "The database was at no migration and is at 0001 now.", "")
    assert "tandem_keys" in await tables(database)
    assert "tandem_responses" not in await tables(database)
    assert await command("migrate") == (0, "The database was at 0001 and is at 0005 now.", "")
    assert "tandem_responses" in await tables(database)
    assert await command("migrate") == (0, "Nothing to do: the database is at 0005.", "")


async def test_the_state_is_told_and_left_as_it_is(command, database):
    await command("migrate", "--to", "0001")
    code, out, error = await command("migrate", "--status")
    assert (code, error) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()] == [
        ["REVISION", "STATE"],
        ["0001", "applied"],
        ["0002", "missing"],
        ["0003", "missing"],
        ["0004", "missing"],
        ["0005", "missing"],
    ]
    assert "responses and conversations" in out
    assert "tandem_responses" not in await tables(database)


@pytest.mark.parametrize("url", ["sqlite:///{}/tandem.db"])
async def test_no_file_is_made_to_tell_its_state(command, url, tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", url.format(tmp_path))
    assert await command("migrate", "--status") == (0, "There is no database yet.", "")
    assert list(tmp_path.iterdir()) == []


async def test_back_while_nothing_is_lost(command, database):
    await command("migrate")
    assert await command("migrate", "--down", "0001") == (0, "The database was at 0005 and is at 0001 now.", "")
    assert [name for name in await tables(database) if "response" in name or "conversation" in name] == []
    await command("migrate")
    assert "tandem_responses" in await tables(database)


async def test_rows_are_lost_only_by_a_word(command, database, engine, url):
    service = Orchestrator(with_tenants(engine, url))  # which ends before the way back, as it would lead on again
    await service.start()
    async with client_of(service, "team-a") as client:
        await keep(client, "team-a")
    await service.stop()
    code, out, error = await command("migrate", "--down", "0001")
    assert (code, out) == (1, "")
    assert error == (
        "going back to 0001 would lose 7 rows (4 in tandem_responses, 1 in tandem_conversations, "
        "2 in tandem_conversation_items); say --discard to lose them\n"
    )
    assert (await command("tenants", "list"))[1].splitlines()[1].split()[:2] == ["team-a", "4"]
    assert (await command("migrate", "--down", "0001", "--discard"))[0] == 0
    assert "tandem_responses" not in await tables(database)


async def test_keys_and_tokens_outlast_the_way_back(command, database):
    await command("keys", "create", "--tenant", "team-a", "--name", "alice")
    await command("migrate", "--down", "0001")
    number = await database.alone(
        lambda connection: connection.execute(text("SELECT count(*) FROM tandem_keys")).scalar()
    )
    assert number == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--to", "0099"), "there is no migration '0099' here, only 0001, 0002, 0003, 0004, 0005"),
        (("--down", "base"), "there is no migration 'base' here, only 0001, 0002, 0003, 0004, 0005"),
        (("--to", "0001"), "the database is at 0005 already; --down 0001 would lead back"),
        (("--discard",), "--discard goes with --down"),
    ],
)
async def test_what_cannot_be_done_is_said(command, arguments, complaint):
    await command("migrate")
    assert await command("migrate", *arguments) == (1, "", f"{complaint}\n")


async def test_no_way_down_leads_up(command):
    await command("migrate", "--to", "0001")
    assert await command("migrate", "--down", "0002") == (
        1,
        "",
        "the database is at 0001; --to 0002 would lead on\n",
    )


async def test_a_later_versions_database_is_left_to_it(command, database):
    await command("migrate")
    await database.alone(lambda connection: connection.execute(text("UPDATE tandem_schema SET version_num = '0006'")))
    problem = "the database has been migrated by a later version (0006, this one knows 0005)"
    assert await command("migrate") == (0, f"Nothing to do: {problem}.", "")
    assert await command("migrate", "--down", "0001") == (1, "", f"{problem}: only that version can change it\n")
    _, out, _ = await command("migrate", "--status")
    assert out.splitlines()[-1].split() == ["0006", "applied", "unknown", "to", "this", "version"]


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1:1/nowhere", "sqlite:////nowhere/tandem.db"])
async def test_a_database_that_is_away_is_said(command):
    code, out, error = await command("migrate")
    assert (code, out, error.startswith("the database cannot be used: ")) == (1, "", True)
