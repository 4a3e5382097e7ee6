"""Traces, as a collector gets them."""

import socket

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from tests.engine_double import Call, Reply
from tests.sockets.running import MATH_TOOL, config_for, question
from tests.sockets.runtime.collector import Collector

CHAT = "/v1/chat/completions"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SERVER, CLIENT, INTERNAL = 2, 3, 1


@pytest.fixture
async def collector():
    async with Collector() as collector:
        yield collector


@pytest.fixture
async def traced(serve, engine, collector):
    return await serve(config_for(engine, tracing={"endpoint": collector.url}))


async def ask(orchestrator, traceparent=f"00-{TRACE}-{PARENT}-01", **fields):
    async with orchestrator.client.post(CHAT, json=question(**fields), headers={"traceparent": traceparent}) as answer:
        await answer.read()
        return answer.headers["x-request-id"]


async def delivered(orchestrator, collector):
    """The spans of each kind; they are delivered when the orchestrator stops, at the latest."""
    await orchestrator.stop()
    return [[span for span in collector.spans if span.kind == kind] for kind in (SERVER, CLIENT, INTERNAL)]


async def test_a_request_with_a_tool_is_one_trace_from_client_to_engine(traced, engine, collector):
    engine.replies += [Reply("", (Call("calculate_math", '{"expression": "6*7"}'),)), Reply("42")]
    request_id = await ask(traced, tools=[MATH_TOOL])
    (request,), passes, (tool,) = await delivered(traced, collector)

    assert {span.trace for span in collector.spans} == {TRACE}
    assert (request.above, {span.above for span in (*passes, tool)}) == (PARENT, {request.id})
    assert [span.name for span in (request, *passes, tool)] == [
        f"POST {CHAT}",
        "chat double",
        "chat double",
        "execute_tool calculate_math",
    ]
    assert request.attributes["http.response.status_code"] == 200
    assert (request.attributes["http.route"], request.attributes["tandem.request_id"]) == (CHAT, request_id)
    assert (request.attributes["gen_ai.usage.input_tokens"], request.attributes["gen_ai.usage.output_tokens"]) == (
        sum(span.attributes["gen_ai.usage.input_tokens"] for span in passes),
        sum(span.attributes["gen_ai.usage.output_tokens"] for span in passes),
    )
    assert (
        passes[0].attributes.items()
        >= {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "vllm",
            "gen_ai.request.model": "double",
            "tandem.upstream": "engine-0",
        }.items()
    )
    assert (
        tool.attributes.items()
        >= {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "calculate_math",
            "gen_ai.tool.type": "function",
        }.items()
    )
    assert [seen.headers["traceparent"] for seen in engine.seen] == [f"00-{TRACE}-{span.id}-01" for span in passes]
    assert collector.resource["service.name"] == "tandem-orchestrator"


async def test_streams_retries_and_errors_are_spans_too(traced, engine, collector):
    engine.replies += [Reply(fault="close", raw=b"HTTP/1.1 200"), Reply(between_pieces=0.005)]
    await ask(traced, stream=True)
    await ask(traced, model="unknown")
    (stream, unknown), (failed, answered), _ = await delivered(traced, collector)
    assert (failed.failed, failed.attributes["error.type"]) == (True, "engine_cut")
    assert answered.seconds > 0.05
    assert answered.attributes["gen_ai.usage.output_tokens"] == stream.attributes["gen_ai.usage.output_tokens"] == 14
    assert (unknown.attributes["http.response.status_code"], unknown.attributes["error.type"]) == (
        404,
        "model_not_found",
    )


@pytest.mark.parametrize("traceparent", ["", "00-nonsense-01", f"00-{'0' * 32}-{PARENT}-01"])
async def test_without_a_clients_trace_there_is_a_new_one(traced, engine, collector, traceparent):
    await ask(traced, traceparent)
    await traced.get("/ready")
    (request,), (engine_pass,), _ = await delivered(traced, collector)
    assert (request.above, engine_pass.trace) == ("", request.trace)
    assert request.trace not in (TRACE, "0" * 32)


async def test_what_the_client_does_not_sample_is_passed_on_and_not_delivered(traced, engine, collector):
    await ask(traced, f"00-{TRACE}-{PARENT}-00")
    await traced.stop()
    assert not collector.spans
    assert engine.seen[0].headers["traceparent"].startswith(f"00-{TRACE}-")
    assert engine.seen[0].headers["traceparent"].endswith("-00")


async def test_the_share_of_traces_and_headers_for_the_collector(serve, engine, collector, tmp_path):
    (tmp_path / "headers").write_text("x-tenant: one\nauthorization: Basic abc=\n")
    tracing = {"endpoint": f"{collector.url}/v1/traces", "headers": {"file": str(tmp_path / "headers")}}
    orchestrator = await serve(config_for(engine, tracing=tracing))
    await ask(orchestrator)
    await orchestrator.stop()
    assert (collector.headers["x-tenant"], collector.headers["authorization"]) == ("one", "Basic abc=")
    collector.spans.clear()
    orchestrator = await serve(config_for(engine, tracing={"endpoint": collector.url, "sampleRatio": 0}))
    await ask(orchestrator, "")
    await orchestrator.stop()
    assert not collector.spans


async def test_a_collector_that_is_away_costs_a_line_and_no_request(serve, engine, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.observability.otel.EXPORT_SECONDS", 1.5)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        orchestrator = await serve(config_for(engine, tracing={"endpoint": endpoint}))
        failed = REGISTRY.get_sample_value("tandem_trace_spans_total", {"outcome": "failed"}) or 0
        with capture_logs() as lines:
            assert [(await orchestrator.chat())[0] for _ in range(3)] == [200] * 3
            await orchestrator.stop()
    (line,) = [line for line in lines if line["event"] == "traces cannot be delivered"]
    assert line["endpoint"] == f"{endpoint}/v1/traces"
    assert "refused" in line["problem"]
    assert REGISTRY.get_sample_value("tandem_trace_spans_total", {"outcome": "failed"}) == failed + 6


async def test_more_spans_than_wait_are_lost_and_counted(serve, engine, collector, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.observability.otel.MAX_WAITING", 16)
    orchestrator = await serve(config_for(engine, tracing={"endpoint": collector.url}))
    dropped = REGISTRY.get_sample_value("tandem_trace_spans_total", {"outcome": "dropped"}) or 0
    collector.hold.clear()
    for _ in range(11):
        await orchestrator.chat()
    collector.hold.set()
    await orchestrator.stop()
    assert len(collector.spans) == 16
    assert REGISTRY.get_sample_value("tandem_trace_spans_total", {"outcome": "dropped"}) == dropped + 6
