"""Variables without `TANDEM_`: some stay, the others are read with a note of the newer name."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from pydantic.alias_generators import to_snake
from tandem_contract.config import UpstreamType

from tandem_orchestrator.config.older_names import (
    DATABASE_METRICS,
    RATE_LIMITS,
    Found,
    OlderName,
    log_format,
    nothing,
    setting,
)


class Backend(NamedTuple):
    """An engine that is named by its kind."""

    type: UpstreamType
    url: str
    """Where it listens on this machine, unless it is told otherwise."""


BACKEND: Final = "LLM_BACKEND"
BACKENDS: Final = {
    "ollama": Backend(UpstreamType.OPENAI, "http://localhost:11434"),
    "vllm": Backend(UpstreamType.VLLM, "http://localhost:8000"),
}


def _renamed(path: str, convert: Callable[[str], Any] | None = None, now: str | None = None) -> OlderName:
    newer = now or "TANDEM_" + "__".join(to_snake(part).upper() for part in path.split("."))
    return OlderName(setting(path, convert), f"is read as {path} ({newer})")


def _staying(path: str, convert: Callable[[str], Any] | None = None) -> OlderName:
    return OlderName(setting(path, convert))


def _separated(text: str) -> list[str]:
    return [part for item in text.split(",") if (part := item.strip())]


def _engine_type(text: str) -> str:
    if (named := _backend(text)) is None:
        raise ValueError(f"expected {' or '.join(BACKENDS)}; other engines are listed under upstreams")
    return named.type.value


def _backend(text: str) -> Backend | None:
    return BACKENDS.get(text.strip().lower())


OLDER_VARIABLES: Final[dict[str, OlderName]] = {
    BACKEND: OlderName(
        setting("upstreams.0.type", _engine_type),
        "is read as upstreams.0.type (TANDEM_UPSTREAMS); without a URL the engine is looked for at its usual port here "
        "(VLLM_URL)",
    ),
    "VLLM_BASE_URL": _renamed("upstreams.0.url", now="VLLM_URL"),
    "VLLM_URL": _staying("upstreams.0.url"),
    "VLLM_API_KEY": _staying("upstreams.0.apiKeyValue"),
    "MODEL_ID": _staying("upstreams.0.model"),
    "LOG_LEVEL": _staying("logging.level", str.upper),
    "JSON_LOGS": _renamed("logging.format", log_format),
    "STACK_API_KEYS": _renamed("keys.values", _separated, now="API_KEYS"),
    "API_KEYS": _staying("keys.values", _separated),
    "REQUIRE_API_KEY": _renamed("keys.required"),
    "DATABASE_URL": _renamed("database.url"),
    "DATABASE_POOL_SIZE": _renamed("database.poolSize"),
    "DATABASE_MAX_OVERFLOW": _renamed("database.maxOverflow"),
    "REDIS_URL": _renamed("redis.url"),
    "REDIS_DEFAULT_TTL": OlderName(
        nothing,
        "sets nothing: answers are kept for redis.answersSeconds, and counts end with their minute, day or month; "
        "responses and conversations are kept in the database for responses.retentionDays",
        idle=True,
    ),
    "GLOBAL_REQUESTS_PER_MINUTE": _renamed("rateLimits.requestsPerMinute"),
    "TENANT_REQUESTS_PER_MINUTE": _renamed("rateLimits.tenantRequestsPerMinute"),
    "ENABLE_RATE_LIMITING": RATE_LIMITS,
    "ENABLE_METRICS": _renamed("standalone.metrics"),
    "ENABLE_DB_MONITORING": DATABASE_METRICS,
    "MAX_REQUEST_SIZE": _renamed("limits.maxBodyBytes"),
    "WORKERS": _renamed("server.workers"),
    "CORS_ORIGINS": _renamed("server.cors.allowOrigins", _separated),
    "OTEL_EXPORTER_OTLP_ENDPOINT": _staying("tracing.endpoint"),
}
"""Of two for one setting the later one here wins, and `ENABLE_RATE_LIMITING` over the limits above it."""


def read(data: dict[str, Any], environ: Mapping[str, str], found: Found) -> None:
    """Set in `data`, whose keys are camelCase, what these variables say; an empty one says nothing."""
    if not data.get("upstreams") and (named := _backend(environ.get(BACKEND, ""))):
        data["upstreams"] = [{"name": "engine", "url": named.url}]
    for name, older in OLDER_VARIABLES.items():
        if text := environ.get(name):
            found.take(data, name, older, text)
