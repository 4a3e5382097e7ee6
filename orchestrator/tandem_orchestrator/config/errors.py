"""What is wrong with a configuration, in sentences that begin with the setting's path."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

_UNKNOWN: Final = ("extra_forbidden", "invalid_key")
_WORD: Final = re.compile(r"[A-Za-z_-]{1,64}")


class ConfigError(Exception):
    """The configuration cannot be used; `problems` holds one line for each thing to mend."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def sentences(error: ValidationError, names: Mapping[str, str]) -> list[str]:
    """Return one line for each thing that pydantic found. Never shows a value: it may be a secret.

    `names` says, by path, which settings come from another name, where whoever mends them has to look.
    """
    return [
        f"{_sentence(item['loc'], item['msg'], item.get('input'), item['type'])}{_origin(item['loc'], names)}"
        for item in error.errors()
    ]


def no_such_setting(section: str, key: str) -> str:
    """Return a line about a key that nobody knows."""
    return f"{section}.{_word(key)}: there is no such setting"


def _origin(location: tuple[int | str, ...], names: Mapping[str, str]) -> str:
    parts = [str(part) for part in location]
    paths = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return next((f" (set by {names[path]})" for path in paths if path in names), "")


def _word(name: str) -> str:
    """Return a key as it may be shown: what is no misspelt name is perhaps a secret written as one."""
    return name if _WORD.fullmatch(name) else "…"


def _sentence(location: tuple[int | str, ...], message: str, value: Any, kind: str) -> str:
    names = [str(part) for part in location]
    if kind in _UNKNOWN:
        names[-1] = _word(names[-1])
    path = ".".join(names) or "configuration"
    if path == "upstreams" and (kind == "missing" or not value):
        return "upstreams: no engine is named; list one under `upstreams`, or set VLLM_URL"
    if kind == "extra_forbidden":
        return f"{path}: there is no such setting"
    return f"{path}: {message.removeprefix('Value error, ')}"
