"""The load tester against services that are well, slow, wrong and gone."""

import asyncio
import time

import orjson
import pytest
from tandem_orchestrator.cli import main
from tandem_orchestrator.load_test.client import Client, Unusable
from tandem_orchestrator.load_test.result import Figures
from tandem_orchestrator.load_test.run import Run
from tandem_orchestrator.load_test.settings import Kind, Settings, Targets

from tests.engine_double import EngineDouble, Reply
from tests.engine_double.canned import CannedEngine, streamed

ONLY_CHAT = {Kind.CHAT: 1.0}
ALL_KINDS = {Kind.CHAT: 1.0, Kind.STREAM: 1.0, Kind.TOOLS: 2.0}


async def figures_of(url: str, **fields) -> Figures:
    settings = Settings(**{"url": url, "mix": ONLY_CHAT, "seconds": 0.3, "concurrency": 4, **fields})
    async with Client(settings) as client:
        await client.prepare()
        return await Run(client, settings).figures(lambda _: None)


async def test_a_service_that_is_well_passes(orchestrator):
    figures = await figures_of(orchestrator.url, mix=ALL_KINDS)
    assert figures.failures(Targets()) == []
    assert set(figures.latency_by_kind) == {"chat", "stream", "tools"}
    assert figures.tool_success_percent == 100
    assert figures.errors == {}
    assert figures.tokens_per_second > 0
    assert 0 < figures.first_token["p50"] <= figures.first_token["p99"]


async def test_slow_answers_fail_it(engine):
    engine.rule = lambda _: Reply(before_first_byte=0.1)
    figures = await figures_of(f"{engine.url}/v1", mix={Kind.CHAT: 1.0, Kind.STREAM: 1.0})
    assert figures.failures(Targets(p95_seconds=5)) == []
    assert "P95 latency" in figures.failures(Targets(p95_seconds=0.1))[0]
    assert figures.first_token["p50"] >= 0.1


async def test_tools_that_give_no_result_fail_it(orchestrator, engine):
    engine.rule = lambda _: Reply("It is about 7.")
    figures = await figures_of(orchestrator.url, mix={Kind.TOOLS: 1.0})
    assert figures.tool_success_percent == 0
    assert figures.errors == {}
    assert figures.failures(Targets()) == ["tool success is 0.00 %, the target is over 99 %"]


async def test_results_with_separators_count(engine):
    def spoken(request):
        one, other = (int(word) for word in request["messages"][0]["content"].split() if word.isdigit())
        return Reply(f"That makes {one * other:,}.")

    engine.rule = spoken
    figures = await figures_of(engine.url, mix={Kind.TOOLS: 1.0})
    assert figures.tool_success_percent == 100


async def test_an_open_loop_keeps_its_rate_when_answers_are_slow(engine):
    engine.rule = lambda _: Reply(before_first_byte=0.5)
    figures = await figures_of(engine.url, rate=50, seconds=0.4)
    assert figures.requests == 20
    assert engine.seen[-1].arrived - engine.seen[0].arrived > 0.3
    running = [sum(other.arrived <= seen.arrived < other.ended for other in engine.seen) for seen in engine.seen]
    assert max(running) >= 5  # a loop that waits for answers has one at a time


async def test_an_open_loop_counts_from_when_a_request_should_have_started(engine):
    asyncio.get_running_loop().call_later(0.1, time.sleep, 0.3)  # nothing can start meanwhile
    figures = await figures_of(engine.url, rate=100, seconds=0.5)
    assert figures.requests == 50
    assert figures.latency["p99"] > 0.25
    assert figures.latency["p50"] > 0.01


async def test_a_closed_loop_has_as_many_clients_as_asked_for(engine):
    most = 0

    def rule(_):
        nonlocal most
        most = max(most, engine.running)
        return Reply(before_first_byte=0.02)

    engine.rule = rule
    await figures_of(engine.url, concurrency=3)
    assert most == 3


