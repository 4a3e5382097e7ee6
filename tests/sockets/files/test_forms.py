"""Forms as nobody's library sends them: each has its end, and none leaves anything."""

import asyncio

import pytest

from tests.sockets.files.raw import BOUNDARY, END, PURPOSE, answer, connection, head, part, posted
from tests.sockets.running import until

FILE = part("file", b"content", filename="a.txt")
MANY = b"".join(part(f"f{n}", b"") for n in range(10_000))

REFUSED = {
    "no fields": (END, "file"),
    "no file": (PURPOSE + END, "file"),
    "an empty file": (part("file", b"", filename="a.txt") + PURPOSE + END, "empty_file"),
    "no purpose": (FILE + END, "invalid_purpose"),
    "two files": (FILE + FILE + PURPOSE + END, "invalid_form"),
    "two purposes": (PURPOSE + PURPOSE + FILE + END, "invalid_form"),
    "two purposes around the file": (PURPOSE + FILE + PURPOSE + END, "invalid_form"),
    "no end": (PURPOSE + FILE, "invalid_form"),
    "an end without a file's": (PURPOSE + FILE[:-2], "invalid_form"),
    "nothing": (b"", "invalid_form"),
    "another boundary": (b"--other\r\n\r\n", "invalid_form"),
    "no form": (b"\x00" * 1000, "invalid_form"),
    "many headers": (part("file", b"x", headers="a: b\r\n" * 100) + PURPOSE + END, "invalid_form"),
    "a long header": (part("file", b"x", headers="a: " + "b" * 50_000 + "\r\n") + PURPOSE + END, "invalid_form"),
    "a long name of a header": (part("file", b"x", headers="a" * 50_000 + ": b\r\n") + PURPOSE + END, "invalid_form"),
    "a preamble": (b"\r\n" * 40_000 + FILE + PURPOSE + END, "invalid_form"),
    "an epilogue": (FILE + PURPOSE + END + b"x" * 80_000, "invalid_form"),
    "many fields": (MANY + FILE + PURPOSE + END, "invalid_form"),
    "a long field": (part("purpose", b"x" * 5000) + FILE + END, "invalid_form"),
    "a long field of another name": (part("other", b"x" * 70_000) + FILE + PURPOSE + END, "invalid_form"),
    "parts without names": (f"--{BOUNDARY}\r\n\r\nx\r\n".encode() + PURPOSE + END, "file"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_refused(orchestrator, kept, case):
    body, code = REFUSED[case]
    status, found = await posted(orchestrator, body)
    assert (status, found["error"]["code"] or found["error"]["param"]) == (400, code)
    assert not kept.keys(), "nothing is left of it"


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        f"multipart/form-data; boundary={'x' * 300}",
        f"multipart/mixed; boundary={BOUNDARY}",
    ],
)
async def test_other_types(orchestrator, kind):
    status, found = await posted(orchestrator, PURPOSE + FILE + END, kind=kind)
    assert (status, found["error"]["code"]) == (400, "invalid_form")


@pytest.mark.parametrize("data", [END, f"\r\n--{BOUNDARY}x\r\n".encode(), b"\r\n--x", b"\r" * 1000, b"\r\n--x-boundar"])
async def test_what_looks_like_a_boundary_is_content(orchestrator, client, data):
    if data == END:
        data = b"x" + END.replace(b"--", b"- -")
    status, found = await posted(orchestrator, PURPOSE + part("file", data, filename="a") + END)
    assert status == 200
    assert (await client.files.content(found["id"])).content == data


async def test_a_form_in_a_form_is_content(orchestrator, client):
    inner = b'--inner\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nvision\r\n--inner--\r\n'
    file = part("file", inner, filename="a", headers="content-type: multipart/mixed; boundary=inner\r\n")
    status, found = await posted(orchestrator, file + PURPOSE + END)
    assert (status, found["purpose"]) == (200, "user_data")
    assert (await client.files.content(found["id"])).content == inner


@pytest.mark.parametrize("order", [PURPOSE + FILE, FILE + PURPOSE])
@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_pieces_of_any_size_and_fields_in_any_order(orchestrator, client, order, size):
    body = order + END
    async with connection(orchestrator) as (reader, writer):
        writer.write(head())
        for start in range(0, len(body), size):
            piece = body[start : start + size]
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        status, found = await answer(reader)
    assert status == 200
    assert (await client.files.content(found["id"])).content == b"content"


