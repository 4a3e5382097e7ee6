"""What the sweeper finds: all that a process leaves that ends at any step."""

import asyncio
import time

import pytest
from tandem_orchestrator.errors import DatabaseDown
from tandem_orchestrator.files.store import new_file
from tandem_orchestrator.files.sweeper import LEASE, Sweeper
from tandem_orchestrator.files.terms import Terms
from tandem_orchestrator.store.leases import Leases
from tandem_orchestrator.store.page import Page

from tests.sockets.files.raw import END, PURPOSE, part, posted

TEXT = b"A tandem is a bicycle for two.\n"
FORM = PURPOSE + part("file", TEXT, filename="a.txt") + END
FUTURE = 2**53


class Killed(BaseException):
    """The process ends here: nothing that comes after is done."""


async def chunks(data: bytes = TEXT):
    yield data


async def added(filing, data: bytes = TEXT, expires: int | None = None):
    return await filing.files.add("team-a", "a.txt", "user_data", chunks(data), expires)


async def swept_all(sweeper, monkeypatch) -> None:
    """Sweeps as if a day had passed."""
    monkeypatch.setattr("tandem_orchestrator.files.sweeper.UNUSED_MS", -FUTURE)
    await sweeper.sweep()
    await sweeper.sweep_left(FUTURE)
    await sweeper.sweep_left(FUTURE)


async def test_files_that_have_expired(filing, kept, sweeper, monkeypatch):
    gone = []
    filing.files.on_deleted.append(lambda *names: gone.append(names))
    late = await added(filing, expires=1)
    kept_on = await added(filing, b"other", expires=int(time.time() * 1000) + 60_000)
    assert not [chunk async for chunk in _page(filing) if chunk == late.id], "nobody sees it any more"
    assert (await sweeper.sweep())["files"] == 1
    assert gone == [("team-a", late.id)]
    assert len(kept.keys()) == 2, "its bytes have only just been used"
    monkeypatch.setattr("tandem_orchestrator.files.sweeper.UNUSED_MS", -1000)
    assert (await sweeper.sweep())["blobs"] == 1
    assert kept.keys() == {(await filing.files.get("team-a", kept_on.id)).key}


async def _page(filing):
    found, _ = await filing.files.page("team-a", "", Page("", 100, "asc"))
    for file in found:
        yield file.id


async def test_files_that_are_older_than_they_may_be(filing, sweeper, files_config):
    file = await added(filing)
    sweeper.update(files_config(retentionDays=1))
    assert (await sweeper.sweep())["files"] == 0
    async with filing.database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE tandem_files SET created = 1")
    assert (await sweeper.sweep())["files"] == 1
    with pytest.raises(Exception, match=file.id):
        await filing.files.get("team-a", file.id)


async def test_bytes_without_a_row(filing, kept, sweeper):
    await added(filing)
    (known,) = kept.keys()
    owner, tenant, _ = known.split("/")
    kept.put(f"{owner}/{tenant}/{'0' * 32}", b"left")
    kept.put(foreign := f"{'f' * 16}/{tenant}/{'0' * 32}", b"another database's")
    hour_ago = int(time.time() * 1000) - 3_600_000
    for _ in range(2):
        assert await sweeper.sweep_left(hour_ago) == 0, "they are not old enough"
    assert await sweeper.sweep_left(FUTURE) == 0, "it may be that a row is just being written"
    assert await sweeper.sweep_left(FUTURE) == 1
    assert kept.keys() == {known, foreign}


async def test_a_row_that_comes_between_two_looks(filing, kept, sweeper):
    """A server of S3 may say of bytes that have just come that they are old."""
    blob = await filing.files.blobs.write("team-a", chunks(), await filing.files.room("team-a"))
    await sweeper.sweep_left(FUTURE)
    await filing.files.keep(blob, new_file("team-a", blob, Terms("a", "user_data", None)))
    assert await sweeper.sweep_left(FUTURE) == 0
    assert kept.keys() == {blob.key}


async def test_it_looks_for_bytes_every_hour(filing, kept, sweeper, monkeypatch):
    await added(filing)
    (known,) = kept.keys()
    kept.put(known[:-32] + "0" * 32, b"left")
    monkeypatch.setattr("tandem_orchestrator.files.sweeper.LEFT_MS", -FUTURE)
    assert (await sweeper.sweep())["bytes"] == 0
    assert (await sweeper.sweep())["bytes"] == 1
    assert kept.keys() == {known}


STEPS = ("before bytes", "within bytes", "between bytes and rows", "after rows", "before equal bytes go")


