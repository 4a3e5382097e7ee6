"""What is kept and told of a request."""

import pytest
from prometheus_client import REGISTRY
from tandem_orchestrator.api.services import State
from tandem_orchestrator.observability import logs, recorded
from tandem_orchestrator.observability.record import EnginePass, record_of
from tandem_orchestrator.observability.recorded import Recorded

ANSWER = b'{"ok":true}'


@pytest.fixture
def lines(monkeypatch):
    """The log lines of requests, as they are handed over."""
    found: list[dict[str, object]] = []
    monkeypatch.setattr(logs, "_threshold", 20)
    monkeypatch.setattr(logs, "write_request", found.append)
    return found


async def request(fill=lambda _: None, path="/v1/chat/completions", **recorded):
    sent = []

    async def app(scope, receive, send):
        record = record_of(scope)
        record.route = path
        fill(record)
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": ANSWER})

    async def receive():
        return {"type": "http.request", "body": b'{"messages":"confided"}'}

    async def send(message):
        sent.append(message)

    application = Recorded(app, State())
    for name, value in recorded.items():
        setattr(application, name, value)
    await application({"type": "http", "method": "POST", "path": path, "headers": []}, receive, send)
    return sent


def sample(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0


async def test_a_line_says_who_asked_what_and_how_long_its_parts_took(lines):
    def fill(record):
        record.tenant, record.key_id, record.model = "team", "key_1", "m"
        record.queued(0.25, "interactive")
        engine_pass = EnginePass(record, "engine")
        engine_pass.count_usage({"prompt_tokens": 3, "completion_tokens": 4})
        engine_pass.end()
        with record.tool("calculate_math", "call_1"):
            pass
        record.tool_calls.append("calculate_math:success")

    sent = await request(fill)
    (line,) = lines
    expected = {
        "event": "request",
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 200,
        "tenant": "team",
        "key_id": "key_1",
        "model": "m",
        "upstream": "engine",
        "stream": False,
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "queue_ms": 250.0,
        "tool_calls": ["calculate_math:success"],
    }
    assert line.items() >= expected.items()
    assert {"time", "level", "duration_ms", "engine_ms", "tools_ms"} <= set(line)
    assert (b"x-request-id", line["request_id"].encode()) in sent[0]["headers"]
    assert "confided" not in str(line)
    assert "trace_id" not in line


async def test_bodies_are_logged_where_that_is_asked_for_up_to_a_bound(lines, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.observability.record.MAX_LOGGED_BODY", 12)
    await request(log_prompts=True)
    assert (lines[0]["request_body"], lines[0]["answer_body"]) == ('{"messages":', ANSWER.decode())


async def test_probes_are_logged_at_debug_alone(lines, monkeypatch):
    await request(path="/ready")
    assert not lines
    monkeypatch.setattr(logs, "_threshold", 10)
    await request(path="/ready")
    assert lines


async def test_times_and_tokens_are_counted(monkeypatch):
    def fill(record):
        record.tenant, record.model = "counted", "slow"
        record.started -= 3.0
        record.first_byte = 1.0
        record.queued(7.0, "interactive")
        record.count_usage({"prompt_tokens": 5, "completion_tokens": 11})

    await request(fill)
    assert sample("tandem_tokens_total", tenant="counted", model="slow", kind="prompt") == 5
    assert sample("tandem_tokens_total", tenant="counted", model="slow", kind="completion") == 11
    assert sample("tandem_time_to_first_token_seconds_sum", model="slow") == 1.0
    assert sample("tandem_time_per_output_token_seconds_sum", model="slow") == pytest.approx(0.2, abs=0.01)
    assert sample("tandem_queue_seconds_sum", **{"class": "interactive"}, model="slow") == 7.0


async def test_tenants_beyond_the_bound_are_counted_together(monkeypatch):
    monkeypatch.setattr(recorded, "MAX_TENANTS", 2)
    monkeypatch.setattr(recorded, "_tenants", set())
    for number in range(4):

        def fill(record, number=number):
            record.tenant, record.model = f"tenant-{number}", "crowded"
            record.count_usage({"prompt_tokens": 1, "completion_tokens": 1})

        await request(fill)
    counted = {name: sample("tandem_tokens_total", tenant=name, model="crowded", kind="prompt") for name in names(4)}
    assert counted == {"tenant-0": 1, "tenant-1": 1, "tenant-2": 0, "tenant-3": 0}
    assert sample("tandem_tokens_total", tenant="other", model="crowded", kind="prompt") == 2


def names(count):
    return [f"tenant-{number}" for number in range(count)]


async def test_an_engine_pass_is_timed_once_however_often_it_ends():
    before = sample("tandem_engine_seconds_count", upstream="once")

    def fill(record):
        engine_pass = EnginePass(record, "once")
        engine_pass.end()
        engine_pass.end(ValueError())

    await request(fill)
    assert sample("tandem_engine_seconds_count", upstream="once") == before + 1
