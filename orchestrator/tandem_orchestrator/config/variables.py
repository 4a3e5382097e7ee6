"""Environment variables: `TANDEM_TOOLS__MAX_ROUNDS=4` sets `tools.maxRounds`.

Lists and sections are written in YAML or JSON, such as `TANDEM_UPSTREAMS='[{name: a, url: "http://a:8000"}]'`.
"""

import os
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel
from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.config.yaml_text import YamlError, parse

PREFIX: Final = "TANDEM_"
CONFIG_VARIABLE: Final = "TANDEM_CONFIG"


def overlay(data: dict[str, Any], environ: Mapping[str, str]) -> list[str]:
    """Set in `data`, whose keys are camelCase, what variables say; return a problem for each that cannot be read."""
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
