"""Prometheus metrics; names that rules and dashboards rely on stand in the contract."""

from typing import Final

from prometheus_client import Counter, Gauge
from tandem_contract import metrics as names

from tandem_orchestrator.observability.prometheus import Times

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)
GUARDRAIL_BUCKETS: Final = (0.00001, 0.0001, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30)
TOKEN_SECONDS: Final = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2)

REQUEST_LATENCY: Final = Times(
    names.REQUEST_LATENCY, "Time from a request's arrival to its last byte", ["route", "status"], buckets=SECONDS
)
REQUESTS_IN_FLIGHT: Final = Gauge(
    names.REQUESTS_IN_FLIGHT, "Requests that are being answered", multiprocess_mode="livesum"
)
TIME_TO_FIRST_TOKEN: Final = Times(
    names.TIME_TO_FIRST_TOKEN, "Time from a streamed request's arrival to its first byte", ["model"], buckets=SECONDS
)
TIME_PER_OUTPUT_TOKEN: Final = Times(
    names.TIME_PER_OUTPUT_TOKEN, "Time between two tokens of a stream, on average", ["model"], buckets=TOKEN_SECONDS
)
QUEUE_SECONDS: Final = Times(
    names.QUEUE_SECONDS, "Time that requests waited for an engine", ["model", "class"], buckets=SECONDS
)
ENGINE_SECONDS: Final = Times(
    names.ENGINE_SECONDS, "Time of an engine pass, from its request to its last byte", ["upstream"], buckets=SECONDS
)
TOOL_SECONDS: Final = Times(names.TOOL_SECONDS, "Time of a tool call", ["tool_name"], buckets=SECONDS)
TOKENS: Final = Counter(names.TOKENS, "Tokens that engines counted", ["tenant", "model", "kind"])
TOOL_CALLS_LEFT: Final = Gauge(
    names.TOOL_CALLS_LEFT, "Tool calls that go on after they were given up", ["tool_name"], multiprocess_mode="livesum"
)
TOOL_SOURCES_ABSENT: Final = Gauge(
    names.TOOL_SOURCES_ABSENT, "1 while the tools of a source are absent", ["source"], multiprocess_mode="livemax"
)
TOOL_CALLS: Final = Counter(names.TOOL_CALLS, "Tool calls on the server by their outcome", ["tool_name", "status"])
UPSTREAM_ERRORS: Final = Counter(names.UPSTREAM_ERRORS, "Failed calls to engines", ["upstream", "reason"])
UPSTREAM_FAILURES: Final = Counter(
    names.UPSTREAM_FAILURES,
    "Requests at which an engine failed by its own fault, whatever became of them",
    ["upstream"],
)
UPSTREAM_FIRST_TOKEN: Final = Times(
    names.UPSTREAM_FIRST_TOKEN,
    "Time from a streamed request's sending to an engine to the first bytes of its answer",
    ["upstream"],
    buckets=SECONDS,
)
RETRIES: Final = Counter(
    names.RETRIES, "Further attempts, by the engine and the failure that made them", ["upstream", "reason"]
)
STRUCTURED_OUTPUTS: Final = Counter(
    names.STRUCTURED_OUTPUTS,
    "Answers that were checked against a JSON schema: fit at once, when asked again, or neither",
    ["model", "outcome"],
)
FALLBACKS: Final = Counter(names.FALLBACKS, "Requests that went to another model", ["model", "fallback"])
BREAKERS_OPEN: Final = Gauge(
    names.BREAKERS_OPEN, "Replicas that rest after failures in a row", ["upstream"], multiprocess_mode="livemax"
)
HELD_REQUESTS: Final = Gauge(
    names.HELD_REQUESTS, "Requests that wait for an engine", ["model", "class"], multiprocess_mode="livesum"
)
UPSTREAM_HUNG: Final = Gauge(
    names.UPSTREAM_HUNG,
    "Replicas that answer their checks and do nothing for the requests that they have",
    ["upstream"],
    multiprocess_mode="livemax",
)
UPSTREAM_READY: Final = Gauge(
    names.UPSTREAM_READY,
    "1 while a replica of the upstream answers its checks",
    ["upstream"],
    multiprocess_mode="livemin",
)
CONFIG_RELOAD_SUCCESS: Final = Gauge(
    names.CONFIG_RELOAD_SUCCESS, "0 while the configuration on disk is refused", multiprocess_mode="livemin"
)
CONFIG_RELOAD_TIME: Final = Gauge(
    names.CONFIG_RELOAD_TIME, "Unix time at which the configuration was last taken", multiprocess_mode="livemin"
)
WORKER_RESTARTS: Final = Counter(names.WORKER_RESTARTS, "Workers that ended on their own and were started again")
TRACE_SPANS: Final = Counter(names.TRACE_SPANS, "Spans by what became of them", ["outcome"])
AUTH_FAILURES: Final = Counter(names.AUTH_FAILURES, "Requests refused for their key", ["reason"])
KEYS: Final = Gauge(names.KEYS, "API keys by where they come from", ["source"], multiprocess_mode="livemin")
KEY_FILES_BROKEN: Final = Gauge(
    names.KEY_FILES_BROKEN, "Files of keys that cannot be used, whose former keys count on", multiprocess_mode="livemax"
)
ISSUER_KEYS: Final = Gauge(
    names.ISSUER_KEYS, "Keys of an issuer of tokens that are known", ["issuer"], multiprocess_mode="livemin"
)
ISSUER_FETCHED: Final = Gauge(
    names.ISSUER_FETCHED,
    "When an issuer's keys were last fetched, in seconds since 1970",
    ["issuer"],
    multiprocess_mode="livemin",
)
DATABASE_DOWN: Final = Gauge(names.DATABASE_DOWN, "1 while the database cannot be used", multiprocess_mode="livemax")
RESPONSES: Final = Counter(names.RESPONSES, "Responses by how they ended", ["status"])
COMMIT_SECONDS: Final = Times(
    names.COMMIT_SECONDS, "Time that something waited until it was in the database", ["system"], buckets=SECONDS
)
DATABASE_CONNECTIONS: Final = Gauge(
    names.DATABASE_CONNECTIONS, "Connections to the database that run something", multiprocess_mode="livesum"
)
DATABASE_CONNECTIONS_MAX: Final = Gauge(
    names.DATABASE_CONNECTIONS_MAX, "Connections to the database that there may be", multiprocess_mode="livesum"
)
BACKGROUND_QUEUED: Final = Gauge(
    names.BACKGROUND_QUEUED, "Responses that are queued, as the database has them", multiprocess_mode="livemax"
)
BACKGROUND_AGE: Final = Gauge(
    names.BACKGROUND_AGE, "Seconds since the oldest of them was queued", multiprocess_mode="livemax"
)
BATCHES: Final = Counter(names.BATCHES, "Batches by how they ended", ["status"])
BATCH_LINES: Final = Counter(
    names.BATCH_LINES, "Lines of batches by what came of an attempt; put_off ones are made again", ["outcome"]
)
BATCH_LINES_QUEUED: Final = Gauge(
    names.BATCH_LINES_QUEUED, "Lines of batches that have no outcome yet", multiprocess_mode="livemax"
)
BATCH_AGE: Final = Gauge(
    names.BATCH_AGE, "Seconds since the oldest batch with such lines was made", multiprocess_mode="livemax"
)
TAKEOVERS: Final = Counter(names.TAKEOVERS, "Responses that were taken over from a process that is gone")
INGESTIONS: Final = Counter(names.INGESTIONS, "Files that were brought into indexes, by how it ended", ["outcome"])
INGESTED_CHUNKS: Final = Counter(names.INGESTED_CHUNKS, "Pieces of files that were added to indexes")
INGESTION_QUEUED: Final = Gauge(
    names.INGESTION_QUEUED,
    "Files that wait to be brought into an index, as the database has them",
    multiprocess_mode="livemax",
)
INGESTION_AGE: Final = Gauge(
    names.INGESTION_AGE, "Seconds since the oldest of them was attached", multiprocess_mode="livemax"
)
SWEPT: Final = Counter(names.SWEPT, "Rows that were deleted for their age", ["kind"])
FILE_BYTES: Final = Counter(names.FILE_BYTES, "Bytes of files and of parts of uploads that were kept")
FILES_REFUSED: Final = Counter(
    names.FILES_REFUSED, "Uploads that were refused or failed, by the error's code", ["reason"]
)
FILES_DAMAGED: Final = Counter(names.FILES_DAMAGED, "Reads that found bytes missing, or others than were kept")
LIMITED: Final = Counter(names.LIMITED, "Requests refused for a limit", ["level", "limit"])
LIMITS_SHARED: Final = Gauge(
    names.LIMITS_SHARED, "1 while limits hold across replicas, by way of Redis", multiprocess_mode="livemin"
)
CACHE_REQUESTS: Final = Counter(
    names.CACHE_REQUESTS, "What a cache in Redis was asked for, by whether it had it", ["cache", "result"]
)
TASK_REQUESTS: Final = Counter(
    names.TASK_REQUESTS, "Inputs of tasks by what came of them", ["task", "version", "outcome"]
)
TASK_SECONDS: Final = Times(
    names.TASK_SECONDS, "Time from a task's input to its output, retries and all", ["task", "version"], buckets=SECONDS
)
TASK_RETRIES: Final = Counter(
    names.TASK_RETRIES, "Outputs of models that did not fit, and that they were asked for again", ["task", "version"]
)
RERANKS: Final = Counter(names.RERANKS, "Search results that a reranker was to put in order", ["result"])
GUARDRAIL_DECISIONS: Final = Counter(
    names.GUARDRAIL_DECISIONS,
    "What guardrails found, by what became of the text",
    ["guardrail", "at", "action", "kind"],
)
GUARDRAIL_SECONDS: Final = Times(
    names.GUARDRAIL_SECONDS, "Time that a guardrail looked at a text", ["guardrail"], buckets=GUARDRAIL_BUCKETS
)