NAMES = {
    "../../etc/passwd": "passwd",
    "C:\\\\temp\\\\a.txt": "a.txt",
    "..": "file",
    "": "file",
    "/": "file",
    "a\u202egpj.exe": "agpj.exe",
    "\u200b": "file",
    ".hidden": ".hidden",
    "x" * 400 + ".txt": "x" * 251 + ".txt",
    "ü" * 200: "ü" * 127,
    "a%00.txt": "a%00.txt",
}


@pytest.mark.parametrize("name", NAMES)
async def test_names(orchestrator, kept, name):
    _, found = await posted(orchestrator, PURPOSE + part("file", b"content", filename=name) + END)
    assert found["filename"] == NAMES[name]
    (key,) = kept.keys()
    assert not set(key) - set("0123456789abcdef/"), "no name is a path"


async def test_a_key_is_asked_for_before_the_body_comes(orchestrator):
    for path in ("/v1/files", "/v1/uploads/upload_x/parts"):
        async with connection(orchestrator) as (reader, writer):
            writer.write(head(path, key="wrong", length=1_000_000))
            status, found = await answer(reader)
            assert (status, found["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("where", ["in the head", "while it comes"])
async def test_a_file_that_is_too_large(start, kept, where):
    orchestrator = await start({"maxBytes": 1000})
    async with connection(orchestrator) as (reader, writer):
        begun = PURPOSE + part("file", b"x" * 1001, filename="a")
        if where == "in the head":
            writer.write(head(length=100_000))
        else:
            writer.write(head() + b"%x\r\n%b\r\n" % (len(begun), begun))
        status, found = await answer(reader)
    assert (status, found["error"]["code"]) == (413, "request_too_large")
    assert "1000 bytes (files.maxBytes)" in found["error"]["message"]
    assert not kept.keys()


async def test_a_file_that_is_just_not_too_large(start):
    orchestrator = await start({"maxBytes": 1000})
    status, found = await posted(orchestrator, PURPOSE + part("file", b"x" * 1000, filename="a") + END)
    assert (status, found["bytes"]) == (200, 1000)


async def test_a_client_that_leaves(orchestrator, kept, lines):
    begun = PURPOSE + part("file", b"x" * 3_000_000, filename="a")
    async with connection(orchestrator) as (_, writer):
        writer.write(head(length=5_000_000) + begun)
        await writer.drain()
        await until(lambda: orchestrator.app.services.filing.files._arriving == 1)
    await until(lambda: any(line["path"] == "/v1/files" for line in lines))
    assert lines[-1]["status"] == 499
    assert not kept.keys()
    assert orchestrator.app.services.filing.files._arriving == 0


@pytest.mark.parametrize("pace", ["silent", "slow"])
async def test_a_client_that_is_too_slow(start, kept, pace):
    orchestrator = await start(timeouts={"bodySeconds": 0.3})
    async with connection(orchestrator) as (reader, writer):
        writer.write(head(length=5_000_000) + PURPOSE)
        waiting = asyncio.create_task(answer(reader))
        while pace == "slow" and not waiting.done():  # a byte in time, again and again
            writer.write(b"x")
            await asyncio.wait([waiting], timeout=0.05)
        status, found = await waiting
    assert (status, found["error"]["code"]) == (408, "request_timeout")
    assert not kept.keys()


async def test_a_body_may_take_longer_than_other_requests_may(start, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.transport.client_connection.UNREAD_BODY_SECONDS", 0.1)
    orchestrator = await start(timeouts={"bodySeconds": 2})
    body = PURPOSE + part("file", b"x" * 40_000, filename="a") + END
    async with connection(orchestrator) as (reader, writer):
        writer.write(head(length=len(body)))
        for begin in range(0, len(body), 4000):
            writer.write(body[begin : begin + 4000])
            await asyncio.sleep(0.25)  # the client's pause: all together are longer than 2.1 s, each far shorter than 2
        status, _ = await answer(reader)
    assert status == 200


async def test_only_so_many_arrive_at_once(start, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.files.store.MOST_ARRIVING", 1)
    orchestrator = await start()
    async with connection(orchestrator) as (_, writer):
        writer.write(head(length=5_000_000) + PURPOSE)
        await until(lambda: orchestrator.app.services.filing.files._arriving == 1)
        status, found = await posted(orchestrator, PURPOSE + FILE + END)
    assert (status, found["error"]["code"]) == (429, "too_many_uploads")
