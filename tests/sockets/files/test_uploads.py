"""Uploads in parts that do not go as they should."""

import asyncio

import openai
import pytest

from tests.sockets.files.raw import END, part, posted

DATA = b"0123456789"


async def begun(client, size: int = len(DATA), **fields):
    given = {"filename": "a.txt", "mime_type": "text/plain", "purpose": "user_data", **fields}
    return await client.uploads.create(bytes=size, **given)


async def added(client, upload, *parts: bytes) -> list[str]:
    return [(await client.uploads.parts.create(upload.id, data=data)).id for data in parts]


async def refused(asking) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        await asking
    return caught.value


async def test_parts_in_the_order_that_is_named(client):
    upload = await begun(client)
    ids = await added(client, upload, DATA[5:], DATA[:2], DATA[2:5])
    done = await client.uploads.complete(upload.id, part_ids=[ids[1], ids[2], ids[0]])
    assert (await client.files.content(done.file.id)).content == DATA


async def test_a_part_that_is_not_named_is_left_out(client, kept):
    upload = await begun(client)
    ids = await added(client, upload, DATA, b"a mistake")
    done = await client.uploads.complete(upload.id, part_ids=ids[:1])
    assert (await client.files.content(done.file.id)).content == DATA
    assert len(kept.keys()) == 1


@pytest.mark.parametrize("case", ["missing", "twice", "another upload's", "none", "not a list", "not an id"])
async def test_parts_that_cannot_be(client, case):
    upload, other = await begun(client), await begun(client)
    ids = await added(client, upload, DATA)
    foreign = await added(client, other, DATA)
    named = {
        "missing": ["part_0"],
        "twice": ids * 2,
        "another upload's": foreign,
        "none": [],
        "not a list": "x",
        "not an id": [{}],
    }[case]
    body = {"part_ids": named}
    error = await refused(client.post(f"/uploads/{upload.id}/complete", body=body, cast_to=object))
    assert error.status_code == 400
    assert str(error.param).startswith("part_ids")
    done = await client.uploads.complete(upload.id, part_ids=ids)
    assert done.status == "completed", "it goes on after a mistake"


@pytest.mark.parametrize("size", [9, 11])
async def test_sizes_that_do_not_match(client, size):
    upload = await begun(client, size)
    error = await refused(client.uploads.complete(upload.id, part_ids=await added(client, upload, DATA)))
    assert (error.status_code, error.code) == (400, "size_mismatch")


async def test_a_checksum_that_does_not_match(client, kept):
    upload = await begun(client)
    ids = await added(client, upload, DATA)
    error = await refused(client.uploads.complete(upload.id, part_ids=ids, md5="0" * 32))
    assert (error.status_code, error.code) == (400, "checksum_mismatch")
    assert len(kept.keys()) == 1, "the part alone"
    assert not (await client.files.list()).data


async def test_completed_twice_at_once(client, kept):
    upload = await begun(client)
    ids = await added(client, upload, DATA[:5], DATA[5:])
    asked = [client.uploads.complete(upload.id, part_ids=ids) for _ in range(4)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    errors = [each.code for each in found if isinstance(each, openai.BadRequestError)]
    assert errors == ["upload_not_pending"] * 3
    (file,) = (await client.files.list()).data
    assert [each.file.id for each in found if not isinstance(each, BaseException)] == [file.id]
    assert (await client.files.content(file.id)).content == DATA
    assert len(kept.keys()) == 1


async def test_a_part_that_is_too_large(client, orchestrator, kept, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.files.uploads.MOST_PART_BYTES", 5)
    upload = await begun(client)
    error = await refused(client.uploads.parts.create(upload.id, data=DATA))
    assert (error.status_code, error.code) == (413, "request_too_large")
    body = part("data", DATA, filename="x") + part("data", DATA, filename="x") + END
    assert (await posted(orchestrator, body, path=f"/v1/uploads/{upload.id}/parts"))[0] == 413
    assert not kept.keys()


async def test_an_upload_that_is_too_large(start, client_of):
    client = await client_of(await start({"maxBytes": 9}))
    error = await refused(begun(client))
    assert (error.status_code, error.code) == (413, "request_too_large")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"size": 0}, "bytes"),
        ({"size": "9"}, "bytes"),
        ({"filename": ""}, "filename"),
        ({"mime_type": 1}, "mime_type"),
        ({"purpose": "x"}, "purpose"),
        ({"purpose": "batch"}, "file"),
        ({"expires_after": {"anchor": "created_at", "seconds": 1}}, "expires_after.seconds"),
    ],
)
async def test_what_cannot_be_begun(client, fields, param):
    error = await refused(begun(client, **fields))
    assert (error.status_code, error.param) == (400, param)


async def test_an_upload_that_has_expired(client, kept, sweeper, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.files.uploads.LIFE_MS", -1)
    upload = await begun(client)
    assert upload.status == "expired"
    for asking in (
        client.uploads.parts.create(upload.id, data=DATA),
        client.uploads.complete(upload.id, part_ids=["part_x"]),
        client.uploads.cancel(upload.id),
    ):
        error = await refused(asking)
        assert (error.code, "expired" in error.message) == ("upload_not_pending", True)
    swept = await sweeper.sweep()
    assert swept["uploads"] == 0, "it is told apart from one that never was for a day"


async def test_parts_of_an_upload_that_expires_are_swept(client, kept, sweeper, filing):
    upload = await begun(client)
    await added(client, upload, DATA)
    async with filing.database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE tandem_uploads SET expires = 1")
    swept = await sweeper.sweep()
    assert (swept["parts"], swept["uploads"]) == (1, 1)
    assert not kept.keys()
    async with filing.database.transaction() as connection:
        counts = await connection.exec_driver_sql("SELECT files, bytes FROM tandem_stored_files")
        assert [tuple(row) for row in counts] == [(0, 0)]
