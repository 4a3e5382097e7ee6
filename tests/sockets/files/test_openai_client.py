"""The `openai` package, unchanged: /v1/files and /v1/uploads."""

import hashlib
import os
import time

import openai
import pytest

TEXT = b"A tandem is a bicycle for two.\n"
LINES = b'{"a": 1}\n'


async def text_of(client, file_id: str) -> bytes:
    return (await client.files.content(file_id)).content


async def test_a_file(client):
    before = int(time.time())
    file = await client.files.create(file=("tandem.txt", TEXT), purpose="assistants")
    assert file.id.startswith("file-")
    assert (file.object, file.bytes, file.filename, file.purpose) == ("file", len(TEXT), "tandem.txt", "assistants")
    assert (file.status, file.status_details, file.expires_at) == ("processed", None, None)
    assert before <= file.created_at <= time.time()
    assert await client.files.retrieve(file.id) == file
    assert await client.files.wait_for_processing(file.id) == file
    content = await client.files.content(file.id)
    assert content.content == TEXT
    assert content.response.headers["content-disposition"] == "attachment; filename*=utf-8''tandem.txt"
    deleted = await client.files.delete(file.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (file.id, True, "file")
    for ask in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(openai.NotFoundError) as caught:
            await ask(file.id)
        assert caught.value.code == "file_not_found"


@pytest.mark.parametrize(
    ("purpose", "name"),
    [
        ("assistants", "a.pdf"),
        ("batch", "a.jsonl"),
        ("user_data", "a"),
        ("vision", "a.PNG"),
        ("fine-tune", "a.jsonl"),
        ("evals", "a.jsonl"),
    ],
)
async def test_purposes(client, purpose, name):
    file = await client.files.create(file=(name, LINES), purpose=purpose)
    assert (file.purpose, file.filename) == (purpose, name)
    assert [listed.id async for listed in client.files.list(purpose=purpose)] == [file.id]


@pytest.mark.parametrize(
    ("purpose", "name", "code"),
    [
        ("batch", "a.txt", "unsupported_file"),
        ("vision", "a.exe", "unsupported_file"),
        ("nothing", "a.txt", "invalid_purpose"),
    ],
)
async def test_a_file_that_cannot_have_its_purpose(client, kept, purpose, name, code):
    with pytest.raises(openai.BadRequestError) as caught:
        await client.files.create(file=(name, LINES), purpose=purpose)
    assert caught.value.code == code
    assert not kept.keys(), "nothing is left of it"


async def test_a_file_that_expires(client):
    after = {"anchor": "created_at", "seconds": 3600}
    file = await client.files.create(file=("a.txt", TEXT), purpose="user_data", expires_after=after)
    assert file.expires_at == file.created_at + 3600
    batch = await client.files.create(file=("a.jsonl", LINES), purpose="batch")
    assert batch.expires_at == batch.created_at + 30 * 86400, "as at OpenAI"
    for wrong in ({"anchor": "created_at", "seconds": 3599}, {"anchor": "last_active_at", "seconds": 3600}):
        with pytest.raises(openai.BadRequestError, match="expires_after"):
            await client.files.create(file=("a.txt", TEXT), purpose="user_data", expires_after=wrong)


async def test_lists_in_pages(client):
    made = [await client.files.create(file=(f"{n}.txt", TEXT), purpose="user_data") for n in range(5)]
    ids = [file.id for file in made]
    assert [file.id async for file in client.files.list()] == ids[::-1]
    assert [file.id async for file in client.files.list(limit=2, order="asc")] == ids, "it follows the pages"
    page = await client.files.list(limit=2, after=ids[4])
    assert ([file.id for file in page.data], page.has_more) == ([ids[3], ids[2]], True)
    assert not (await client.files.list(purpose="vision")).data
    for wrong in ({"limit": 0}, {"limit": 10_001}, {"order": "up"}):
        with pytest.raises(openai.UnprocessableEntityError):
            await client.files.list(**wrong)


async def test_content_in_a_stream(client, tmp_path):
    data = os.urandom(3_000_000)
    file = await client.files.create(file=("data.bin", data), purpose="user_data")
    async with client.files.with_streaming_response.content(file.id) as response:
        assert response.headers["content-length"] == str(len(data))
        assert b"".join([chunk async for chunk in response.iter_bytes(65536)]) == data
    content = await client.files.content(file.id)
    content.write_to_file(tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == data


async def test_a_file_from_disk(client, tmp_path):
    path = tmp_path / "größe 1.txt"
    path.write_bytes(TEXT)
    file = await client.files.create(file=path, purpose="user_data")
    assert file.filename == "größe 1.txt"


async def test_an_upload(client):
    data = os.urandom(3_000_000)
    upload = await client.uploads.create(
        bytes=len(data), filename="data.bin", mime_type="application/octet-stream", purpose="user_data"
    )
    assert (upload.object, upload.status, upload.file, upload.bytes) == ("upload", "pending", None, len(data))
    assert upload.expires_at == upload.created_at + 3600
    second = await client.uploads.parts.create(upload.id, data=data[2_000_000:])
    first = await client.uploads.parts.create(upload.id, data=data[:2_000_000])
    assert (first.object, first.upload_id) == ("upload.part", upload.id)
    md5 = hashlib.md5(data).hexdigest()
    done = await client.uploads.complete(upload.id, part_ids=[first.id, second.id], md5=md5)
    assert (done.status, done.file.bytes, done.file.filename) == ("completed", len(data), "data.bin")
    assert await text_of(client, done.file.id) == data
    assert await client.files.retrieve(done.file.id) == done.file


async def test_an_upload_that_is_cancelled(client, kept):
    upload = await client.uploads.create(bytes=9, filename="a.txt", mime_type="text/plain", purpose="assistants")
    await client.uploads.parts.create(upload.id, data=TEXT)
    assert kept.keys()
    assert (await client.uploads.cancel(upload.id)).status == "cancelled"
    assert not kept.keys()
    with pytest.raises(openai.BadRequestError) as caught:
        await client.uploads.parts.create(upload.id, data=TEXT)
    assert caught.value.code == "upload_not_pending"


async def test_an_upload_in_chunks(client, tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(data := os.urandom(1_000_000))
    done = await client.uploads.upload_file_chunked(
        file=path, mime_type="application/octet-stream", purpose="user_data", part_size=300_000
    )
    assert await text_of(client, done.file.id) == data
    after = {"anchor": "created_at", "seconds": 7200}
    upload = await client.uploads.create(
        bytes=len(TEXT), filename="b.txt", mime_type="text/plain", purpose="user_data", expires_after=after
    )
    part = await client.uploads.parts.create(upload.id, data=TEXT)
    done = await client.uploads.complete(upload.id, part_ids=[part.id])
    assert done.file.expires_at == done.file.created_at + 7200
