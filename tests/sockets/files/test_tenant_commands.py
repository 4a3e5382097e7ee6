"""tandem-orchestrator tenants: files."""

import json

import pytest

from tests.sockets.files.kept import FolderKept
from tests.sockets.tenants.service import rows_of

TEXT = b"A tandem is a bicycle for two.\n"


@pytest.fixture
async def kept_files(client, other, kept, monkeypatch, command):
    """Two files of team-a with equal bytes, and an upload; one file of team-b. Commands know where they are."""
    if isinstance(kept, FolderKept):
        monkeypatch.setenv("TANDEM_FILES__FOLDER", kept.settings["folder"])
    else:
        monkeypatch.setenv("TANDEM_FILES__S3", json.dumps(kept.settings["s3"]))
    made = [await client.files.create(file=(f"{n}.txt", TEXT), purpose="user_data") for n in range(2)]
    upload = await client.uploads.create(bytes=9, filename="a.txt", mime_type="a/b", purpose="user_data")
    await client.uploads.parts.create(upload.id, data=b"part")
    await other.files.create(file=("b.txt", TEXT), purpose="user_data")
    return made


async def test_a_list_has_files(kept_files, command):
    _, out, _ = await command("tenants", "list", "--output", "json")
    assert [(entry["tenant"], entry["files"], entry["file_bytes"]) for entry in json.loads(out)] == [
        ("team-a", 2, 2 * len(TEXT) + 4),
        ("team-b", 1, len(TEXT)),
    ]


async def test_an_export_has_files_and_on_demand_their_contents(kept_files, command, tmp_path):
    code, out, _ = await command("tenants", "export", "team-a", "--files", str(tmp_path / "out"))
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert [(line["kind"], line["document"]["id"]) for line in lines] == [("file", file.id) for file in kept_files]
    for file in kept_files:
        assert (tmp_path / "out" / file.id).read_bytes() == TEXT


async def test_an_export_says_what_cannot_be_read(kept_files, command, tmp_path, kept):
    for key in kept.keys():  # noqa: SIM118 # it is no dictionary
        kept.damage(key)
    code, _, error = await command("tenants", "export", "team-a", "--files", str(tmp_path / "out"))
    assert code == 1
    told = [line.partition(":")[0] for line in error.splitlines() if line.startswith("file-")]
    assert told == [file.id for file in kept_files]
    assert not list((tmp_path / "out").iterdir())


async def test_a_purge_takes_rows_and_bytes(kept_files, command, kept, database):
    assert len(kept.keys()) == 3
    code, out, error = await command("tenants", "purge", "team-a", "--yes")
    assert (code, error) == (0, "")
    assert "2 files, 1 uploads" in out
    assert len(kept.keys()) == 1
    assert set((await rows_of(database, "team-a")).values()) == {0}
    assert (await rows_of(database, "team-b"))["files"] == 1


@pytest.mark.usefixtures("kept_files")
async def test_a_purge_that_cannot_reach_bytes_leaves_them_to_the_sweeper(
    command, kept, monkeypatch, sweeper, tmp_path
):
    (tmp_path / "file").write_text("")
    monkeypatch.delenv("TANDEM_FILES__S3", raising=False)
    monkeypatch.setenv("TANDEM_FILES__FOLDER", str(tmp_path / "file" / "folder"))
    code, out, _ = await command("tenants", "purge", "team-a", "--yes")
    assert (code, "sweeps them" in out) == (0, True)
    assert len(kept.keys()) == 3
    for _ in range(2):
        await sweeper.sweep_left(2**53)
    assert len(kept.keys()) == 1
