"""What is kept of files: once each, for their tenant alone, checked, and as long as it may."""

import asyncio
from contextlib import suppress

import openai
import pytest
from tandem_contract.config import Database as DatabaseSettings
from tandem_orchestrator.files.filing import Filing
from tandem_orchestrator.observability.metrics import FILES_DAMAGED
from tandem_orchestrator.store.database import Conflict, Database

from tests.sockets.files.raw import END, PURPOSE, part, posted
from tests.sockets.running import until

TEXT = b"A tandem is a bicycle for two.\n"
FORM = PURPOSE + part("file", TEXT, filename="a.txt") + END


async def made(client, data: bytes = TEXT, name: str = "a.txt"):
    return await client.files.create(file=(name, data), purpose="user_data")


async def test_others_do_not_see_it(client, other):
    file = await made(client)
    upload = await client.uploads.create(bytes=9, filename="a", mime_type="a/b", purpose="user_data")
    assert not (await other.files.list()).data
    for ask in (
        other.files.retrieve(file.id),
        other.files.content(file.id),
        other.files.delete(file.id),
        other.uploads.cancel(upload.id),
        other.uploads.complete(upload.id, part_ids=["part_x"]),
        other.uploads.parts.create(upload.id, data=b"x"),
    ):
        with pytest.raises(openai.NotFoundError):
            await ask
    assert (await client.files.retrieve(file.id)).id == file.id


async def test_equal_bytes_are_kept_once_for_each_tenant(client, other, kept):
    first, second = await made(client), await made(client, name="b.txt")
    await made(other)
    assert len(kept.keys()) == 2
    await client.files.delete(first.id)
    assert (await client.files.content(second.id)).content == TEXT


async def test_many_equal_ones_at_once(client, kept, sweeper):
    files = await asyncio.gather(*(made(client) for _ in range(8)), *(sweeper.sweep() for _ in range(4)))
    assert len(kept.keys()) == 1
    for file in files[:8]:
        assert (await client.files.content(file.id)).content == TEXT


async def test_equal_ones_come_and_go_while_it_is_swept(client, kept, sweeper, monkeypatch):
    """Whatever the order: what can be read is whole, and at last there is nothing."""
    monkeypatch.setattr("tandem_orchestrator.files.sweeper.UNUSED_MS", -1000)  # at once

    async def come_and_go():
        for _ in range(5):
            file = await made(client)
            assert (await client.files.content(file.id)).content == TEXT
            await client.files.delete(file.id)

    ending = asyncio.Event()

    async def sweep():
        while not ending.is_set():
            with suppress(Conflict):  # bytes came to be used at this moment
                await sweeper.sweep()

    sweeping = asyncio.create_task(sweep())
    await asyncio.gather(*(come_and_go() for _ in range(3)))
    ending.set()
    await sweeping
    await sweeper.sweep()
    assert not kept.keys()


@pytest.mark.parametrize("size", [31, 3_000_000])
async def test_damaged_bytes_do_not_look_like_a_file(client, kept, size):
    before = FILES_DAMAGED._value.get()
    file = await made(client, b"x" * size)
    (key,) = kept.keys()
    kept.damage(key)
    expected = openai.InternalServerError if size < 100 else openai.APIConnectionError  # once some of it was sent
    with pytest.raises(expected) as caught:
        await client.files.content(file.id)
    assert caught.value.code == ("file_damaged" if size < 100 else None)
    assert FILES_DAMAGED._value.get() == before + 1


async def test_a_file_whose_bytes_are_missing(client, kept, filing):
    file = await made(client)
    await filing.storage.delete(list(kept.keys()))
    with pytest.raises(openai.InternalServerError) as caught:
        await client.files.content(file.id)
    assert caught.value.code == "file_damaged"


async def test_bytes_that_are_lost_are_mended_by_equal_ones(client, kept, filing):
    file = await made(client)
    await filing.storage.delete(list(kept.keys()))
    again = await made(client)
    for each in (file, again):
        assert (await client.files.content(each.id)).content == TEXT
    assert len(kept.keys()) == 1


@pytest.mark.parametrize(("quota", "fits"), [({"files": 2}, 2), ({"bytes": 70}, 2)])
async def test_quotas(start, client_of, kept, quota, fits):
    orchestrator = await start({"quota": quota})
    client, other = await client_of(orchestrator), await client_of(orchestrator, "key-b")
    files = [await made(client, TEXT + b"%d" % n) for n in range(fits)]
    with pytest.raises(openai.PermissionDeniedError) as caught:
        await made(client)
    assert caught.value.code == "storage_quota_exceeded"
    assert len(kept.keys()) == fits, "nothing is left of what was refused"
    await made(other)
    await client.files.delete(files[0].id)
    await made(client, b"short")


async def test_files_at_once_do_not_exceed_a_quota(start, kept):
    orchestrator = await start({"quota": {"files": 3}})
    answers = await asyncio.gather(*(posted(orchestrator, FORM) for _ in range(10)))
    assert sorted(status for status, _ in answers) == [200] * 3 + [403] * 7
    codes = {found["error"]["code"] for status, found in answers if status == 403}
    assert codes == {"storage_quota_exceeded"}
    assert len(kept.keys()) == 1


