"""The events of a streamed message on the wire, whatever engine writes what they are made of."""

import asyncio
from typing import Any

import orjson
import pytest

from tests.engine_double import Reply
from tests.engine_double.canned import CannedEngine, streamed, whole
from tests.engine_double.reply import Call
from tests.sockets.messages.conftest import LOOK
from tests.sockets.running import AT_ONCE, config_for, until

ASKED = {"model": "double", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}


def events_in(text: str) -> list[dict[str, Any]]:
    """The events of a stream, each of whose names is that of its document."""
    found = []
    for part in text.removesuffix("\n\n").split("\n\n"):
        if part := part.strip("\n"):
            name, data = part.split("\n")
            document = orjson.loads(data.removeprefix("data: "))
            assert name == f"event: {document['type']}"
            found.append(document)
    return found


def content_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The message's content as its events tell it, each of which is where it may be."""
    kinds = [event["type"] for event in events if event["type"] != "ping"]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    blocks: list[dict[str, Any]] = []
    open_block = False
    for event in events:
        if event["type"] == "content_block_start":
            assert (open_block, event["index"]) == (False, len(blocks))
            open_block = True
            blocks.append({**event["content_block"], "json": ""})
        elif event["type"] == "content_block_delta":
            assert (open_block, event["index"]) == (True, len(blocks) - 1)
            _add(blocks[-1], event["delta"])
        elif event["type"] == "content_block_stop":
            assert (open_block, event["index"]) == (True, len(blocks) - 1)
            open_block = False
    assert not open_block
    for block in blocks:
        written = block.pop("json")
        if block["type"] == "tool_use":
            block["input"] = orjson.loads(written)
    return blocks


def _add(block: dict[str, Any], delta: dict[str, Any]) -> None:
    kind = delta["type"]
    if kind == "citations_delta":
        block.setdefault("citations", []).append(delta["citation"])
    elif kind == "input_json_delta":
        block["json"] += delta["partial_json"]
    elif kind == "signature_delta":
        block["signature"] = delta["signature"]
    else:
        block[kind.removesuffix("_delta")] += delta[kind.removesuffix("_delta")]


@pytest.fixture
async def asking(serve):
    """Status and text of an answer from an orchestrator before an engine."""

    async def ask(engine, **fields):
        orchestrator = await serve(config_for(engine, **AT_ONCE))
        async with orchestrator.client.post("/v1/messages", json={**ASKED, **fields}) as response:
            assert response.headers["request-id"] == response.headers["x-request-id"]
            return response.status, await response.text()

    return ask


@pytest.fixture
async def streaming(asking):
    """The text of a stream."""

    async def ask(engine, **fields):
        status, text = await asking(engine, stream=True, **fields)
        assert status == 200, text
        return text

    return ask


