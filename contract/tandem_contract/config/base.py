"""What every section of the configuration is made of."""

from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from tandem_contract import system_prompt

_DEEPEST: Final = 64

HttpUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/@]+(/\S*)?$", max_length=2048)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=253)]
SystemPrompt = Annotated[str, StringConstraints(min_length=1, max_length=65_536), AfterValidator(system_prompt.checked)]


def _not_deep(value: dict[str, Any]) -> dict[str, Any]:
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        parts = [part for each in level for part in (each.values() if isinstance(each, dict) else each)]
        level = [part for part in parts if isinstance(part, dict | list)]
        if not level:
            return value
    raise PydanticCustomError("depth", "must not be nested deeper than {deepest} levels", {"deepest": _DEEPEST})


JsonObject = Annotated[dict[str, Any], AfterValidator(_not_deep)]
"""JSON that Tandem passes on: bounded in depth, as no schema of Kubernetes can say it."""


class Section(BaseModel):
    """Base of every section: unknown keys are errors, so that a typo is seen."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", use_attribute_docstrings=True
    )


class SecretFile(Section):
    """A secret outside the configuration: a file, or in an LLMService a Secret, which the operator mounts as a file."""

    file: Annotated[str, StringConstraints(min_length=1, max_length=4096)] | None = None
    """Path of the file, outside Kubernetes; read again when it changes."""
    secret_name: (
        Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)] | None
    ) = None
    """Secret in the namespace of the LLMService."""
    secret_key: Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)] | None = None
    """Key in the Secret. Default: its only key."""
