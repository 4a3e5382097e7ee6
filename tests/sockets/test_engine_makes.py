"""Engines of other makes than vLLM: what they answer, in their own spelling, and what becomes of it."""

from typing import Any

import openai
import orjson
import pytest
from prometheus_client import REGISTRY

from tests.engine_double.canned import CannedEngine, streamed, whole
from tests.sockets.running import AT_ONCE, MATH_TOOL, QUESTION, Orchestrator, config_for, question, until

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
PROMPT = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
ROLE, ONE, TWO = ({"role": "assistant", "content": ""}, {"content": "one"}, {"content": " two"})
STOP: dict[str, Any] = {}
DONE = b"[DONE]"
STREAMS = [(CHAT, {}), (TEXT, {}), (CHAT, {"tools": [MATH_TOOL]})]


def chunk(delta, finish=None, **fields):
    choice = {"index": 0, "delta": delta, "text": (delta or {}).get("content") or "", "finish_reason": finish}
    return orjson.dumps({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice], **fields})


USAGE = orjson.dumps({"id": "c", "choices": [], "usage": PROMPT})
ANSWER = [chunk(ROLE), chunk(ONE), chunk(TWO), chunk(STOP, "stop"), USAGE, DONE]
ERROR = b'{"error":{"message":"out of memory","type":"InternalServerError","param":null,"code":500}}'


def usual(data):
    return b"data: " + data + b"\n\n"


SPELLINGS = {
    "usual": usual,
    "no space": lambda data: b"data:" + data + b"\n\n",
    "CRLF": lambda data: b"data: " + data + b"\r\n\r\n",
    "CR": lambda data: b"data:" + data + b"\r\r",
    "mixed": lambda data: b"data:" + data + b"\r\n\n",
    "with fields": lambda data: b"event: message\nid: 7\nretry: 10\ndata: " + data + b"\n\n",
    "with pings": lambda data: b": ping\n\ndata:" + data + b"\n\n: ping\n",
    "lines": lambda data: b"data:" + data.replace(b'"choices":', b'\ndata:"choices":\ndata: ') + b"\n\n",
    "space after": lambda data: b"data: " + data + b" \n\n",
}


class Gateway:
    """The orchestrator, before an engine that says what it is told to."""

    def __init__(self, engine: CannedEngine, orchestrator: Orchestrator, lines: list[dict[str, Any]]) -> None:
        self.engine = engine
        self.orchestrator = orchestrator
        self._lines = lines

    def says(self, *answers):
        self.engine.answers.clear()
        self.engine.answers.extend(answers)

    async def ask(self, path=CHAT, **fields):
        """Status and body of an answer."""
        body = {**question(**fields), "prompt": "Hello"}
        async with self.orchestrator.client.post(path, json=body) as response:
            return response.status, await response.read()

    async def read_until(self, enough, **fields):
        """Asks for a stream, and leaves within it."""
        response = await self.orchestrator.client.post(CHAT, json=question(stream=True, **fields))
        received = b""
        while not enough(received):
            received += await response.content.readany()
        response.close()

    async def logged(self):
        """The line of the log, once nothing of the request is left."""
        await until(lambda: self._lines and self.orchestrator.busy == 0)
        (line,) = self._lines
        self._lines.clear()
        return line


@pytest.fixture(params=[{}])
async def gateway(serve, lines, request):
    async with CannedEngine() as engine:
        upstreams = [{"name": "engine-0", "url": engine.url, "model": "double"}]
        settings = {"upstreams": upstreams, **AT_ONCE, "timeouts": {"idleSeconds": 0.3}, **request.param}
        yield Gateway(engine, await serve(config_for(**settings)), lines)


def refused():
    labels = {"reason": "refused", "upstream": "engine-0"}
    return REGISTRY.get_sample_value("tandem_upstream_errors_total", labels) or 0


