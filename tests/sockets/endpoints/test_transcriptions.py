"""/v1/audio/transcriptions: forms with a file, kept on the disk until an engine has them."""

import asyncio
import io
import os
import re
import tracemalloc
from contextlib import asynccontextmanager

import openai
import orjson
import pytest
from tandem_contract.config import OrchestratorConfig

from tests.engine_double import EngineDouble, Reply
from tests.engine_double.canned import MODELS, CannedEngine, streamed, whole
from tests.engine_double.listener import stream_listener
from tests.sockets.running import AT_ONCE, config_for, until

PATH = "/v1/audio/transcriptions"
SOUND = b"RIFF\r\n--b\r\n\r\n\x00\xff" * 50
BOUNDARY = "b0undary"


def part(name, value, extra=""):
    value = value if isinstance(value, bytes) else value.encode()
    head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"{extra}\r\n\r\n'
    return head.encode() + value + b"\r\n"


def form(*parts):
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


FILE = part("file", SOUND, '; filename="a.wav"')
MODEL = part("model", "double")


def config_of(url, **settings):
    return OrchestratorConfig.model_validate({"upstreams": [{"name": "e", "url": url, "model": "double"}], **settings})


async def post(orchestrator, body, path=PATH, kind=f"multipart/form-data; boundary={BOUNDARY}"):
    data = io.BytesIO(body) if isinstance(body, bytes) else body
    async with orchestrator.client.post(path, data=data, headers={"content-type": kind}) as response:
        raw = await response.read()
        return response.status, (orjson.loads(raw) if raw[:1] == b"{" else raw.decode())


def nothing_is_left(orchestrator):
    assert orchestrator.app._spool.bytes == 0


async def test_openais_client(client, orchestrator, engine, lines):
    answer = await client.audio.transcriptions.create(
        model="double",
        file=("talk.mp3", io.BytesIO(SOUND)),
        language="en",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
        temperature=0.2,
    )
    assert answer.text == Reply().text
    fields = dict(engine.seen[0].body)
    assert fields.pop("file") == ("talk.mp3", SOUND)
    assert fields.pop("timestamp_granularities[]") == ["word", "segment"]
    assert fields == {"model": "double", "language": "en", "response_format": "verbose_json", "temperature": "0.2"}
    assert (lines[-1]["path"], lines[-1]["model"], lines[-1]["completion_tokens"]) == (PATH, "double", 16)
    assert (await post(orchestrator, form(MODEL, FILE), "/v1/audio/translations"))[0] == 200
    assert engine.seen[-1].path == "/v1/audio/translations"
    nothing_is_left(orchestrator)


async def test_a_stream(client, engine, lines):
    stream = await client.audio.transcriptions.create(model="double", file=("a.wav", SOUND), stream=True)
    events = [event async for event in stream]
    assert len(events) > 10
    assert engine.seen[0].body["stream"] == "true"
    assert lines[-1]["stream"] is True
    assert lines[-1]["completion_tokens"] > 10


async def test_openais_own_stream_ends_without_done(serve, lines):
    done = orjson.dumps(
        {
            "type": "transcript.text.done",
            "text": "Hi",
            "usage": {"type": "tokens", "input_tokens": 9, "output_tokens": 2},
        }
    )
    events = (b'data: {"type":"transcript.text.delta","delta":"Hi"}\n\n', b"data: " + done + b"\n\n")
    async with CannedEngine(streamed(*events)) as engine:
        orchestrator = await serve(config_of(engine.url, **AT_ONCE))
        async with openai.AsyncOpenAI(base_url=f"{orchestrator.url}/v1", api_key="x", max_retries=0) as client:
            stream = await client.audio.transcriptions.create(model="double", file=("a.wav", SOUND), stream=True)
            assert [event.type async for event in stream] == ["transcript.text.delta", "transcript.text.done"]
    await until(lambda: lines and lines[-1].get("completion_tokens") == 2)
    assert (lines[-1]["status"], lines[-1]["prompt_tokens"]) == (200, 9)


@pytest.mark.parametrize(
    ("answer", "kind", "status", "said"),
    [
        (b"1\n00:00 --> 00:01\nHi\n", b"text/plain; charset=utf-8", 200, "1\n00:00 --> 00:01\nHi\n"),
        (b'"Hi"', b"application/json", 200, '"Hi"'),
        (b"<html>", b"text/html", 502, None),
        (b'{"text":7}', b"application/json", 502, None),
        (b'{"error":{"message":"no","code":400}}', b"application/json", 400, None),
    ],
)
async def test_answers_of_other_formats(serve, answer, kind, status, said):
    async with CannedEngine([whole(answer, kind)]) as engine:
        orchestrator = await serve(config_of(engine.url, **AT_ONCE))
        answered, body = await post(orchestrator, form(MODEL, FILE))
    assert answered == status
    if said is not None:
        assert body == said


