import pytest
from tandem_orchestrator.load_test.result import Figures, Result, percentile
from tandem_orchestrator.load_test.settings import Kind, Targets, parse_mix


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([3.0], 50, 3.0), ([3.0, 1.0, 2.0], 50, 2.0), (range(1, 101), 95, 95), (range(1, 101), 99, 99)],
)
def test_percentile(values, percent, expected):
    assert percentile(values, percent) == expected


def test_mix():
    assert parse_mix("chat=60, stream=30,tools=0.5") == {Kind.CHAT: 60, Kind.STREAM: 30, Kind.TOOLS: 0.5}


@pytest.mark.parametrize("text", ["", "chat", "chat=x", "poem=1", "chat=-1,stream=5", "chat=0"])
def test_a_mix_that_means_nothing_is_refused(text):
    with pytest.raises(ValueError, match="share"):
        parse_mix(text)


def test_a_failed_request_has_no_latency_and_no_tool_success():
    results = [
        Result(Kind.TOOLS, 0.5, tool_used=True, tokens=10),
        Result(Kind.TOOLS, 9.0, error="timeout"),
    ]
    figures = Figures(results, 2.0)
    assert figures.latency == {"p50": 0.5, "p95": 0.5, "p99": 0.5}
    assert figures.tool_success_percent == 50
    assert figures.errors == {"timeout": 1}
    assert (figures.requests_per_second, figures.tokens_per_second) == (0.5, 5)


def test_targets_are_strict_bounds():
    figures = Figures([Result(Kind.CHAT, 2.0)], 2.0)
    assert figures.failures(Targets()) == ["P95 latency is 2.000 s, the target is under 2 s"]
    assert figures.failures(Targets(p95_seconds=2.001)) == []
    assert figures.tool_success_percent is None
    text = figures.text(Targets())
    assert "none asked for" in text
    assert text.endswith("FAIL: P95 latency is 2.000 s, the target is under 2 s")