def split(data, size):
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("packets", ["events", "one", "bytes"])
@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("path", [CHAT, TEXT])
async def test_a_right_answer_is_right_in_any_spelling(gateway, path, spelling, packets):
    pieces = [SPELLINGS[spelling](data) for data in ANSWER]
    whole = b"".join(pieces)
    gateway.says(streamed(*{"events": pieces, "one": [whole], "bytes": split(whole, 7)}[packets]))
    status, body = await gateway.ask(path, stream=True, stream_options={"include_usage": True})
    assert (status, body) == (200, whole)
    line = await gateway.logged()
    assert (line["status"], line.get("error")) == (200, None)
    assert (line["prompt_tokens"], line["completion_tokens"]) == (5, 3)


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_tools_run_in_any_spelling(gateway, spelling):
    function = {"name": "calculate_math", "arguments": '{"expression":"6*7"}'}
    call = chunk({"tool_calls": [{"index": 0, "id": "1", "type": "function", "function": function}]})
    spell = SPELLINGS[spelling]
    passes = [[chunk(ROLE), call, chunk(STOP, "tool_calls"), USAGE, DONE], ANSWER]
    gateway.says(*(streamed(*split(b"".join(map(spell, events)), 50)) for events in passes))
    status, body = await gateway.ask(stream=True, tools=[MATH_TOOL])
    assert status == 200
    assert body.endswith(usual(DONE))
    assert b": tool calculate_math success" in body
    line = await gateway.logged()
    assert (line["status"], line["completion_tokens"]) == (200, 6)


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ([b"data: [DONE]"], None),
        ([b"data:[DONE]\n"], None),
        ([usual(DONE), usual(DONE)], None),
        ([usual(DONE), b"trailing garbage"], None),
        ([usual(DONE), usual(chunk(ONE))], None),
        ([usual(chunk(STOP, "stop"))], None),
        ([usual(chunk(STOP, "length")), usual(USAGE)], None),
        ([usual(chunk(STOP, "stop"))[:-2]], None),
        ([b""], "engine_malformed"),
        ([usual(chunk(STOP, "stop"))[:-9]], "engine_malformed"),
        ([b"data: [DONE"], "engine_malformed"),
    ],
)
@pytest.mark.parametrize("fields", [{}, {"tools": [MATH_TOOL]}])
@pytest.mark.parametrize("framing", ["chunked", "until close", "HTTP/1.0"])
async def test_how_a_stream_may_end(gateway, end, code, fields, framing):
    pieces = [usual(chunk(ROLE)), usual(chunk(ONE)), *(piece for piece in end if piece)]
    version = b"1.0" if framing == "HTTP/1.0" else b"1.1"
    head = b"HTTP/%b 200 OK\r\ncontent-type: Text/Event-Stream;charset=UTF-8\r\n\r\n" % version
    gateway.says(streamed(*pieces) if framing == "chunked" else [head, *pieces, None])
    _, body = await gateway.ask(stream=True, **fields)
    assert (b'"error"' in body) is bool(code)
    assert body.endswith(b"\n\n")
    line = await gateway.logged()
    assert (line["status"], line.get("error")) == ((502, code) if code else (200, None))
    assert line["completion_tokens"] >= 2


@pytest.mark.parametrize("after", ["cut", "silence"])
@pytest.mark.parametrize("fields", [{}, {"tools": [MATH_TOOL]}])
async def test_nothing_after_done_spoils_the_answer(gateway, after, fields):
    pieces = streamed(*map(usual, ANSWER))[:-1]
    gateway.says([*pieces, None] if after == "cut" else pieces)
    _, body = await gateway.ask(stream=True, **fields)
    assert b'"error"' not in body
    line = await gateway.logged()
    assert (line["status"], line.get("error"), line["completion_tokens"]) == (200, None, 3)


@pytest.mark.parametrize("gateway", [{"timeouts": {"requestSeconds": 0.2}}], indirect=True)
@pytest.mark.parametrize(("last", "status", "error"), [(usual(DONE), 200, None), (usual(ERROR), 502, "engine_failed")])
async def test_a_limit_that_is_reached_when_all_is_said_changes_nothing(gateway, last, status, error):
    said = usual(chunk(ONE)) + last
    gateway.says(streamed(said)[:-1])
    assert await gateway.ask(stream=True) == (200, said)
    line = await gateway.logged()
    assert (line["status"], line.get("error")) == (status, error)


@pytest.mark.parametrize(
    "case",
    [
        (usual(ERROR), 502, "engine_failed"),
        (b"data:" + ERROR + b"\r\n\r\n", 502, "engine_failed"),
        (b'event: error\ndata: {"message":"out of memory","code":500}\n\n', 502, "engine_failed"),
        (usual(b'{"error":{"message":"out of memory","code":429,"type":"rate"}}'), 429, "429"),
        (usual(b'{"error":{"message":"out of memory","code":"400"}}'), 400, "400"),
        (usual(b'{"object":"error","message":"out of memory","code":503}'), 503, "503"),
        (usual(b'{"error":"out of memory"}'), 502, "engine_failed"),
    ],
)
@pytest.mark.parametrize("then", ["[DONE]", "end", "cut"])
@pytest.mark.parametrize(("path", "fields"), STREAMS)
async def test_an_error_event_is_logged_as_what_it_is(gateway, case, then, path, fields):
    event, status, error = case
    counted = refused()
    before = [usual(chunk(ROLE)), usual(chunk(ONE)), usual(chunk(TWO))]
    after = {"[DONE]": [usual(DONE)], "end": [], "cut": []}[then]
    answer = streamed(*before, event, *after)
    gateway.says([*answer[:-1], None] if then == "cut" else answer)
    answered, body = await gateway.ask(path, stream=True, **fields)
    assert answered == 200
    if not fields:
        assert body == b"".join([*before, event]), "untouched, with nothing added, and without a false [DONE]"
    assert body.count(b"out of memory") == 1
    assert body.count(DONE) == 0
    line = await gateway.logged()
    assert refused() == counted + 1
    assert (line["status"], line["error"]) == (status, error)
    assert line["completion_tokens"] == 3


