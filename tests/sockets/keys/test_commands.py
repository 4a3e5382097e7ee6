"""tandem-orchestrator keys and migrate, as a person runs them."""

import asyncio
import json
import re
import sys
from datetime import UTC, datetime, timedelta

import pytest

from tests.sockets.keys.service import ask, until_status
from tests.sockets.running import config_for


async def test_a_key_from_its_making_to_its_end(command, url, serve, engine):
    code, out, error = await command("migrate")
    assert (code, error) == (0, "")
    service = await serve(config_for(engine, database={"url": url}))
    terms = ("--models", "double,other", "--requests-per-minute", "60", "--expires-in", "30d")
    code, key, error = await command("keys", "create", "--tenant", "team-a", "--name", "alice", *terms)
    assert (code, key[:3], len(key)) == (0, "tk-", 46)
    assert "team-a" in error
    await until_status(service, key, 200)
    code, out, _ = await command("keys", "list", "--output", "json")
    (listed,) = json.loads(out)
    assert (listed["name"], listed["models"], listed["requestsPerMinute"]) == ("alice", ["double", "other"], 60)
    assert datetime.fromisoformat(listed["expires"]) - datetime.now(UTC) > timedelta(days=29)
    code, out, _ = await command("keys", "list", "--tenant", "team-a")
    assert out.splitlines()[1].split()[:5] == [listed["id"], f"{key[:10]}…", "team-a", "alice", "valid"]
    code, out, _ = await command("keys", "revoke", listed["id"])
    assert (code, "is revoked" in out) == (0, True)
    await until_status(service, key, 401)
    code, out, _ = await command("keys", "list")
    assert " revoked " in out
    assert key not in out


async def test_the_program_itself(tmp_path):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tandem_orchestrator.cli", "keys", "create", "--tenant", "t"),
        env={"VLLM_URL": "http://engine"},
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    out, _ = await process.communicate()
    assert re.fullmatch(rb"tk-[\w-]{43}\n", out)
    assert [file.name for file in tmp_path.iterdir()] == ["tandem.db"]


async def test_a_key_as_json(command, serve, engine, url):
    code, out, error = await command("keys", "create", "--tenant", "t", "--output", "json")
    assert (code, error) == (0, "")
    service = await serve(config_for(engine, database={"url": url}))
    assert await ask(service, json.loads(out)["key"]) == 200


@pytest.mark.parametrize("url", ["sqlite:////nowhere/tandem.db"])
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("create", "--tenant", "t", "--requests-per-minute", "0"), "--requests-per-minute: Input should be greater"),
        (("create", "--tenant", "t", "--expires-in", "soon"), "--expires-in: Value error, expected a time such as"),
        (("create", "--tenant", "t"), "the database cannot be used: OperationalError: unable to open database file"),
        (("list",), "the database cannot be used"),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_else(command, arguments, complaint):
    code, out, error = await command("keys", *arguments)
    assert (code, out) == (1, "")
    assert error.startswith(complaint)
    assert len(error.splitlines()) == 1


async def test_an_unknown_id(command):
    code, out, error = await command("keys", "revoke", "key-none")
    assert (code, out, error) == (1, "", "there is no key 'key-none' in the database\n")


@pytest.mark.parametrize("url", ["sqlite:////nowhere/tandem.db"])
async def test_check_reads_the_files_of_keys(command, tmp_path, monkeypatch):
    path = tmp_path / "keys.yaml"
    monkeypatch.setenv("TANDEM_KEYS__FILES", json.dumps([{"file": str(path)}]))
    path.write_text("- {key: tk-secret, requestsPerMinute: 0}")
    assert await command("check") == (
        1,
        "",
        f"keys.files: {path}: key 1: requestsPerMinute: Input should be greater than or equal to 1\n",
    )
    path.write_text("- {key: tk-secret}")
    assert (await command("check"))[0] == 0
