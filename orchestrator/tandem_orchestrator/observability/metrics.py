"""Prometheus metrics; names that rules and dashboards rely on stand in the contract."""

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics
from tandem_contract import metrics as names

disable_created_metrics()  # type: ignore[no-untyped-call]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)

REQUEST_LATENCY = Histogram(
    names.REQUEST_LATENCY, "Time from a request's arrival to its last byte", ["route", "status"], buckets=SECONDS
)
REQUESTS_IN_FLIGHT = Gauge(names.REQUESTS_IN_FLIGHT, "Requests that are being answered")
TIME_TO_FIRST_TOKEN = Histogram(
    names.TIME_TO_FIRST_TOKEN, "Time from a streamed request's arrival to its first byte", ["model"], buckets=SECONDS
)
TOKENS = Counter(names.TOKENS, "Tokens that engines counted", ["model", "kind"])
TOOL_CALLS = Counter(names.TOOL_CALLS, "Tool calls on the server by their outcome", ["tool_name", "status"])
UPSTREAM_ERRORS = Counter(names.UPSTREAM_ERRORS, "Failed calls to engines", ["upstream", "reason"])
ENGINE_READY = Gauge(names.ENGINE_READY, "1 when the engine answered its last check", ["upstream"])
