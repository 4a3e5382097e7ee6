"""Every fault of an engine on every endpoint."""

import orjson
import pytest

from tests.engine_double import Reply
from tests.sockets.running import config_for, until
from tests.sockets.surface.asking import BLOCKING, CALLS, STREAMS, asked, error_of


@pytest.fixture
async def hasty(serve, engine):
    """Waits for nothing and tries nothing twice, so that each fault is the answer."""
    settings = {"timeouts": {"firstByteSeconds": 0.2, "idleSeconds": 0.2}}
    return await serve(config_for(engine, routing={"retries": 0}, hold={"maxRequests": 0}, **settings))


@pytest.mark.parametrize(("path", "stream"), CALLS)
async def test_a_refused_connection(hasty, engine, path, stream):
    engine.stop()
    status, error = await error_of(hasty, path, stream=stream)
    assert status in (502, 503)
    assert error["type"] in ("engine_error", "overloaded_error")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(before_first_byte=30), (504, "engine_timeout")),
        (Reply(status=500), (502, "engine_failed")),
        (Reply(status=429), (429, None)),
        (Reply(fault="wrong_type"), (502, "engine_malformed")),
        (Reply(fault="close"), (502, "engine_cut")),
        (Reply(fault="not_http"), (502, "engine_malformed")),
    ],
    ids=["slow first byte", "500", "429", "wrong type", "cut head", "no HTTP"],
)
async def test_before_the_first_byte(hasty, engine, call, reply, expected):
    path, stream = call
    engine.rule = lambda _: reply
    status, error = await error_of(hasty, path, stream=stream)
    assert (status, error["code"]) == expected
    await until(lambda: hasty.busy == 0)


@pytest.mark.parametrize("call", BLOCKING)
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("malformed_json", (502, "engine_malformed")),
        ("error_event", (502, "engine_failed")),
        ("cut", (502, "engine_cut")),
        ("hang", (504, "engine_timeout")),
    ],
)
async def test_half_an_answer(hasty, engine, call, fault, expected):
    path, stream = call
    engine.replies.append(Reply(fault=fault))
    status, error = await error_of(hasty, path, stream=stream)
    assert (status, error["code"]) == expected
    await until(lambda: hasty.busy == 0)


@pytest.mark.parametrize(("path", "stream"), BLOCKING)
async def test_an_answer_of_another_endpoint(hasty, engine, path, stream):
    body = b'{"object":"list"}'
    engine.replies.append(
        Reply(raw=b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    )
    status, error = await error_of(hasty, path, stream=stream)
    assert (status, error["code"]) == (502, "engine_malformed")
    assert ("data" if path.endswith("embeddings") else "choices") in error["message"]


@pytest.mark.parametrize("call", STREAMS)
@pytest.mark.parametrize(
    ("fault", "code"), [("cut", "engine_cut"), ("hang", "engine_timeout"), ("no_done", "engine_malformed")]
)
async def test_half_a_stream(hasty, engine, call, fault, code):
    path, stream = call
    engine.replies.append(Reply(fault=fault))
    async with hasty.client.post(path, json=asked(path, stream=stream)) as response:
        assert response.status == 200
        text = await response.text()
    *chunks, last = [orjson.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    assert all(chunk["choices"] for chunk in chunks)
    assert last["error"]["code"] == code
    assert "data: [DONE]" not in text
    await until(lambda: hasty.busy == 0)


@pytest.mark.parametrize(("path", "stream"), STREAMS)
async def test_an_error_event_inside_a_200_passes(hasty, engine, path, stream):
    engine.replies.append(Reply(fault="error_event"))
    async with hasty.client.post(path, json=asked(path, stream=stream)) as response:
        text = await response.text()
    assert '"message":"scripted"' in text


@pytest.mark.parametrize(("path", "stream"), CALLS)
async def test_a_request_that_takes_too_long_altogether(serve, engine, path, stream):
    orchestrator = await serve(config_for(engine, timeouts={"requestSeconds": 0.1}))
    engine.replies.append(Reply(before_first_byte=30))
    status, error = await error_of(orchestrator, path, stream=stream)
    assert (status, error["code"]) == (504, "request_timeout")
    await engine.until(lambda: engine.seen[0].outcome == "left")


async def test_a_stream_that_takes_too_long_ends_in_an_error_event(serve, engine):
    orchestrator = await serve(config_for(engine, timeouts={"requestSeconds": 0.3}))
    engine.replies.append(Reply("word " * 200, between_pieces=0.02))
    text = await orchestrator.stream()
    assert '"code":"request_timeout"' in text
    assert "data: [DONE]" not in text
    await engine.until(lambda: engine.seen[0].outcome == "left")
