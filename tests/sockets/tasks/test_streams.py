"""Outputs that can be seen while they are made: each part parses, and all parts together are not long."""

import json

import pytest

from tests.engine_double import Reply
from tests.engine_double.canned import CannedEngine
from tests.sockets.running import AT_ONCE
from tests.sockets.tasks.conftest import FITS, GIVEN, MISSES, PATH, counted, read, says, with_tasks


async def streamed(orchestrator, **fields):
    async with orchestrator.client.post(PATH, json={"input": GIVEN, "stream": True, **fields}) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/event-stream"
        return read(await response.text())


async def test_parts_come_before_the_whole(served, engine):
    long = {**FITS, "summary": " ".join(f"word{n}" for n in range(400))}
    engine.rule = lambda _: says(long)
    before = counted("success")
    *parts, (kind, last) = await streamed(served)
    assert {name for name, _ in parts} == {"task.partial"}
    assert 10 < len(parts) < 100
    assert all(data["type"] == "task.partial" for _, data in parts)
    summaries = [data["output"].get("summary", "") for _, data in parts]
    assert summaries == sorted(summaries, key=len)
    assert all(long["summary"].startswith(summary) for summary in summaries)
    assert sum(len(json.dumps(data)) for _, data in parts) < 12 * len(json.dumps(long))
    assert kind == "task.completed"
    result = last["result"]
    assert (result["object"], result["version"], result["output"]) == ("task.result", "1", long)
    assert result["usage"]["completion_tokens"] == 403
    assert counted("success") == before + 1


async def test_an_output_that_does_not_fit_begins_again(served, engine):
    engine.replies.extend([says(MISSES), says(FITS)])
    events = await streamed(served)
    kinds = [kind for kind, _ in events]
    retry = kinds.index("task.retry")
    assert "not one of" in events[retry][1]["message"]
    assert kinds[-1] == "task.completed"
    assert "task.partial" in kinds[retry:]
    assert events[-1][1]["result"]["output"] == FITS
    assert events[-1][1]["result"]["usage"]["prompt_tokens"] == 7 + 21


async def test_failures_before_the_first_part_are_errors_and_later_ones_end_the_stream(serve, engine, lines):
    orchestrator = await serve(with_tasks(engine, **AT_ONCE))
    for fields, status in (({"input": {}}, 400), ({"version": "9"}, 404)):
        async with orchestrator.client.post(PATH, json={"input": GIVEN, "stream": True, **fields}) as response:
            assert (response.status, response.content_type) == (status, "application/json")
    engine.rule = lambda _: Reply(status=400)
    async with orchestrator.client.post(PATH, json={"input": GIVEN, "stream": True}) as response:
        assert (response.status, response.content_type) == (400, "application/json")
    codes = []
    for reply in (
        says(MISSES),
        says(FITS, fault="cut"),
        says(FITS, fault="error_event"),
        says(FITS, fault="malformed_json"),
    ):
        engine.rule = lambda _, reply=reply: reply
        events = await streamed(orchestrator)
        assert "task.completed" not in [kind for kind, _ in events]
        codes.append(events[-1][1]["error"]["code"])
    assert codes == ["invalid_output", "engine_cut", "engine_failed", "engine_malformed"]
    assert [line["error"] for line in lines if line["path"] == PATH][-4:] == [str(code) for code in codes]


async def test_the_engine_hears_that_a_client_has_left(served, engine):
    engine.rule = lambda _: says({**FITS, "summary": "word " * 1000}, between_pieces=0.01)
    before = counted("cancelled")
    async with served.client.post(PATH, json={"input": GIVEN, "stream": True}) as response:
        await response.content.readline()
        response.close()
    await engine.until(lambda: engine.seen[0].outcome == "left", 10)
    assert counted("cancelled") == before + 1


@pytest.mark.parametrize(
    "content", ["5", '["x"]', '{"a": 1}', '"\\ud800"'], ids=["number", "list", "object", "surrogate"]
)
async def test_engines_of_other_makes_end_no_stream_without_a_word(serve, content):
    chunk = b'data: {"choices":[{"index":0,"delta":{"content":%b},"finish_reason":"stop"}]}\n\n' % content.encode()
    body = chunk + b"data: [DONE]\n\n"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(body)
    async with CannedEngine([head + body]) as engine:
        orchestrator = await serve(with_tasks(engine, **AT_ONCE))
        events = await streamed(orchestrator)
        assert events[-1][1]["error"]["code"] == "engine_malformed"
