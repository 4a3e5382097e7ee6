import orjson
import pytest
from tandem_orchestrator.errors import BadRequest, BodyTooLarge, ClientLeft
from tandem_orchestrator.gateway.request import MAX_DEPTH, parse, read_body


def body(**fields):
    return orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "?"}], **fields})


def nested(depth):
    inner: list | None = None
    for _ in range(depth):
        inner = [inner]
    return inner


def test_the_body_is_kept_as_it_came():
    raw = b' {"messages":[{}],"model":"m"}'
    assert parse(raw, "other").body == raw


def test_a_missing_model_is_filled_in():
    request = parse(b'{"messages":[{}]}', "first")
    assert request.model == "first"
    assert orjson.loads(request.body) == {"messages": [{}], "model": "first"}


def test_a_missing_model_is_refused_when_none_is_known():
    with pytest.raises(BadRequest, match="model"):
        parse(b'{"messages":[{}]}', None)


def test_many_brackets_are_fine_and_deep_ones_are_not():
    parse(body(extra=[[]] * 1000, text="[" * 1000), None)
    parse(body(extra=nested(MAX_DEPTH - 2)), None)
    with pytest.raises(BadRequest, match="nested deeper"):
        parse(body(extra=nested(MAX_DEPTH)), None)


def test_declared_tools_of_any_shape():
    tools = [{"type": "function", "function": {"name": "a"}}, {"type": "custom"}, 7, {"function": {"name": 7}}]
    assert parse(body(tools=tools), None).declared_tools == ["a"]
    assert parse(body(tools=None), None).declared_tools == []


def receiving(*messages):
    left = list(messages)

    async def receive():
        return left.pop(0)

    return receive


async def test_a_body_in_pieces():
    receive = receiving(
        {"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.request", "body": b"b"}
    )
    assert await read_body(receive, 2) == b"ab"


async def test_a_body_is_refused_at_the_first_byte_too_many():
    receive = receiving(*[{"type": "http.request", "body": b"abc", "more_body": True}] * 2)
    with pytest.raises(BodyTooLarge):
        await read_body(receive, 5)


async def test_a_client_that_leaves_in_the_middle_of_its_body():
    receive = receiving({"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.disconnect"})
    with pytest.raises(ClientLeft):
        await read_body(receive, 5)