@pytest.mark.parametrize(
    "case",
    [(usual(ERROR), 502, "engine_failed"), (b'data:{"error":{"message":"too long","code":400}}\n\n', 400, 400)],
)
@pytest.mark.parametrize("size", [9, 1000])
@pytest.mark.parametrize(("path", "fields"), STREAMS)
async def test_a_first_event_with_an_error_is_the_status(gateway, case, size, path, fields):
    event, status, code = case
    gateway.says(streamed(*split(event + usual(DONE), size)))
    answered, body = await gateway.ask(path, stream=True, **fields)
    assert (answered, orjson.loads(body)["error"]["code"]) == (status, code)
    line = await gateway.logged()
    assert (line["status"], line["error"]) == (status, str(code))


@pytest.mark.parametrize("gateway", [{"routing": {"retries": 1}}], indirect=True)
async def test_a_first_event_with_an_error_goes_to_another_attempt(gateway):
    gateway.says(streamed(*split(usual(ERROR), 9)), streamed(*map(usual, ANSWER)))
    status, body = await gateway.ask(stream=True)
    assert (status, gateway.engine.asked) == (200, 2)
    assert body.endswith(usual(DONE))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("body", [b"", b"<html>http://10.0.0.7 is gone</html>", b'{"detail":', b"[]"])
@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"204 No Content", 502),
        (b"307 Temporary Redirect", 502),
        (b"404 Not Found", 404),
        (b"500 Oops", 502),
        (b"502 Bad Gateway", 502),
        (b"503 Busy", 503),
        (b"429 Slow Down", 429),
    ],
)
async def test_the_engines_own_status_is_named_and_nothing_else_of_it(gateway, said, status, body, stream):
    headers = b"location: http://10.0.0.7/secret\r\nretry-after: 99999999999999\r\n"
    if said.startswith(b"204"):
        gateway.says([b"HTTP/1.1 204 No Content\r\n" + headers + b"\r\n"])
    else:
        gateway.says([whole(body, b"text/html", said, headers)])
    async with gateway.orchestrator.client.post(CHAT, json=question(stream=stream)) as response:
        error = (await response.json())["error"]
        assert response.status == status
        assert response.headers.get("retry-after") == (None if status in (404, 502) else "86400")
        assert "location" not in response.headers
    assert error["message"].endswith(f"the engine answered {said[:3].decode()}")
    assert (error["code"] == "endpoint_not_supported") is (status == 404)
    await until(lambda: gateway.orchestrator.busy == 0)


async def test_a_refusal_that_breaks_off_or_never_ends_is_still_one(gateway):
    head = b"HTTP/1.1 %b\r\ncontent-type: text/html\r\ncontent-length: 3000000\r\n\r\n<html>"
    for said, status in ((b"404 Not Found", 404), (b"500 Oops", 502)):
        for rest in ([None], [], [b" " * 2_000_000]):
            gateway.says([head % said, *rest])
            answered, body = await gateway.ask()
            assert answered == status
            assert orjson.loads(body)["error"]["message"].endswith(f"the engine answered {said[:3].decode()}")
            await gateway.logged()


