import asyncio
import re
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from tandem_contract.config import Timeouts
from tandem_contract.config.serving import Limits
from tandem_orchestrator.engines.endpoints import CHAT, COMPLETIONS, EMBEDDINGS, ENDPOINTS
from tandem_orchestrator.errors import BadRequest, BodyTooLarge, ClientLeft, TooSlow
from tandem_orchestrator.gateway import request

MAX_DEPTH = 128


def parse(raw, path=CHAT):
    return request.checked(ENDPOINTS[path], request.json_object(raw, MAX_DEPTH))


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
    asked = request.checked(ENDPOINTS[CHAT], request.json_object(body(extra=nested(deepest - 2)), deepest))
    assert asked.body() == body(extra=nested(deepest - 2))


def test_a_request_need_not_name_its_model():
    assert parse(b'{"messages":[{}]}').model is None
    assert parse(b'{"messages":[{}], "model": null}').model is None


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
        parse(orjson.dumps({"model": name, "messages": [{}]}))


def test_many_brackets_are_fine_and_deep_ones_are_not():
    parse(body(extra=[[]] * 1000, text="[" * 1000))
    parse(body(extra=nested(MAX_DEPTH - 2)))
    with pytest.raises(BadRequest, match="nested deeper"):
        parse(body(extra=nested(MAX_DEPTH)))


def test_declared_tools_of_any_shape():
    tools = [{"type": "function", "function": {"name": "a"}}, {"type": "custom"}, 7, {"function": {"name": 7}}]
    assert parse(body(tools=tools)).declared_tools == ["a"]
    assert parse(body(tools=None)).declared_tools == []


def array(item: bytes, size: int) -> bytes:
    return b'{"model":"m","messages":[{}],"x":[' + b",".join([item] * (size // (len(item) + 1))) + b"]}"


def said(text: bytes) -> bytes:
    return b'{"model":"m","messages":[{"role":"user","content":"' + text + b'"}]}'


MEGABYTES = 10_000_000
HARMFUL = {
    "lists": lambda: array(b"[]", 3_000_000),
    "objects": lambda: array(b"{}", 3_000_000),
    "nested lists": lambda: array(b"[" * 100 + b"]" * 100, 3_000_000),
    "one in a list": lambda: array(b"[1]", 3_000_000),
    "digits": lambda: array(b"1", 3_000_000),
    "numbers": lambda: array(b"0.1", 3_000_000),
    "empty texts": lambda: array(b'""', 3_000_000),
    "short texts": lambda: array(b'"ab"', 3_000_000),
    "short texts with quotes": lambda: array(b'"\\""', 3_000_000),
    "names": lambda: b'{"model":"m","messages":[{}],%b}' % b",".join(b'"%x":1' % n for n in range(300_000)),
    "short messages": lambda: array(b'{"role":"user","content":"a"}', 3_000_000),
    "fewer lists": lambda: array(b"[]", 190_000),
}
HARMLESS = {
    "a text": lambda: said(b"a" * MEGABYTES),
    "a text of four bytes a character": lambda: said(b"a" * MEGABYTES + "\U0001f600".encode()),
    "a table": lambda: said(b"a,1;[{:" * (MEGABYTES // 7)),
    "JSON in a text": lambda: said(b'{\\"a\\": [1, 2]},\\\\' * (MEGABYTES // 20)),
    "escapes": lambda: said(b"\\n" * (MEGABYTES // 2)),
    "long texts": lambda: array(b'"%b"' % (b"word, " * 20), MEGABYTES),
    "long numbers": lambda: array(b"-1.23456789012345678e-100" + b" " * 15, MEGABYTES),
    "tokens": lambda: array(b"12345", 1_700_000),
}


@contextmanager
def at_most(size):
    """Bounds what the process takes of memory meanwhile, at its peak."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = resident("VmRSS")
    yield
    assert resident("VmHWM") - before < size


def resident(line):
    (kilobytes,) = re.findall(rf"{line}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) * 1024


@pytest.mark.parametrize("make", HARMLESS.values(), ids=HARMLESS)
async def test_a_large_request_costs_ten_times_its_size_at_most(make):
    raw = make()
    with at_most(9 * len(raw)):  # its body is there already
        await request.weigh(raw)
        assert len(parse(raw).body()) > len(raw) / 2


@pytest.mark.parametrize("make", HARMFUL.values(), ids=HARMFUL)
async def test_what_would_cost_more_is_refused_before_it_is_parsed(make):
    raw = make()
    with at_most(9 * len(raw)), pytest.raises(BadRequest, match="more than 300000 JSON values") as caught:
        await request.weigh(raw)
    assert caught.value.code == "too_many_values"


async def test_others_go_on_between_the_steps():
    turns = []

    async def others():
        while True:
            turns.append("turn")
            await asyncio.sleep(0)

    going_on = asyncio.create_task(others())
    await asyncio.sleep(0)
    for name, steps in (("a text", 1), ("a table", 3), ("JSON in a text", 4)):
        raw = HARMLESS[name]()
        turns.clear()
        await request.weigh(raw)
        assert len(turns) == steps
        await asyncio.sleep(0)
    going_on.cancel()


async def test_large_bodies_take_turns():
    steps = []
    raw = HARMLESS["a text"]()

    async def work(name):
        await request.weigh(raw)
        steps.append((name, "parse"))
        await asyncio.sleep(0)
        steps.append((name, "write"))

    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(work(name))
    assert steps == [(name, step) for name in "abc" for step in ("parse", "write")]


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