async def test_the_order_of_events(streaming, engine):
    engine.replies.append(Reply("Two words", (Call("look", '{"place": "a"}'),), reasoning="Hm."))
    events = events_in(await streaming(engine, tools=[LOOK]))
    assert [event["type"] for event in events] == [
        "message_start",
        *("content_block_start", "content_block_delta", "content_block_delta", "content_block_stop"),
        *("content_block_start", "content_block_delta", "content_block_delta", "content_block_stop"),
        *("content_block_start", "content_block_delta", "content_block_stop"),
        "message_delta",
        "message_stop",
    ]
    assert [block["type"] for block in content_of(events)] == ["thinking", "text", "tool_use"]
    start, end = events[0]["message"], events[-2]
    assert (start["content"], start["stop_reason"], start["usage"]["output_tokens"]) == ([], None, 0)
    assert end["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert (end["usage"]["input_tokens"], end["usage"]["output_tokens"]) == (7, 2)


def chunk(delta: dict[str, Any], finish: str | None = None, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + orjson.dumps({"id": "x", "model": "double", "choices": [choice], **fields}) + b"\n\n"


def call(index: int | None, arguments: str | dict[str, Any], name: str | None = None, **fields: Any) -> bytes:
    fragment = {"index": index, "function": {"name": name, "arguments": arguments}, **fields}
    return chunk({"tool_calls": [{key: value for key, value in fragment.items() if value is not None}]})


DONE = b"data: [DONE]\n\n"
END = chunk({}, "tool_calls") + DONE


@pytest.mark.parametrize(
    ("pieces", "found"),
    [
        (  # two at a time, and pieces that are no JSON by themselves
            [
                *(call(0, "", "look", id="a"), call(1, "", "look", id="b"), call(0, '{"pl'), call(1, '{"place":')),
                *(call(0, 'ace": "x"}'), call(1, ' "y"}'), END),
            ],
            [("a", "look", {"place": "x"}), ("b", "look", {"place": "y"})],
        ),
        (  # one index for all, each whole
            [call(0, '{"n": 1}', "look", id="a"), call(0, '{"n": 2}', "look", id="b"), END],
            [("a", "look", {"n": 1}), ("b", "look", {"n": 2})],
        ),
        (  # no index, an object in the place of its text
            [call(None, {"n": 1}, "look", id="a"), END],
            [("a", "look", {"n": 1})],
        ),
        (  # the name and id with each piece
            [call(0, '{"n"', "look", id="a"), call(0, ": 1}", "look", id="a"), END],
            [("a", "look", {"n": 1})],
        ),
        (  # a name in pieces
            [call(0, "", "lo", id="a"), call(0, "{}", "ok"), END],
            [("a", "look", {})],
        ),
        ([call(0, '{"n": ', "look", id="a"), END], [("a", "look", {"INVALID_JSON": '{"n": '})]),
    ],
)
async def test_how_engines_write_calls(streaming, pieces, found):
    async with CannedEngine(streamed(*pieces)) as engine:
        blocks = content_of(events_in(await streaming(engine, tools=[LOOK])))
    assert [(block["id"], block["name"], block["input"]) for block in blocks] == found


async def test_calls_without_ids(streaming):
    async with CannedEngine(streamed(call(0, "{}", "look"), call(1, "{}", "look"), END)) as engine:
        one, other = content_of(events_in(await streaming(engine, tools=[LOOK])))
    assert one["id"].startswith("toolu_")
    assert one["id"] != other["id"]


ODD = chunk({"role": "assistant", "content": ""}) + chunk({"content": "Hé"}) + chunk({"content": " you"})


@pytest.mark.parametrize(
    "pieces",
    [
        [ODD + chunk({}, "stop") + DONE],
        [bytes([byte]) for byte in ODD + chunk({}, "stop") + DONE],
        [ODD.replace(b"\n", b"\r\n") + b": a comment\r\n\r\n" + chunk({}, "stop").replace(b"\n", b"\r\n") + DONE],
        [b"event: message\n" + ODD.replace(b"data: ", b"data:") + chunk({}, "stop")],  # and no [DONE]
        [ODD, chunk({"content": ""}, "stop", usage={"prompt_tokens": 3, "completion_tokens": 2}), DONE],
        [ODD, chunk({"refusal": None}), chunk({}, "stop"), DONE],
    ],
    ids=["at once", "byte by byte", "other line ends", "no [DONE]", "usage in the last chunk", "nulls"],
)
async def test_how_engines_write_text(streaming, pieces):
    async with CannedEngine(streamed(*pieces)) as engine:
        events = events_in(await streaming(engine))
    assert content_of(events) == [{"type": "text", "text": "Hé you"}]
    assert events[-2]["usage"]["output_tokens"] > 0


async def test_blocks_take_turns(streaming):
    """Chunks are equal but for their text, and come apart or at once; one is spelt so that none is known by it."""
    said = [("reasoning", "a"), ("reasoning", "b"), ("content", "c"), ("reasoning", "d"), ("reasoning", "e")]
    said += [("content", "f"), ("content", 'g"\n'), ("content", "é\U0001f600")]
    pieces = [chunk({name: text}).replace(b'"c"', b'"\\u0063"') for name, text in said]
    for sent in (pieces, [b"".join(pieces)]):
        async with CannedEngine(streamed(*sent, chunk({}, "stop"), DONE)) as engine:
            events = events_in(await streaming(engine))
        blocks = [(block["type"], block[block["type"]]) for block in content_of(events)]
        assert blocks == [("thinking", "ab"), ("text", "c"), ("thinking", "de"), ("text", 'fg"\né\U0001f600')]
        assert events[-2]["usage"]["output_tokens"] == len(pieces) + 1


@pytest.mark.parametrize("url", [["https://example.com"], 7])
async def test_odd_annotations(streaming, url):
    """They are no pages of a search."""
    cited = chunk({"annotations": [{"type": "url_citation", "url_citation": {"url": url, "title": {}}}]})
    async with CannedEngine(streamed(ODD, cited, chunk({}, "stop"), DONE)) as engine:
        events = events_in(await streaming(engine))
    assert [block["type"] for block in content_of(events)] == ["text"]


@pytest.mark.parametrize(
    "odd",
    [
        b'data: {"choices": {"0": 1}}\n\n',
        b'data: {"choices": ["text"]}\n\n',
        b'data: {"choices": [{"delta": {"content": {"a": 1}}}]}\n\n',
        b'data: {"choices": [{"delta": {"tool_calls": [7]}}]}\n\n',
        b'data: {"choices": [{"delta": {"tool_calls": [{"index": [1], "function": {}}]}}]}\n\n',
        b'data: {"choices": [{"delta": {"tool_calls": [{"id": 5, "function": {"name": "a"}}]}}]}\n\n',
        b'data: {"choices": [{"delta": {"tool_calls": [{"id": "a", "function": {"arguments": "{}"}}]}}]}\n\n',
        b"data: []\n\n",
        b"data: nothing\n\n",
        b'data: {"choices": [{"delta": {}, "finish_reason": "abort"}]}\n\n',
        b'event: error\ndata: {"message": "broken"}\n\n',
        b'data: {"error": {"message": "broken", "code": 500}}\n\n',
    ],
)
async def test_an_engine_that_writes_something_else(streaming, odd):
    """An error event is the stream's last word."""
    async with CannedEngine(streamed(ODD, odd, DONE)) as engine:
        *events, last = events_in(await streaming(engine))
    assert (last["type"], last["error"]["type"]) == ("error", "api_error")
    assert "message_stop" not in [event["type"] for event in events]


@pytest.mark.parametrize(
    "message",
    [
        "text",
        {"content": None, "tool_calls": [7]},
        {"content": "", "tool_calls": [{"function": {"name": 5}}]},
    ],
)
async def test_a_whole_answer_of_another_shape(asking, message):
    body = orjson.dumps({"choices": [{"message": message, "finish_reason": "stop"}]})
    async with CannedEngine([whole(body)]) as engine:
        status, text = await asking(engine)
    assert (status, orjson.loads(text)["error"]["type"]) == (502, "api_error")


@pytest.mark.parametrize("fields", [{}, {"stream": True}])
@pytest.mark.parametrize("reply", [Reply(before_first_byte=30), Reply(fault="hang")])
async def test_a_client_that_leaves_ends_the_engines_work(orchestrator, engine, fields, reply):
    engine.replies.append(reply)

    async def read():
        async with orchestrator.client.post("/v1/messages", json={**ASKED, **fields}) as response:
            await response.read()

    task = asyncio.create_task(read())
    await until(lambda: engine.running)
    task.cancel()
    await asyncio.wait([task])
    await engine.until(lambda: engine.seen[0].outcome == "left")
    assert orchestrator.busy == 0


async def test_pings_while_it_waits_for_an_engine(serve, engine):
    settings = {"hold": {"seconds": 20, "heartbeatSeconds": 0.05}}
    orchestrator = await serve(config_for(engine, **settings))
    engine.stop()
    replica = orchestrator.upstreams.all[0].replicas[0]
    replica.doubt()
    await until(lambda: not replica.ready)
    async with orchestrator.client.post("/v1/messages", json={**ASKED, "stream": True}) as response:
        first = await response.content.readuntil(b"\n\n")
        assert first == b'event: ping\ndata: {"type":"ping"}\n\n'
        await engine.start()
        rest = await response.text()
    assert content_of(events_in(rest))[0]["type"] == "text"


async def test_its_time_is_up(serve, engine):
    orchestrator = await serve(config_for(engine, timeouts={"requestSeconds": 0.3}))
    engine.replies.append(Reply(fault="hang", fault_after=4))
    async with orchestrator.client.post("/v1/messages", json={**ASKED, "stream": True}) as response:
        last = events_in((await response.text()).rpartition("event: error")[2].join(("event: error", "")))[-1]
    assert (last["error"]["type"], response.headers["request-id"]) == ("timeout_error", last["request_id"])