@pytest.mark.parametrize(
    ("kind", "reply", "error"),
    [
        (Kind.CHAT, Reply(status=429), "status 429"),
        (Kind.CHAT, Reply(status=503, error={"error": {"code": "no_engine"}}), "status 503 (no_engine)"),
        (Kind.CHAT, Reply(fault="close"), "connection lost (ServerDisconnectedError)"),
        (Kind.CHAT, Reply(fault="malformed_json"), "not a chat completion"),
        (Kind.CHAT, Reply(fault="hang"), "timeout"),
        (Kind.STREAM, Reply(status=429), "status 429"),
        (Kind.STREAM, Reply(fault="cut"), "connection lost (ClientPayloadError)"),
        (Kind.STREAM, Reply(fault="no_done"), "stream ended without [DONE]"),
        (Kind.STREAM, Reply(fault="error_event"), "error event (500)"),
        (Kind.STREAM, Reply(fault="malformed_json"), "event that is not JSON"),
    ],
)
async def test_errors_are_counted_by_kind(engine, kind, reply, error):
    engine.rule = lambda _: reply
    seconds = 0.1 if error == "timeout" else 10
    figures = await figures_of(engine.url, mix={kind: 1.0}, rate=20, seconds=0.1, timeout_seconds=seconds)
    assert figures.errors == {error: 2}
    assert figures.failures(Targets(errors_percent=100)) == ["no request was answered"]


@pytest.mark.parametrize(("begin", "end"), [("data:", "\n\n"), ("data: ", "\r\n\r\n"), (": note\ndata:", "\r\r")])
async def test_streams_are_read_in_any_spelling(begin, end):
    usage = '{"choices":[],"usage":{"completion_tokens":5}}'
    events = ['{"choices":[{"delta":{"content":"a"}}]}', usage, "[DONE]"]
    stream = "".join(begin + event + end for event in events).encode()
    for cut in range(1, len(stream), 7):
        async with (
            CannedEngine(streamed(stream[:cut], stream[cut:])) as engine,
            Client(Settings(engine.url, ONLY_CHAT, 1)) as client,
        ):
            await client.prepare()
            result = await client.send(Kind.STREAM, time.perf_counter())
        assert (result.error, result.tokens) == (None, 5)


async def test_a_few_errors_are_borne(engine):
    engine.replies += [Reply(status=500), *[Reply()] * 19]
    figures = await figures_of(engine.url, rate=100, seconds=0.2)
    assert figures.errors_percent == 5
    assert figures.failures(Targets(errors_percent=5)) == []
    assert figures.failures(Targets()) == ["5.00 % of the requests failed, the target is at most 1 %"]


async def test_a_service_that_cannot_be_tested_is_told_apart(engine):
    url = engine.url
    async with EngineDouble(api_key="right") as locked:
        with pytest.raises(Unusable, match="answers 401"):
            await figures_of(locked.url, api_key="wrong")
        assert (await figures_of(locked.url, api_key="right")).errors == {}
    engine.stop()
    with pytest.raises(Unusable, match="cannot be reached"):
        await figures_of(url)


async def test_the_command(orchestrator, engine, tmp_path, capsys):
    key = tmp_path / "key"
    key.write_text("secret-key\n")
    arguments = ["load-test", "--url", orchestrator.url, "--duration", "0.2", "--output", "json"]
    arguments += ["--api-key-file", str(key), "--mix", "chat=1"]
    assert await asyncio.to_thread(main, arguments) == 0
    shown = capsys.readouterr()
    document = orjson.loads(shown.out)
    assert document["verdict"] == "pass"
    assert document["requests"] == len(engine.seen) > 0
    assert "secret-key" not in shown.out + shown.err
    assert await asyncio.to_thread(main, [*arguments, "--target-p95", "0.000001"]) == 1
    assert orjson.loads(capsys.readouterr().out)["verdict"] == "fail"
    assert await asyncio.to_thread(main, [*arguments[:-2], "--output", "text"]) == 0
    assert capsys.readouterr().out.endswith("PASS\n")
    engine.stop()
    assert await asyncio.to_thread(main, ["load-test", "--url", engine.url]) == 2
    assert "cannot be reached" in capsys.readouterr().err