@pytest.mark.parametrize("first", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n"])
async def test_what_only_announces_the_answer_is_skipped(gateway, first):
    gateway.says([first, whole(b'{"choices":[{}]}')])
    assert (await gateway.ask())[0] == 200


async def test_another_protocol_is_an_error(gateway):
    gateway.says([b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"])
    status, body = await gateway.ask()
    assert (status, orjson.loads(body)["error"]["code"]) == (502, "engine_malformed")


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_in_gzip_is_told(gateway, stream):
    kind = b"text/event-stream" if stream else b"application/json"
    gateway.says([whole(b"\x1f\x8b\x08\x00", kind, headers=b"content-encoding: gzip\r\n")])
    status, body = await gateway.ask(stream=stream)
    assert status == 502
    assert "gzip" in orjson.loads(body)["error"]["message"]


@pytest.mark.parametrize("kind", [b"text/plain", b"application/json; charset=utf-8", b"Application/JSON", b""])
async def test_a_whole_answer_of_any_type_is_one(gateway, kind):
    answer = {"choices": [{"message": {"content": "x" * 40}}], "usage": PROMPT}
    gateway.says([whole(orjson.dumps(answer), kind)])
    status, body = await gateway.ask()
    assert (status, orjson.loads(body)) == (200, answer)
    assert (await gateway.logged())["completion_tokens"] == 3


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}, {"prompt_tokens": "5"}, [], 7, "much"])
@pytest.mark.parametrize("fields", [{}, {"tools": [MATH_TOOL]}])
async def test_a_whole_answer_without_usage_is_charged_by_its_length(gateway, usage, fields):
    answer = {"choices": [{"message": {"role": "assistant", "content": "x" * 391}}], "usage": usage}
    gateway.says([whole(orjson.dumps(answer))])
    assert (await gateway.ask(**fields))[0] == 200
    line = await gateway.logged()
    assert line["completion_tokens"] == 100
    assert line["prompt_tokens"] > 0


@pytest.mark.parametrize(
    ("chunks", "completion"),
    [
        ([chunk(ROLE, usage=None), chunk(ONE, usage=None), chunk(STOP, "stop", usage=None), USAGE], 3),
        ([chunk(ROLE), chunk(ONE), chunk(STOP, "stop", usage=PROMPT)], 3),
        ([chunk(ROLE, usage={"prompt_tokens": 5}), chunk(ONE), chunk(STOP, "stop")], 0),
        ([chunk(ROLE), chunk(ONE), chunk(STOP, "stop")], 3),
        ([chunk(None), chunk({"content": None}), b'{"id":"c"}', b'{"choices":null}', chunk(STOP, "eos_token")], 5),
        ([b'{"id":"","model":"","choices":[],"prompt_filter_results":[]}', chunk(ONE), chunk(STOP, "stop"), USAGE], 3),
        ([chunk(ROLE), chunk(ONE), orjson.dumps({"usage": PROMPT})], 3),
    ],
)
@pytest.mark.parametrize("fields", [{}, {"tools": [MATH_TOOL]}])
async def test_usage_wherever_it_is_told(gateway, chunks, completion, fields):
    gateway.says(streamed(*map(usual, [*chunks, DONE])))
    status, body = await gateway.ask(stream=True, **fields)
    assert status == 200
    assert b'"error"' not in body
    line = await gateway.logged()
    assert (line["status"], line["completion_tokens"]) == (200, completion)


async def test_openais_client_reads_azures_stream_with_tools(gateway):
    gateway.says(streamed(usual(b'{"id":"","model":"","object":"","created":0,"choices":[]}'), *map(usual, ANSWER)))
    async with openai.AsyncOpenAI(base_url=f"{gateway.orchestrator.url}/v1", api_key="any", max_retries=0) as client:
        chat: Any = client.chat
        stream = await chat.completions.create(model="double", messages=QUESTION, stream=True, tools=[MATH_TOOL])
        chunks = [part async for part in stream]
    assert {part.id for part in chunks} == {"c"}
    assert "".join(part.choices[0].delta.content or "" for part in chunks) == "one two"


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("fields", [{}, {"tools": [MATH_TOOL]}])
async def test_a_client_that_leaves_is_charged_for_what_came(gateway, spelling, fields):
    events = [chunk(ROLE), *[chunk(ONE)] * 9]
    gateway.says(streamed(*map(SPELLINGS[spelling], events))[:-1])
    await gateway.read_until(lambda received: received.count(b'"content":"one"') == 9, **fields)
    line = await gateway.logged()
    assert (line["status"], line["error"]) == (499, "client_left")
    assert line["completion_tokens"] == 10
    assert line["prompt_tokens"] > 0


@pytest.mark.parametrize(("last", "status", "error"), [(usual(DONE), 200, None), (usual(ERROR), 502, "engine_failed")])
async def test_a_client_that_leaves_when_all_is_said_has_not_left_early(gateway, last, status, error):
    gateway.says(streamed(usual(chunk(ONE)), usual(chunk(STOP, "stop")), last)[:-1])
    await gateway.read_until(lambda received: received.endswith(last))
    line = await gateway.logged()
    assert (line["status"], line.get("error")) == (status, error)
