"""Environment variables: `TANDEM_TOOLS__MAX_ROUNDS=4` sets `tools.maxRounds`; others have names of their own.

Lists and sections are written in YAML or JSON, such as `TANDEM_UPSTREAMS='[{name: a, url: "http://a:8000"}]'`.
"""

import os
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel
from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.config.yaml_text import YamlError, parse

PREFIX: Final = "TANDEM_"
CONFIG_VARIABLE: Final = "TANDEM_CONFIG"


def _as_it_is(text: str) -> Any:
    return text


def _separated(text: str) -> Any:
    return [part for item in text.split(",") if (part := item.strip())]


OLDER_NAMES: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "VLLM_BASE_URL": ("upstreams.0.url", _as_it_is),
    "VLLM_URL": ("upstreams.0.url", _as_it_is),
    "VLLM_API_KEY": ("upstreams.0.apiKeyValue", _as_it_is),
    "MODEL_ID": ("upstreams.0.model", _as_it_is),
    "LOG_LEVEL": ("logging.level", str.upper),
    "API_KEYS": ("keys.values", _separated),
    "REQUIRE_API_KEY": ("keys.required", _as_it_is),
    "DATABASE_URL": ("database.url", _as_it_is),
    "REDIS_URL": ("redis.url", _as_it_is),
    "GLOBAL_REQUESTS_PER_MINUTE": ("rateLimits.requestsPerMinute", _as_it_is),
    "TENANT_REQUESTS_PER_MINUTE": ("rateLimits.tenantRequestsPerMinute", _as_it_is),
    "MAX_REQUEST_SIZE": ("limits.maxBodyBytes", _as_it_is),
    "WORKERS": ("server.workers", _as_it_is),
    "CORS_ORIGINS": ("server.cors.allowOrigins", _separated),
    "OTEL_EXPORTER_OTLP_ENDPOINT": ("tracing.endpoint", _as_it_is),
}
"""Variables with names of their own; of two for one setting the later one here wins."""


def overlay(data: dict[str, Any], environ: Mapping[str, str]) -> list[str]:
    """Set in `data`, whose keys are camelCase, what variables say; return a problem for each that cannot be read."""
    for name, (path, read) in OLDER_NAMES.items():
        if text := environ.get(name):
            _set(data, path, read(text))
    problems: list[str] = []
    _overlay_section(OrchestratorConfig, data, environ, PREFIX, problems)
    return problems


def unknown_variables(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return variables that look like settings but set nothing: most often a slip of the pen."""
    known = {CONFIG_VARIABLE, *_names(OrchestratorConfig, PREFIX)}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)


def in_camel_case(model: type[BaseModel], data: dict[str, Any]) -> dict[str, Any]:
    """Return `data` with every known key in camelCase, so that a variable meets the file's value of the same field."""
    names = {name: field.alias or name for name, field in model.model_fields.items()}
    sections = {field.alias or name: _section(field.annotation) for name, field in model.model_fields.items()}
    renamed = {names.get(key, key): value for key, value in data.items()}
    return {
        key: in_camel_case(section, value) if (section := sections.get(key)) and isinstance(value, dict) else value
        for key, value in renamed.items()
    }


def _overlay_section(
    model: type[BaseModel], data: dict[str, Any], environ: Mapping[str, str], prefix: str, problems: list[str]
) -> None:
    for name, field in model.model_fields.items():
        variable, key = f"{prefix}{name.upper()}", field.alias or name
        section = _section(field.annotation)
        if (text := environ.get(variable)) is not None:
            try:
                value = parse(text) if text[:1] in ("[", "{") else text
                data[key] = in_camel_case(section, value) if section and isinstance(value, dict) else value
            except YamlError as error:
                problems.append(f"{variable}: {error}")
        if section and any(other.startswith(f"{variable}__") for other in environ):
            below = data[key] if data.get(key) is not None else data.setdefault(key, {})
            if isinstance(below, dict):
                _overlay_section(section, below, environ, f"{variable}__", problems)


def _set(data: dict[str, Any], path: str, value: Any) -> None:
    """Set `path` in `data`; a file of another shape stays as it is, for the validation to complain about."""
    *above, last = path.split(".")
    section: Any = data
    for part in above:
        if part == "0":
            if section == [] and last == "url":
                section.append({"name": "engine"})
            section = section[0] if isinstance(section, list) and section else None
        elif isinstance(section, dict):
            if section.get(part) is None:
                section[part] = [] if part == "upstreams" else {}
            section = section[part]
    if isinstance(section, dict):
        section[last] = value


def _section(annotation: Any) -> type[BaseModel] | None:
    """Return the section that a field holds, be it optional; none for lists of sections."""
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(kind for kind in get_args(annotation) if kind is not NoneType)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _names(model: type[BaseModel], prefix: str) -> list[str]:
    found = []
    for name, field in model.model_fields.items():
        found.append(f"{prefix}{name.upper()}")
        if section := _section(field.annotation):
            found += _names(section, f"{prefix}{name.upper()}__")
    return found
