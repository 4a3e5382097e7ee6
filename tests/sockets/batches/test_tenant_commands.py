"""What a person does to a tenant's batches from the command line."""

import json

import pytest

from tests.engine_double import Reply
from tests.sockets.batches.asking import begun, client_of, config, ended, jsonl, lines
from tests.sockets.responses_state.kept import query
from tests.sockets.running import until

pytestmark = pytest.mark.usefixtures("brisk")


@pytest.fixture
async def server(serve, engine, url, tmp_path, monkeypatch):
    folder = str(tmp_path / "files")
    monkeypatch.setenv("TANDEM_FILES__FOLDER", folder)
    return await serve(config(engine, url, folder, keys={"values": ["a:key-of-a", "b:key-of-b"]}))


async def test_list_export_and_purge(server, engine, command, database):
    async with client_of(server, "key-of-a") as a, client_of(server, "key-of-b") as b:
        mine = await ended(a, (await begun(a, jsonl(lines(2)))).id)
        engine.rule = lambda _: Reply(before_first_byte=60)
        await begun(a, jsonl(lines(300)))
        await until(lambda: engine.running > 0)
        code, out, _ = await command("tenants", "list", "--output", "json")
        assert (code, [entry["batches"] for entry in json.loads(out)]) == (0, [2])
        code, out, _ = await command("tenants", "export", "a")
        documents = [json.loads(line) for line in out.splitlines()]
        first, second = [each["document"] for each in documents if each["kind"] == "batch"]
        assert first == (await a.batches.with_raw_response.retrieve(mine.id)).http_response.json()
        assert second["status"] == "in_progress"
        code, out, error = await command("tenants", "purge", "a", "--yes")
        assert (code, error) == (0, "")
        assert "2 batches" in out
        await until(lambda: engine.running == 0)
        for table in ("tandem_batches", "tandem_batch_spans", "tandem_batch_outcomes"):
            assert await query(database, f"SELECT 1 FROM {table}") == []
        engine.rule = lambda _: Reply()
        assert (await ended(b, (await begun(b, jsonl(lines(2)))).id)).status == "completed"
