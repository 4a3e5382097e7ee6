"""Names of the metrics that rules, dashboards and autoscalers read."""

from typing import Final

TOOL_CALLS: Final = "tool_calls_total"  # counter: tool_name, status
REQUEST_LATENCY: Final = "request_latency_seconds"  # histogram: route, status
TIME_TO_FIRST_TOKEN: Final = "tandem_time_to_first_token_seconds"  # noqa: S105 # histogram: model
REQUESTS_IN_FLIGHT: Final = "tandem_requests_in_flight"  # gauge
TOKENS: Final = "tandem_tokens_total"  # counter: model, kind (prompt, completion)
UPSTREAM_ERRORS: Final = "tandem_upstream_errors_total"  # counter: upstream, reason
ENGINE_READY: Final = "tandem_engine_ready"  # gauge: upstream