async def test_the_model_may_follow_the_file_and_be_an_alias(serve, engine):
    models = [{"name": "double", "aliases": ["whisper-1"], "defaults": {"temperature": 0.5}, "inject": {"seed": 7}}]
    orchestrator = await serve(config_for(engine, models=models))
    assert (await post(orchestrator, form(FILE, part("model", "whisper-1"))))[0] == 200
    fields = engine.seen[0].body
    assert (fields["model"], fields["temperature"], fields["seed"]) == ("double", "0.5", "7")
    assert (await post(orchestrator, form(FILE)))[0] == 200
    assert engine.seen[1].body["model"] == "double"


async def test_another_attempt_and_the_fallback_get_the_whole_file(serve, engine):
    async with EngineDouble("other") as other:
        models = [{"name": "double", "fallback": "other"}]
        orchestrator = await serve(config_for(engine, other, models=models))
        engine.replies += [Reply(status=500)]
        assert (await post(orchestrator, form(MODEL, FILE)))[0] == 200
        engine.rule = lambda _: Reply(fault="malformed_json")
        assert (await post(orchestrator, form(FILE, MODEL)))[0] == 200
    got = [seen.body for seen in (*engine.seen, *other.seen)]
    assert {fields["file"] for fields in got} == {("a.wav", SOUND)}
    assert [fields["model"] for fields in got] == ["double"] * (len(got) - 1) + ["other"]
    nothing_is_left(orchestrator)


async def test_what_is_sent_is_what_was_read(orchestrator, engine):
    """Names and values that would be other fields if they were sent as they came."""
    evil = part("prompt", f'x\r\n--{BOUNDARY}x\r\ncontent-disposition: form-data; name="model"\r\n\r\nother')
    named = part('a%22; name=%22model"; x="', "other")
    tricked = part("file", SOUND, "; filename=\"a%22b.wav\"; filename*=utf-8''..%2f..%2fx%0d%0a.wav")
    status, _ = await post(orchestrator, form(MODEL, evil, named, tricked))
    assert status == 200
    fields = engine.seen[0].body
    assert (fields["model"], fields["file"][1]) == ("double", SOUND)
    assert "name=" in fields["prompt"]
    assert re.fullmatch(r"[^/\r\n]+", fields["file"][0])


async def test_a_form_in_single_bytes(orchestrator, engine):
    body = form(FILE, MODEL)

    async def slowly():
        for at in range(0, len(body), 1):
            yield body[at : at + 1]
            if at % 50 == 0:
                await asyncio.sleep(0)

    assert (await post(orchestrator, slowly()))[0] == 200
    assert engine.seen[0].body["file"] == ("a.wav", SOUND)


@pytest.mark.parametrize(
    ("parts", "status", "param", "code"),
    [
        ([MODEL], 400, "file", None),
        ([MODEL, part("file", "", '; filename="a"')], 400, "file", "empty_file"),
        ([MODEL, MODEL, FILE], 400, "model", "invalid_form"),
        ([MODEL, FILE, part("model", "other")], 400, "model", "invalid_form"),
        ([FILE, MODEL, FILE], 400, "file", "invalid_form"),
        ([MODEL, FILE, part("stream", "maybe")], 400, "stream", None),
        ([MODEL, FILE, part("stream", "true"), part("stream", "false")], 400, "stream", "invalid_form"),
        ([MODEL, FILE, part("n", "50")], 400, "n", None),
        ([part("model", "nothing"), FILE], 404, "model", "model_not_found"),
        ([FILE, part("model", "nothing")], 404, "model", "model_not_found"),
        ([MODEL, FILE, part("prompt", "x" * 5000)], 400, None, "invalid_form"),
        ([*[part("include[]", "x" * 4000)] * 20, MODEL, FILE], 400, None, "invalid_form"),
    ],
)
async def test_bad_forms(orchestrator, engine, parts, status, param, code):  # noqa: PLR0917 # pytest names them
    answered, body = await post(orchestrator, form(*parts))
    error = body["error"]
    assert (answered, error["param"], error["code"]) == (status, param, code)
    assert not engine.seen
    nothing_is_left(orchestrator)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{}", "application/json"),
        (form(MODEL, FILE), "multipart/form-data"),
        (form(MODEL, FILE)[:-10], f"multipart/form-data; boundary={BOUNDARY}"),
        (form(MODEL, FILE), "multipart/form-data; boundary=another"),
        (b"", f"multipart/form-data; boundary={BOUNDARY}"),
        (b"\x00" * 100, f"multipart/form-data; boundary={BOUNDARY}"),
    ],
)
async def test_bodies_that_are_no_form(orchestrator, engine, body, kind):
    answered, error = await post(orchestrator, body, kind=kind)
    assert (answered, error["error"]["code"]) == (400, "invalid_form")
    assert not engine.seen


