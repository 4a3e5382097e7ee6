"""Responses while the database cannot be used."""

import pytest

STREAMED = pytest.mark.parametrize("stream", [False, True])


@pytest.fixture
async def ask(asking):
    return await asking(database={"url": "sqlite:////proc/nowhere/tandem.db"})


async def test_what_cannot_be_kept_is_not_answered(ask):
    assert (await ask.refused(503))["code"] == "database_unavailable"


async def test_a_stream_tells_that_it_cannot_be_kept(ask):
    stream = await ask.stream()
    assert stream.names[-2:] == ["error", "response.failed"]
    assert stream.events[-2]["code"] == "database_unavailable"
    assert stream.text()


@STREAMED
async def test_what_is_not_to_be_kept_needs_none(ask, stream):
    assert (await ask.either(stream=stream, store=False))["status"] == "completed"


@STREAMED
async def test_what_came_before_is_not_known(ask, engine, stream):
    for before in ({"previous_response_id": "resp_1"}, {"conversation": "conv_1"}):
        assert (await ask.refused(503, stream=stream, **before))["code"] == "database_unavailable"
    assert not engine.seen


@pytest.mark.parametrize("path", ["/responses/x", "/responses/x/input_items", "/conversations/x"])
async def test_nothing_is_found(ask, path):
    assert (await ask.call("GET", path, 503))["code"] == "database_unavailable"