@pytest.mark.parametrize("step", STEPS)
async def test_a_process_that_ends_while_a_file_is_added(filing, kept, sweeper, monkeypatch, step):
    first = await added(filing, b"first")
    if step == "before equal bytes go":
        await added(filing)
    _kill(filing, monkeypatch, step)
    with pytest.raises(Killed):
        await added(filing)
    monkeypatch.undo()
    await swept_all(sweeper, monkeypatch)
    whole = [file_id async for file_id in _page(filing)]
    expected = {"after rows": 2, "before equal bytes go": 3}.get(step, 1)
    assert len(whole) == expected
    assert len(kept.keys()) == min(expected, 2), "nothing is left that no file has"
    for file_id in whole:
        assert b"".join([chunk async for chunk in filing.files.read("team-a", file_id)]) in (b"first", TEXT)
    assert first.id in whole


def _kill(filing, monkeypatch, step: str) -> None:
    """Has the process end at a step of adding a file; what would clean up is not run either."""
    storage, database = filing.storage, filing.database

    async def nothing(*_):
        raise Killed

    write, commit = storage.write, database.write

    async def write_whole(key, data):
        await write(key, data)
        raise Killed

    async def write_some(key, data):
        await write(key, chunks(b"a part of it"))
        raise Killed

    async def commit_and_end(job):
        await commit(job)
        raise Killed

    match step:
        case "before bytes":
            monkeypatch.setattr(storage, "write", nothing)
        case "within bytes":
            monkeypatch.setattr(storage, "write", write_some)
        case "between bytes and rows":
            monkeypatch.setattr(storage, "write", write_whole)
        case "after rows":
            monkeypatch.setattr(database, "write", commit_and_end)
        case _:
            monkeypatch.setattr(storage, "delete", nothing)


@pytest.mark.parametrize("step", ["within bytes", "between bytes and rows", "after rows", "before parts go"])
async def test_a_process_that_ends_while_an_upload_is_completed(filing, kept, sweeper, monkeypatch, step):
    uploads = filing.uploads
    begun = await uploads.create("team-a", Terms("a", "user_data", None), len(TEXT))
    blob = await filing.files.blobs.write("team-a", chunks(), await filing.files.room("team-a"))
    named = (await uploads.add_part("team-a", begun["id"], blob))["id"]
    _kill(filing, monkeypatch, step)
    with pytest.raises(Killed):
        await uploads.complete("team-a", begun["id"], [named], None)
    monkeypatch.undo()
    done = step in ("after rows", "before parts go")
    if not done:  # its client tries again
        await uploads.complete("team-a", begun["id"], [named], None)
    await swept_all(sweeper, monkeypatch)
    (file_id,) = [file_id async for file_id in _page(filing)]
    assert b"".join([chunk async for chunk in filing.files.read("team-a", file_id)]) == TEXT
    assert len(kept.keys()) == 1


async def test_a_process_that_ends_while_it_sweeps(filing, kept, sweeper, monkeypatch):
    file = await added(filing)
    await filing.files.delete("team-a", file.id)
    monkeypatch.setattr("tandem_orchestrator.files.sweeper.UNUSED_MS", -1000)
    _kill(filing, monkeypatch, "between row and bytes")
    with pytest.raises(Killed):
        await sweeper.sweep()
    monkeypatch.undo()
    assert kept.keys()
    await swept_all(sweeper, monkeypatch)
    assert not kept.keys()


async def test_a_commit_of_which_nothing_is_heard(orchestrator, client, kept, sweeper, monkeypatch):
    """The client hears of a failure; the file may be there all the same, and then it is whole."""
    database = orchestrator.app.services.filing.database
    commit = database.write

    async def silent(job):
        await commit(job)
        raise DatabaseDown("the connection broke", retry_after=1)

    monkeypatch.setattr(database, "write", silent)
    status, _ = await posted(orchestrator, FORM)
    assert status == 503
    monkeypatch.undo()
    await swept_all(sweeper, monkeypatch)
    (file,) = (await client.files.list()).data
    assert (await client.files.content(file.id)).content == TEXT


async def test_one_process_sweeps_at_a_time(filing, sweeper, files_config, database, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.files.sweeper.SWEEP_SECONDS", 0.01)
    await added(filing, expires=1)
    holder = Leases(database)
    assert await holder.hold(LEASE, 60_000)
    second = Sweeper(files_config(), filing, Leases(database))
    swept = asyncio.Event()
    filing.files.on_deleted.append(lambda *_: swept.set())
    watching = asyncio.create_task(second.watch())
    asked = second._leases.hold
    tries = []

    async def hold(*arguments):
        tries.append(await asked(*arguments))
        return tries[-1]

    monkeypatch.setattr(second._leases, "hold", hold)
    try:
        async with asyncio.timeout(10):
            while len(tries) < 3:  # noqa: ASYNC110 # what is waited for lies in other hands
                await asyncio.sleep(0.01)
            assert not any(tries)
            assert not swept.is_set()
            await holder.let_go(LEASE)
            await swept.wait()
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
