"""Keys of an older shape of the file, each read as the setting that it is today."""

from collections.abc import Callable
from typing import Any, Final

from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.config.errors import no_such_setting
from tandem_orchestrator.config.older_names import DATABASE_METRICS, RATE_LIMITS, Found, OlderName, setting


def _renamed(path: str, convert: Callable[[Any], Any] | None = None) -> OlderName:
    return OlderName(setting(path, convert), f"is read as {path}")


OLDER_KEYS: Final[dict[str, dict[str, OlderName]]] = {
    "server": {
        "host": _renamed("standalone.host"),
        "port": _renamed("standalone.port"),
    },
    "vllm": {
        "base_url": _renamed("upstreams.0.url"),
        "timeout": _renamed("timeouts.firstByteSeconds"),
        "max_retries": _renamed("routing.retries"),
    },
    "security": {
        "require_api_key": _renamed("keys.required"),
        "api_keys": _renamed("keys.values"),
        "cors_origins": _renamed("server.cors.allowOrigins"),
    },
    "rate_limiting": {
        "global_rpm": _renamed("rateLimits.requestsPerMinute"),
        "tenant_rpm": _renamed("rateLimits.tenantRequestsPerMinute"),
        "enable": RATE_LIMITS,
    },
    "monitoring": {
        "enable_metrics": _renamed("standalone.metrics"),
        "enable_db_monitoring": DATABASE_METRICS,
    },
}
"""By section; the keys of `database` and `server.workers` were then what they are today."""
_TODAY: Final = OrchestratorConfig.model_fields


def read(data: dict[str, Any], found: Found) -> dict[str, Any]:
    """Return `data`, with older keys read as today's settings; where today's are set as well, these count.

    Keys of today have to be camelCase.
    """
    today, older = dict(data), dict[str, Any]()
    for section, names in OLDER_KEYS.items():
        if not isinstance(written := today.get(section), dict):
            continue
        for key, name in names.items():
            if written.get(key) is not None:
                found.take(older, f"{section}.{key}", name, written[key])
        left = {key: value for key, value in written.items() if key not in names}
        if section in _TODAY:
            today[section] = left
        else:
            del today[section]
            found.problems += [no_such_setting(section, str(key)) for key in left]
    return _over(older, today)


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return both together; of two values for one setting that of `above` counts."""
    both = dict(below)
    for key, value in above.items():
        under = both.get(key)
        if isinstance(under, dict) and isinstance(value, dict):
            both[key] = _over(under, value)
        elif value is not None or key not in both:
            both[key] = value
    return both
