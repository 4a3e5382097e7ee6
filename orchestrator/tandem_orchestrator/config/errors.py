"""What is wrong with a configuration, in sentences that begin with the setting's path."""

import re
from collections.abc import Sequence
from typing import Any, Final

from pydantic import ValidationError

_UNKNOWN: Final = ("extra_forbidden", "invalid_key")
_WORD: Final = re.compile(r"[A-Za-z_-]{1,64}")


class ConfigError(Exception):
    """The configuration cannot be used; `problems` holds one line for each thing to mend."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def sentences(error: ValidationError) -> list[str]:
    """Return one line for each thing that pydantic found. Never shows a value: it may be a secret."""
    return [_sentence(item["loc"], item["msg"], item.get("input"), item["type"]) for item in error.errors()]


def _sentence(location: tuple[int | str, ...], message: str, value: Any, kind: str) -> str:
    names = [str(part) for part in location]
    if kind in _UNKNOWN and not _WORD.fullmatch(names[-1]):
        names[-1] = "…"  # no misspelt name, but perhaps a secret written as one
    path = ".".join(names) or "configuration"
    if path == "upstreams" and not value:
        return "upstreams: no engine is named; list one under `upstreams`, or set VLLM_URL"
    if kind == "extra_forbidden":
        return f"{path}: there is no such setting"
    return f"{path}: {message.removeprefix('Value error, ')}"