async def test_bounds(serve, engine, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.audio.transcription.MOST_BYTES", 2000)
    orchestrator = await serve(config_for(engine, limits={"maxBodyBytes": 1024}))
    large = form(MODEL, part("file", b"x" * 2001, '; filename="a"'))

    async def without_length():
        yield large

    for body in (large, without_length(), b"x" * 100_000):
        assert (await post(orchestrator, body))[0] == 413
    assert (await post(orchestrator, form(MODEL, part("file", b"x" * 2000, '; filename="a"'))))[0] == 200
    monkeypatch.setattr("tandem_orchestrator.audio.spool.MOST_BYTES", 1999)
    status, body = await post(orchestrator, form(MODEL, part("file", b"x" * 2000, '; filename="a"')))
    assert (status, body["error"]["code"]) == (429, "too_many_uploads")
    nothing_is_left(orchestrator)


def _length(head):
    found = re.search(rb"content-length: (\d+)", head)
    assert found
    return int(found[1])


@asynccontextmanager
async def raw_engine(answer):
    """One whose answer to a POST is `answer(head, reader, writer)`; gives settings with it."""

    async def handle(reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET"):
                writer.write(whole(MODELS))
                await writer.drain()
            else:
                await answer(head, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listener = stream_listener(handle)
    url = f"http://127.0.0.1:{listener.start('127.0.0.1')}"
    yield config_of(url)
    await listener.aclose()


async def test_a_large_file_is_not_held(serve):
    """The engine does not read: nothing of 20 MB is in memory meanwhile but some pieces on their way."""
    size, block = 20_000_000, os.urandom(1_000_000)
    got = bytearray()
    reads = asyncio.Event()

    async def slow(head, reader, writer):
        await reads.wait()
        got.extend(await reader.readexactly(_length(head)))
        writer.write(whole(b'{"text":"a long one"}'))
        await writer.drain()

    async def pieces():
        yield MODEL + f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'.encode()
        for at in range(0, size, 100_000):
            yield block[at % len(block) : at % len(block) + 100_000]
        yield f"\r\n--{BOUNDARY}--\r\n".encode()

    async with raw_engine(slow) as config:
        orchestrator = await serve(config)
        (replica,) = orchestrator.upstreams.all[0].replicas
        tracemalloc.start()
        try:
            asking = asyncio.create_task(post(orchestrator, pieces()))
            await until(lambda: any(connection._full for connection in replica.pool._all), 20)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most < size / 4
        reads.set()
        assert await asking == (200, {"text": "a long one"})
    begins = got.index(b"octet-stream\r\n\r\n") + len(b"octet-stream\r\n\r\n")
    assert got[begins : begins + size] == block * 20


async def test_a_client_that_leaves_midway_leaves_nothing(orchestrator, engine):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(orchestrator.url.rpartition(":")[2]))
    head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary={BOUNDARY}\r\n"
    writer.write(head.encode() + b"content-length: 5000000\r\n\r\n" + form(MODEL, FILE)[:-40] + b"x" * 300_000)
    await until(lambda: orchestrator.app._spool.bytes > 0)
    writer.close()
    await until(lambda: orchestrator.app._spool.bytes == 0)
    engine.replies.append(Reply(before_first_byte=30))
    asking = asyncio.create_task(post(orchestrator, form(MODEL, FILE)))
    await until(lambda: engine.running == 1)
    asking.cancel()
    await until(lambda: engine.seen[0].outcome == "left")
    await until(lambda: orchestrator.app._spool.bytes == 0)
    nothing_is_left(orchestrator)
    assert reader is not None


async def test_an_engine_that_says_no_before_it_has_all(serve):
    """It reads no further: the client hears what it said, and its connection is not used again."""
    over = asyncio.Event()
    asked = 0

    async def refuse(_, __, writer):
        nonlocal asked
        asked += 1
        writer.write(whole(b'{"error":{"message":"the model dislikes it","code":413}}', status=b"413 Too Large"))
        await writer.drain()
        await over.wait()

    async with raw_engine(refuse) as config:
        orchestrator = await serve(config)
        large = form(MODEL, part("file", b"x" * 8_000_000, '; filename="a"'))
        for _ in range(2):
            assert (await post(orchestrator, large))[0] == 413
        (replica,) = orchestrator.upstreams.all[0].replicas
        await until(lambda: (replica.pool.idle, orchestrator.busy) == (0, 0))
        over.set()
    assert asked == 2


async def test_an_engine_without_it(serve, engine):
    engine.lacks.add(PATH)
    orchestrator = await serve(config_for(engine))
    status, body = await post(orchestrator, form(MODEL, FILE))
    assert (status, body["error"]["code"]) == (404, "endpoint_not_supported")


async def test_a_key_is_asked_for_before_the_body(serve, engine):
    orchestrator = await serve(config_for(engine, keys={"values": ["acme:tk-secret"]}))
    assert (await post(orchestrator, form(MODEL, FILE)))[0] == 401
    async with orchestrator.client.get(PATH) as response:
        assert response.status == 405
