"""Names of the metrics that rules, dashboards and autoscalers read."""

from typing import Final

TOOL_CALLS: Final = "tool_calls_total"  # counter: tool_name, status
REQUEST_LATENCY: Final = "request_latency_seconds"  # histogram: route, status
TIME_TO_FIRST_TOKEN: Final = "tandem_time_to_first_token_seconds"  # noqa: S105 # histogram: model
TIME_PER_OUTPUT_TOKEN: Final = "tandem_time_per_output_token_seconds"  # noqa: S105 # histogram: model
QUEUE_SECONDS: Final = "tandem_queue_seconds"  # histogram: model, class (interactive, batch)
ENGINE_SECONDS: Final = "tandem_engine_seconds"  # histogram: upstream
TOOL_SECONDS: Final = "tandem_tool_seconds"  # histogram: tool_name
TOOL_CALLS_LEFT: Final = "tandem_tool_calls_left"  # gauge: tool_name; calls that go on after they were given up
TOOL_SOURCES_ABSENT: Final = "tandem_tool_sources_absent"  # gauge: source; 1 while its tools are absent
REQUESTS_IN_FLIGHT: Final = "tandem_requests_in_flight"  # gauge
TOKENS: Final = "tandem_tokens_total"  # counter: tenant, model, kind (prompt, completion)
UPSTREAM_ERRORS: Final = "tandem_upstream_errors_total"  # counter: upstream, reason
UPSTREAM_FAILURES: Final = "tandem_upstream_failures_total"  # counter: upstream; requests that it is to blame for
UPSTREAM_FIRST_TOKEN: Final = "tandem_upstream_first_token_seconds"  # noqa: S105 # histogram: upstream
RETRIES: Final = "tandem_retries_total"  # counter: upstream, reason
STRUCTURED_OUTPUTS: Final = "tandem_structured_outputs_total"  # counter: model, outcome (valid, corrected, invalid)
FALLBACKS: Final = "tandem_fallbacks_total"  # counter: model, fallback
BREAKERS_OPEN: Final = "tandem_breakers_open"  # gauge: upstream
HELD_REQUESTS: Final = "tandem_held_requests"  # gauge: model, class (interactive, batch)
UPSTREAM_HUNG: Final = "tandem_upstream_hung"  # gauge: upstream; replicas that do nothing for their requests
UPSTREAM_READY: Final = "tandem_upstream_ready"  # gauge: upstream
CONFIG_RELOAD_SUCCESS: Final = "tandem_config_reload_success"  # gauge: 0 while the file on disk is refused
CONFIG_RELOAD_TIME: Final = "tandem_config_reload_timestamp_seconds"  # gauge: when the configuration was last taken
WORKER_RESTARTS: Final = "tandem_worker_restarts_total"  # counter
TRACE_SPANS: Final = "tandem_trace_spans_total"  # counter: outcome (sent, failed, dropped)
AUTH_FAILURES: Final = "tandem_auth_failures_total"  # counter: reason
KEYS: Final = "tandem_keys"  # gauge: source (values, files, database)
KEY_FILES_BROKEN: Final = "tandem_key_files_broken"  # gauge
ISSUER_KEYS: Final = "tandem_oidc_keys"  # gauge: issuer
ISSUER_FETCHED: Final = "tandem_oidc_keys_fetched_timestamp_seconds"  # gauge: issuer
DATABASE_DOWN: Final = "tandem_database_down"  # gauge: 1 while the database cannot be used
RESPONSES: Final = "tandem_responses_total"  # counter: status (completed, failed, incomplete, cancelled)
COMMIT_SECONDS: Final = "tandem_database_commit_seconds"  # histogram: system (sqlite, postgresql)
DATABASE_CONNECTIONS: Final = "tandem_database_connections"  # gauge: connections that run something
DATABASE_CONNECTIONS_MAX: Final = "tandem_database_connections_max"  # gauge: as many as there may be
BACKGROUND_QUEUED: Final = "tandem_background_queued"  # gauge: the same from every process
BACKGROUND_AGE: Final = "tandem_background_oldest_seconds"  # gauge: the same from every process
BATCHES: Final = "tandem_batches_total"  # counter: status (completed, failed, expired, cancelled)
BATCH_LINES: Final = "tandem_batch_lines_total"  # counter: outcome (completed, failed, put_off)
BATCH_LINES_QUEUED: Final = "tandem_batch_lines_queued"  # gauge: 0 but from the process that works at batches
BATCH_AGE: Final = "tandem_batch_oldest_seconds"  # gauge: the same
TAKEOVERS: Final = "tandem_background_takeovers_total"  # counter
INGESTIONS: Final = "tandem_ingestions_total"  # counter: outcome (completed, failed, retried, dropped)
INGESTED_CHUNKS: Final = "tandem_ingested_chunks_total"  # counter
INGESTION_QUEUED: Final = "tandem_ingestion_queued"  # gauge: the same from every process
INGESTION_AGE: Final = "tandem_ingestion_oldest_seconds"  # gauge: the same from every process
SWEPT: Final = "tandem_swept_rows_total"  # counter: kind (responses, conversations, events, files, indexes and others)
FILE_BYTES: Final = "tandem_file_bytes_total"  # counter
FILES_REFUSED: Final = "tandem_files_refused_total"  # counter: reason
FILES_DAMAGED: Final = "tandem_files_damaged_total"  # counter
LIMITED: Final = "tandem_limited_requests_total"  # counter: level (key, tenant, service), limit
LIMITS_SHARED: Final = "tandem_limits_shared"  # gauge: 1 while peers share what they counted
CACHE_REQUESTS: Final = "tandem_cache_requests_total"  # counter: cache (vectors), result (hit, miss)
TASK_REQUESTS: Final = (
    "tandem_task_requests_total"  # counter: task, version, outcome (success, invalid_input, and others)
)
TASK_SECONDS: Final = "tandem_task_seconds"  # histogram: task, version
TASK_RETRIES: Final = "tandem_task_retries_total"  # counter: task, version
RERANKS: Final = "tandem_reranks_total"  # counter: result (done, failed)
GUARDRAIL_DECISIONS: Final = "tandem_guardrail_decisions_total"  # counter: guardrail, on, action, kind
GUARDRAIL_SECONDS: Final = "tandem_guardrail_seconds"  # histogram: guardrail
