"""What is wrong with a configuration, in sentences that begin with the setting's path."""

import re
from collections.abc import Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from tandem_contract.config import OrchestratorConfig

_PASSWORD = re.compile(r"//[^/@\s]*@")


class ConfigError(Exception):
    """The configuration cannot be used; `problems` holds one line for each thing to mend."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def sentences(error: ValidationError) -> list[str]:
    """One line for each thing that pydantic found. Never shows what stands, or may stand, in a secret's place."""
    return [_sentence(item["loc"], item["msg"], item.get("input"), item["type"]) for item in error.errors()]


def _sentence(location: tuple[int | str, ...], message: str, value: Any, kind: str) -> str:
    path = ".".join(str(part) for part in location) or "configuration"
    if path == "upstreams" and not value:
        return "upstreams: no engine is named; list one under `upstreams`, or set VLLM_URL"
    message = message.removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return f"{path}: there is no such setting"
    if not isinstance(value, str | int | float) or _may_be_secret(location):
        return f"{path}: {message}"
    shown = _PASSWORD.sub("//***@", value) if isinstance(value, str) else value
    return f"{path}: {message} (found {shown!r})"


def _may_be_secret(location: tuple[int | str, ...]) -> bool:
    kinds: list[Any] = [OrchestratorConfig]
    for part in location:
        fields = [
            field.annotation
            for kind in kinds
            if isinstance(kind, type) and issubclass(kind, BaseModel)
            for name, field in kind.model_fields.items()
            if part in (name, field.alias)
        ]
        kinds = [member for kind in fields or kinds for member in members(kind)]
    return SecretStr in kinds or "headers" in location


def members(annotation: Any) -> list[Any]:
    """The types that an annotation is made of: of `list[A | None]` they are `A` and `None`."""
    if get_origin(annotation) in (Union, UnionType, list, dict, Annotated):
        return [member for part in get_args(annotation) for member in members(part)]
    return [annotation]
