import asyncio
from typing import Any

import orjson
import pytest
from tandem_contract.config import Timeouts
from tandem_orchestrator.errors import BadRequest, BodyTooLarge, ClientLeft, TooSlow
from tandem_orchestrator.gateway import request
from tandem_orchestrator.gateway.endpoints import CHAT, COMPLETIONS, EMBEDDINGS, ENDPOINTS

MAX_DEPTH = 128


def parse(raw, default_model=None, path=CHAT):
    return request.parse(ENDPOINTS[path], raw, default_model, MAX_DEPTH)


def body(**fields):
    return orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "?"}], **fields})


def nested(depth):
    inner: list | None = None
    for _ in range(depth):
        inner = [inner]
    return inner


def test_the_body_is_kept_as_it_came():
    raw = b' {"messages":[{}],"model":"m"}'
    assert parse(raw, "other").body() == raw


def test_a_missing_model_is_the_default_one():
    assert parse(b'{"messages":[{}]}', "first").model == "first"
    assert parse(b'{"messages":[{}], "model": null}', "first").model == "first"


def test_a_missing_model_is_refused_when_none_is_known():
    with pytest.raises(BadRequest, match="model"):
        parse(b'{"messages":[{}]}', None)


@pytest.mark.parametrize(
    ("path", "field", "good"),
    [
        (COMPLETIONS, "prompt", ["Once", ["Once", "Twice"], [1, 2, 3]]),
        (EMBEDDINGS, "input", ["Once", ["Once", "Twice"], [[1, 2], [3]]]),
    ],
)
def test_each_endpoint_asks_for_its_own_field(path, field, good):
    for value in good:
        assert parse(orjson.dumps({"model": "m", field: value}), path=path).payload[field] == value
    bad: tuple[dict[str, Any], ...] = (
        {},
        {field: None},
        {field: ""},
        {field: []},
        {field: 7},
        {"messages": [{}]},
    )
    for fields in bad:
        with pytest.raises(BadRequest, match=field) as caught:
            parse(orjson.dumps({"model": "m", **fields}), path=path)
        assert caught.value.param == field


def test_embeddings_are_never_streamed():
    assert not parse(b'{"model":"m","input":"?","stream":true}', path=EMBEDDINGS).stream
    assert parse(b'{"model":"m","prompt":"?","stream":true}', path=COMPLETIONS).stream


@pytest.mark.parametrize("name", ["", 0, [], {}, False])
def test_a_model_is_a_name(name):
    with pytest.raises(BadRequest, match="model"):
        parse(orjson.dumps({"model": name, "messages": [{}]}), "first")


def test_many_brackets_are_fine_and_deep_ones_are_not():
    parse(body(extra=[[]] * 1000, text="[" * 1000))
    parse(body(extra=nested(MAX_DEPTH - 2)))
    with pytest.raises(BadRequest, match="nested deeper"):
        parse(body(extra=nested(MAX_DEPTH)))


def test_declared_tools_of_any_shape():
    tools = [{"type": "function", "function": {"name": "a"}}, {"type": "custom"}, 7, {"function": {"name": 7}}]
    assert parse(body(tools=tools)).declared_tools == ["a"]
    assert parse(body(tools=None)).declared_tools == []


def test_new_fields_go_in_front_of_the_clients_own_bytes():
    raw = b' \n{ "messages":[{"content":"\\u00e9"}], "model":"m", "x": 1.50e0 }'
    asked = parse(raw)
    asked.set("cache_salt", "s")
    asked.set("stream_options", {"include_usage": True})
    asked.set("cache_salt", "t")
    assert asked.body() == b'{"cache_salt":"t","stream_options":{"include_usage":true},' + raw[3:]
    assert orjson.loads(asked.body()) == asked.payload


def test_changed_fields_are_written_anew_and_equal_ones_are_not():
    asked = parse(body(top_k=3))
    asked.set("top_k", 3)
    assert asked.body() == body(top_k=3)
    asked.set("top_k", 4)
    asked.set("top_p", 1)
    assert orjson.loads(asked.body()) == orjson.loads(body(top_k=4, top_p=1))


def receiving(*messages):
    left = list(messages)

    async def receive():
        if not left:
            await asyncio.Event().wait()
        return left.pop(0)

    return receive


async def read(receive, limit=5, seconds=5.0):
    return await request.read_body(receive, limit, request.deadlines(Timeouts(body_seconds=seconds)).body)


async def test_a_body_in_pieces():
    receive = receiving(
        {"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.request", "body": b"b"}
    )
    assert await read(receive, 2) == b"ab"


async def test_a_body_is_refused_at_the_first_byte_too_many():
    with pytest.raises(BodyTooLarge):
        await read(receiving(*[{"type": "http.request", "body": b"abc", "more_body": True}] * 2))


async def test_a_body_that_does_not_go_on_is_refused():
    receive = receiving({"type": "http.request", "body": b"a", "more_body": True})
    with pytest.raises(TooSlow) as caught:
        await read(receive, seconds=0.02)
    assert (b"connection", b"close") in caught.value.headers


async def test_a_client_that_leaves_in_the_middle_of_its_body():
    receive = receiving({"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.disconnect"})
    with pytest.raises(ClientLeft):
        await read(receive)