async def test_parts_count_until_they_are_a_file_or_gone(start, client_of):
    orchestrator = await start({"quota": {"bytes": 100}})
    client = await client_of(orchestrator)
    upload = await client.uploads.create(bytes=60, filename="a", mime_type="a/b", purpose="user_data")
    part = await client.uploads.parts.create(upload.id, data=b"x" * 60)
    for again in (client.uploads.parts.create(upload.id, data=b"x" * 60), made(client, b"x" * 60)):
        with pytest.raises(openai.PermissionDeniedError):
            await again
    with pytest.raises(openai.PermissionDeniedError):
        await client.uploads.create(bytes=60, filename="a", mime_type="a/b", purpose="user_data")
    done = await client.uploads.complete(upload.id, part_ids=[part.id])
    await made(client, b"x" * 40)
    await client.files.delete(done.file.id)
    await made(client, b"x" * 60)


async def test_where_nothing_keeps_files(start, url, client_of):
    if url.startswith("sqlite"):
        pytest.skip("SQLite has a folder beside it")
    orchestrator = await start(files={"s3": None})
    client = await client_of(orchestrator)
    with pytest.raises(openai.InternalServerError) as caught:
        await made(client)
    assert (caught.value.status_code, caught.value.code) == (503, "files_not_configured")
    assert "files.folder or files.s3" in caught.value.message
    assert not (await client.files.list()).data


async def test_a_folder_that_cannot_be_written(start, client_of, tmp_path):
    (tmp_path / "file").write_text("")
    orchestrator = await start(files={"folder": str(tmp_path / "file" / "folder"), "s3": None})
    client = await client_of(orchestrator)
    with pytest.raises(openai.InternalServerError) as caught:
        await made(client)
    assert (caught.value.status_code, caught.value.code) == (503, "files_unavailable")
    _, health = await orchestrator.get("/health", authorization="Bearer key-a")
    assert [line for line in health["problems"] if line.startswith("files: the folder for files")]


async def test_a_full_disk(client, kept, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    if "s3" in kept.settings:
        pytest.skip("a bucket is never full")
    monkeypatch.setattr("tandem_orchestrator.files.folder._finish", full)
    with pytest.raises(openai.InternalServerError) as caught:
        await made(client)
    assert (caught.value.status_code, caught.value.code) == (507, "storage_full")
    assert not kept.keys()


async def test_a_bucket_that_is_away(start, client_of, url, s3_server):
    if url.startswith("sqlite"):
        pytest.skip("it is in a folder")
    away = s3_server.settings(endpoint="http://127.0.0.1:1")
    orchestrator = await start(files={"s3": away})
    client = await client_of(orchestrator)
    with pytest.raises(openai.InternalServerError) as caught:
        await made(client)
    assert (caught.value.status_code, caught.value.code) == (503, "files_unavailable")
    assert "secret" not in caught.value.message
    await until(lambda: orchestrator.app.services.filing.storage.problems)


async def test_settings_are_taken_while_it_runs(orchestrator, client, tmp_path):
    await made(client)
    config = orchestrator.config.model_copy(deep=True)
    config.files.s3, config.files.folder, config.files.max_bytes = None, str(tmp_path / "other"), 10
    orchestrator.app.reload(config)
    with pytest.raises(openai.APIStatusError) as caught:
        await made(client)
    assert caught.value.status_code == 413
    file = await made(client, b"short")
    assert (await client.files.content(file.id)).content == b"short"
    assert len([path for path in (tmp_path / "other").rglob("*") if path.is_file()]) == 1


async def test_the_folder_beside_sqlite_is_made_when_it_is_needed(start, client_of, tmp_path, url, monkeypatch):
    if not url.startswith("sqlite"):
        pytest.skip("it is SQLite's")
    monkeypatch.chdir(tmp_path)
    orchestrator = await start(files={"folder": None})
    assert not (tmp_path / "tandem-files").exists()
    await made(await client_of(orchestrator))
    assert (tmp_path / "tandem-files").is_dir()


async def test_what_other_parts_use(filing: Filing, kept):
    async def chunks():
        for _ in range(3):
            yield b"chunk"

    file = await filing.files.add("team-a", "../a.txt", "batch_output", chunks(), expires=None)
    assert (file.filename, file.bytes, file.purpose) == ("a.txt", 15, "batch_output")
    assert await filing.files.get("team-a", file.id) == file
    assert [chunk async for chunk in filing.files.read("team-a", file.id)] == [b"chunk" * 3]
    async with filing.files.local("team-a", file.id) as path:
        assert path.read_bytes() == b"chunk" * 3
    gone = []
    filing.files.on_deleted.append(lambda *names: gone.append(names))
    await filing.files.delete("team-a", file.id)
    assert gone == [("team-a", file.id)]
    if "s3" in kept.settings:
        assert not path.exists(), "it was a copy"


async def test_another_database_does_not_share_keys(filing, files_config, tmp_path):
    other = Database(DatabaseSettings(url=f"sqlite:///{tmp_path}/other.db"))
    second = Filing(files_config(), other)
    assert await filing.files.blobs.owner() != await second.files.blobs.owner()
    await second.storage.close()
    await other.close()
