import asyncio
from typing import Any

import orjson
import pytest
from tandem_contract.config import Timeouts
from tandem_contract.config.serving import Limits
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


def test_what_was_checked_is_what_is_sent():
    raw = b' {"model":"m", "n": 100, "messages":[{"role":"user","role":"tool"}], "\\u006e": 1, "x": 1.50e0}'
    asked = parse(raw)
    assert asked.payload["n"] == 1
    assert asked.body() == b'{"model":"m","n":1,"messages":[{"role":"tool"}],"x":1.5}'


@pytest.mark.parametrize("number", [b"9223372036854775807", b"18446744073709551615", b"-1.5e-7", b"0.1", b"1.0"])
def test_numbers_stay_as_they_are(number):
    raw = b'{"model":"m","messages":[{}],"x":%b}' % number
    assert parse(raw).body() == raw


def test_numbers_beyond_64_bits_become_the_nearest_that_all_engines_know():
    asked = parse(b'{"model":"m","messages":[{}],"seed":18446744073709551616}')
    assert orjson.loads(asked.body())["seed"] == 2.0**64


@pytest.mark.parametrize(
    "raw",
    [
        b'\xef\xbb\xbf{"model":"m","messages":[{}]}',
        '{"model":"m","messages":[{}]}'.encode("utf-16"),
        '{"model":"m","messages":[{}]}'.encode("utf-32-le"),
        b'{"model":"m","messages":[{}],"x":NaN}',
        b'{"model":"m","messages":[{}],"x":1e999}',
        b'{"model":"m","messages":[{}],"x":"\\ud800"}',
        b'{"model":"m","messages":[{}]}{"n":9}',
        b'{"model":"m","messages":[{}],}',
        b'{"model":"m","messages":[{}]/**/}',
    ],
)
def test_what_readers_differ_about_is_no_json(raw):
    with pytest.raises(BadRequest) as caught:
        parse(raw)
    assert caught.value.code == "invalid_json"


def test_the_deepest_body_can_be_sent():
    deepest = Limits.model_fields["max_depth"].metadata[1].le
    asked = request.parse(ENDPOINTS[CHAT], body(extra=nested(deepest - 2)), None, deepest)
    assert asked.body() == body(extra=nested(deepest - 2))


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
