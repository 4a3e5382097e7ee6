"""Reads the configuration: a YAML file, over it `TANDEM_…` variables, beside them three older names.

`TANDEM_TOOLS__MAX_ROUNDS=4` sets `tools.maxRounds`. `VLLM_URL` and `MODEL_ID` set the first upstream,
`LOG_LEVEL` sets `logging.level`.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from tandem_contract.config import OrchestratorConfig
from tandem_contract.names import CONFIG_PATH

PREFIX = "TANDEM_"
CONFIG_VARIABLE = "TANDEM_CONFIG"


class ConfigError(Exception):
    """The configuration cannot be used; `problems` holds one line for each thing to mend."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load(file: Path | None = None, environ: Mapping[str, str] = os.environ) -> OrchestratorConfig:
    """The valid configuration of `file` (or `TANDEM_CONFIG`, or the usual path if it exists) and `environ`.

    Raises `ConfigError`, which names every problem at once.
    """
    problems: list[str] = []
    data = _by_alias(OrchestratorConfig, _read(_location(file, environ)))
    _overlay(OrchestratorConfig, data, dict(environ), PREFIX, problems)
    _older_names(data, environ)
    try:
        config = OrchestratorConfig.model_validate(data)
    except ValidationError as error:
        problems += [_sentence(item["loc"], item["msg"], item.get("input")) for item in error.errors()]
    if problems:
        raise ConfigError(problems)
    return config


def unknown_variables(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Variables that look like settings but set nothing: most often a slip of the pen."""
    known = {CONFIG_VARIABLE, *_variables(OrchestratorConfig, PREFIX)}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)


def _location(file: Path | None, environ: Mapping[str, str]) -> Path | None:
    if file is not None:
        return file
    if named := environ.get(CONFIG_VARIABLE):
        return Path(named)
    usual = Path(CONFIG_PATH)
    return usual if usual.exists() else None


def _read(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError([f"{file}: {error}"]) from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError([f"{file}: expected settings as `name: value`, found {type(data).__name__}"])
    return data


def _section(annotation: Any) -> type[BaseModel] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _by_alias(model: type[BaseModel], data: dict[str, Any]) -> dict[str, Any]:
    """`data` with every known key in camelCase, so that a variable meets the file's value of the same field."""
    names = {name: field.alias or name for name, field in model.model_fields.items()}
    sections = {field.alias or name: _section(field.annotation) for name, field in model.model_fields.items()}
    renamed = {names.get(key, key): value for key, value in data.items()}
    return {
        key: _by_alias(section, value) if (section := sections.get(key)) and isinstance(value, dict) else value
        for key, value in renamed.items()
    }


def _overlay(
    model: type[BaseModel], data: dict[str, Any], environ: dict[str, str], prefix: str, problems: list[str]
) -> None:
    """Lays the variables that start with `prefix` over `data`."""
    for name, field in model.model_fields.items():
        variable, key = f"{prefix}{name.upper()}", field.alias or name
        section = _section(field.annotation)
        if (text := environ.get(variable)) is not None:
            try:
                data[key] = yaml.safe_load(text) if text[:1] in ("[", "{") else text
            except yaml.YAMLError as error:
                problems.append(f"{variable}: {error}")
        if section and any(other.startswith(f"{variable}__") for other in environ):
            below = data.setdefault(key, {})
            if isinstance(below, dict):
                _overlay(section, below, environ, f"{variable}__", problems)


def _variables(model: type[BaseModel], prefix: str) -> list[str]:
    found = []
    for name, field in model.model_fields.items():
        found.append(f"{prefix}{name.upper()}")
        if section := _section(field.annotation):
            found += _variables(section, f"{prefix}{name.upper()}__")
    return found


def _older_names(data: dict[str, Any], environ: Mapping[str, str]) -> None:
    if level := environ.get("LOG_LEVEL"):
        logging = data.setdefault("logging", {})
        if isinstance(logging, dict):
            logging["level"] = level.upper()
    overrides = {key: environ[name] for key, name in (("url", "VLLM_URL"), ("model", "MODEL_ID")) if environ.get(name)}
    upstreams = data.setdefault("upstreams", [])
    if "url" in overrides and upstreams == []:
        upstreams.append({"name": "engine"})
    if overrides and isinstance(upstreams, list) and upstreams and isinstance(upstreams[0], dict):
        upstreams[0].update(overrides)


def _sentence(location: tuple[int | str, ...], message: str, value: Any) -> str:
    path = ".".join(str(part) for part in location) or "configuration"
    if path == "upstreams" and value == []:
        return "upstreams: no engine is named; list one under `upstreams`, or set VLLM_URL"
    shown = f" (found {value!r})" if isinstance(value, str | int | float | bool) else ""
    return f"{path}: {message}{shown}"
