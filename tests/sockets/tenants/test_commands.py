"""tandem-orchestrator tenants, as a person runs it."""

import asyncio
import io
import json
import os
import pty
import sys
from contextlib import contextmanager

import pytest
from tandem_contract.config import Database as Settings
from tandem_orchestrator.responses.store import Stored
from tandem_orchestrator.responses.stores import Stores
from tandem_orchestrator.store.database import Database
from tandem_orchestrator.tenant_commands import export, purge, statements

from tests.engine_double import Reply
from tests.sockets.running import until, until_awaited
from tests.sockets.tenants.service import client_of, keep, rows_of, with_tenants


@pytest.fixture
async def service(serve, engine, url):
    return await serve(with_tenants(engine, url))


@pytest.fixture
async def kept(service):
    """What both tenants keep."""
    found = {}
    for tenant in ("team-a", "team-b"):
        async with client_of(service, tenant) as client:
            found[tenant] = await keep(client, tenant)
    return found


def documents(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


async def test_tenants_are_listed_with_what_they_keep(kept, command, database):
    code, out, error = await command("tenants", "list", "--output", "json")
    assert (code, error) == (0, "")
    async with database.transaction() as connection:
        stored = (await connection.exec_driver_sql("SELECT tenant, responses, bytes FROM tandem_stored")).all()
    expected = [
        {
            "tenant": tenant,
            "responses": responses,
            "bytes": size,
            "conversations": 1,
            "files": 0,
            "file_bytes": 0,
            "vector_stores": 0,
            "batches": 0,
        }
        for tenant, responses, size in sorted(stored)
    ]
    assert json.loads(out) == expected
    assert [entry["responses"] for entry in expected] == [4, 4], "what a deleted one leaves as a context counts"
    code, out, _ = await command("tenants", "list")
    headings, first = (line.split() for line in out.splitlines()[:2])
    assert headings == [name.upper() for name in expected[0]]
    assert first == [str(value) for value in expected[0].values()]


async def test_many_tenants_are_listed_page_by_page(kept, command, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.tenant_commands.commands.PAGE", 1)
    _, out, _ = await command("tenants", "list")
    assert [line.split()[0] for line in out.splitlines()] == ["TENANT", "team-a", "team-b"]


async def test_a_tenant_with_empty_conversations_alone_is_listed(service, command):
    async with client_of(service, "team-a") as client:
        await client.conversations.create()
    _, out, _ = await command("tenants", "list")
    assert out.splitlines()[1].split() == ["team-a", "0", "0", "1", "0", "0", "0", "0"]


@pytest.mark.parametrize(("page", "size"), [(500, 4_000_000), (1, 1), (2, 600)])
async def test_an_export_has_all_of_one_tenant_in_order(kept, command, monkeypatch, page, size):
    monkeypatch.setattr(export, "PAGE", page)
    monkeypatch.setattr(export, "MOST_BYTES", size)
    code, out, error = await command("tenants", "export", "team-a")
    assert (code, error) == (0, "")
    found = documents(out)
    kinds = [entry["kind"] for entry in found]
    assert kinds == ["response"] * 3 + ["conversation"] + ["conversation_item"] * 2
    responses, (conversation, *items) = [entry["document"] for entry in found[:3]], found[3:]
    assert [response["id"] for response in responses] == kept["team-a"]["responses"]
    assert [response["input"][0]["content"][0]["text"] for response in responses] == [
        f"team-a: {word}" for word in ("one", "three", "four")
    ]
    assert all(response["output"][0]["content"][0]["text"] for response in responses)
    assert responses[0]["status"] == "completed"
    assert conversation["document"]["id"] == kept["team-a"]["conversation"]
    assert conversation["document"]["metadata"] == {"of": "team-a"}
    assert [item["document"]["role"] for item in items] == ["user", "assistant"]
    assert {item["conversation_id"] for item in items} == {kept["team-a"]["conversation"]}
    assert "team-b" not in out
    assert kept["team-a"]["deleted"] not in [response["id"] for response in responses]


async def test_an_export_into_a_file_is_whole_or_not_there(kept, command, tmp_path, monkeypatch):
    file = tmp_path / "export.jsonl"
    code, out, _ = await command("tenants", "export", "team-a", "--output", str(file))
    assert (code, out) == (0, f"Wrote 6 documents of 'team-a' to {file}.")
    assert len(documents(file.read_text())) == 6
    assert file.stat().st_mode & 0o077 == 0, "it is for its owner alone"
    before = file.read_bytes()

    async def broken(*_):
        yield b'{"kind":"response"'
        raise export_failure

    export_failure = RuntimeError("the database went away")
    monkeypatch.setattr("tandem_orchestrator.tenant_commands.commands.lines", broken)
    with pytest.raises(type(export_failure)):
        await command("tenants", "export", "team-a", "--output", str(file))
    assert file.read_bytes() == before
    assert [each.name for each in tmp_path.glob("export*")] == ["export.jsonl"]


async def test_a_file_that_cannot_be_written_is_said(kept, command):
    code, _, error = await command("tenants", "export", "team-a", "--output", "/nowhere/export.jsonl")
    assert (code, error) == (1, "/nowhere/export.jsonl: No such file or directory\n")


async def test_a_purge_takes_all_of_one_tenant_and_nothing_else(kept, command, database, monkeypatch):
    monkeypatch.setattr(purge, "MOST_AT_ONCE", 1)
    other = await rows_of(database, "team-b")
    code, out, error = await command("tenants", "purge", "team-a", "--yes")
    assert (code, error) == (0, "")
    assert out.startswith(
        "Deleted of 'team-a': 4 responses (0 of them in the making, 0 rows of events), 1 conversation"
    )
    assert "API keys are not touched" in out
    assert set((await rows_of(database, "team-a")).values()) == {0}
    assert await rows_of(database, "team-b") == other
    code, _, error = await command("tenants", "purge", "team-a", "--yes")
    assert (code, error) == (1, "no tenant 'team-a' keeps anything in the database\n")


async def test_the_tenant_goes_on_after_a_purge(service, kept, command, database):
    assert (await command("tenants", "purge", "team-a", "--yes"))[0] == 0
    async with client_of(service, "team-a") as client:
        await keep(client, "team-a")
    _, out, _ = await command("tenants", "list", "--output", "json")
    counted = [entry["responses"] for entry in json.loads(out)]
    assert counted == [4, 4]


async def test_what_is_being_made_is_ended_and_leaves_nothing(service, engine, command, database, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.responses.background.LIFE_SECONDS", 0.2)
    engine.rule = lambda asked: Reply(
        "word " * 60, between_pieces=0.1, before_first_byte=0 if asked.get("stream") else 30
    )
    async with client_of(service, "team-a") as client, client_of(service, "team-b") as other:
        conversation = await client.conversations.create()
        await keep_quick(engine, other)
        before = await rows_of(database, "team-b")
        stream = await client.responses.create(
            model="double", input="a stream", stream=True, conversation=conversation.id
        )
        assert (await anext(stream)).type == "response.created"
        made = await client.responses.create(model="double", input="no client", background=True, stream=False)
        await until(lambda: engine.running == 2)
        await until_awaited(lambda: rows_of(database, "team-a"), lambda rows: rows["response_events"])
        code, out, error = await command("tenants", "purge", "team-a", "--yes")
        assert (code, error) == (0, "")
        assert "2 responses (2 of them in the making" in out
        last = [event async for event in stream][-1]
        assert (last.type, conversation.id in last.response.error.message) == ("response.failed", True)
        await until(lambda: engine.running == 0, 12)
        assert made.id
        assert set((await rows_of(database, "team-a")).values()) == {0}
        assert await rows_of(database, "team-b") == before


@pytest.fixture
def adding(monkeypatch, kept, url):
    """Has responses of team-a added while it is purged, just before some of its rows are deleted."""
    made = iter(range(100))

    def add(before, times: int, previous_id: str | None) -> None:
        left = [times]

        async def step(used, statement, tenant, blobs, run=purge._all):
            if statement is before and left[0]:
                left[0] -= 1
                number = next(made)
                row = Stored(tenant, f"resp_late{number}", previous_id, None, "completed", "{}", "[]", "[]")
                service = Database(Settings(url=url))  # in the command's own loop
                await Stores(service).responses.add(row)
                await service.close()
            return await run(used, statement, tenant, blobs)

        monkeypatch.setattr(purge, "_all", step)

    monkeypatch.setattr(purge, "PAUSE_SECONDS", 0)
    return add


async def test_what_continues_a_response_just_before_it_goes_goes_too(kept, adding, command, database, monkeypatch):
    monkeypatch.setattr(purge, "MOST_AT_ONCE", 1)
    adding(statements.DELETE_RESPONSES, 1, kept["team-a"]["responses"][0])
    code, out, _ = await command("tenants", "purge", "team-a", "--yes")
    assert (code, "5 responses" in out) == (0, True)
    assert set((await rows_of(database, "team-a")).values()) == {0}


async def test_what_keeps_coming_is_said(adding, command, database):
    adding(statements.FORGET, 100, None)
    code, _, error = await command("tenants", "purge", "team-a", "--yes")
    assert (code, error.splitlines()[-1]) == (1, "More is added all the time: revoke its keys, and purge it again")
    stored = await rows_of(database, "team-a")
    assert (stored["responses"], stored["stored"]) == (1, 1), "counts stay while they count something"


async def keep_quick(engine, client):
    """What the other tenant keeps, made at once."""
    slow, engine.rule = engine.rule, lambda _: Reply()
    await keep(client, "team-b")
    engine.rule = slow


async def test_without_a_terminal_a_purge_needs_a_word(kept, command, database, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    code, _, error = await command("tenants", "purge", "team-a")
    assert (code, error) == (1, "purge deletes for good, and there is no terminal to ask at; say --yes\n")
    assert (await rows_of(database, "team-a"))["responses"] == 4


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("\n", 4), ("", 4)])
async def test_at_a_terminal_it_asks(command, database, monkeypatch, answer, left):
    with terminal(answer) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        code, _, error = await command("tenants", "purge", "team-a")
    assert code == bool(left)
    assert error.startswith(
        "Delete 4 responses, 1 conversations, 0 files, 0 vector stores and 0 batches of 'team-a' for good? [y/N] "
    )
    assert ("nothing was deleted" in error) == bool(code)
    assert (await rows_of(database, "team-a"))["responses"] == left


@contextmanager
def terminal(answer: str):
    """The end of a terminal at which a program reads what a person types; "" for one who leaves."""
    keyboard, screen = pty.openpty()
    with open(screen) as stdin:  # noqa: PTH123
        os.write(keyboard, answer.encode() or b"\x04")
        yield stdin
    os.close(keyboard)


@pytest.mark.parametrize("action", ["export", "purge"])
async def test_an_unknown_tenant(command, service, action):
    code, out, error = await command("tenants", action, "nobody")
    assert (code, out, error) == (1, "", "no tenant 'nobody' keeps anything in the database\n")


@pytest.mark.parametrize("url", ["sqlite:///{}/tandem.db"])
async def test_no_database_is_made_for_a_question(command, tmp_path, url, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", url.format(tmp_path))
    assert (await command("tenants", "list", "--output", "json"))[:2] == (0, "[]")
    assert (await command("tenants", "export", "nobody"))[0] == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1:1/nowhere"])
@pytest.mark.parametrize("arguments", [("list",), ("export", "t"), ("purge", "t", "--yes")])
async def test_a_database_that_is_away_is_said(command, arguments):
    code, out, error = await command("tenants", *arguments)
    assert (code, out, error.startswith("the database cannot be used: Connect")) == (1, "", True)


async def test_the_program_itself(kept, url, tmp_path):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tandem_orchestrator.cli", "tenants", "export", "team-b"),
        env={"VLLM_URL": "http://engine", "DATABASE_URL": url, "PYTHONPATH": ":".join(sys.path)},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert (process.returncode, len(documents(out.decode()))) == (0, 6)
