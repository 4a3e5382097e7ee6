"""What an older name of a setting is read as; `older_variables` and `older_files` list the names."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pydantic import TypeAdapter, ValidationError
from tandem_contract.config import LogFormat

_TRUTH: Final = TypeAdapter(bool)


class OlderName(NamedTuple):
    """What stands behind an older name."""

    read: Callable[[Any], dict[str, Any]]
    """Returns values by the paths of their settings. Raises `ValueError` for a value that says nothing."""
    note: str = ""
    """What whoever uses the name should know, as a sentence that goes on from it. Empty for a name that stays."""
    idle: bool = False
    """Whether somebody may wait in vain for what it says."""


@dataclass(slots=True)
class Found:
    """What came of the older names in a file and in the environment."""

    notes: list[str] = field(default_factory=list)
    """A sentence for each name that has a newer one."""
    warnings: list[str] = field(default_factory=list)
    """A sentence for each name that sets nothing."""
    problems: list[str] = field(default_factory=list)
    values: dict[str, tuple[str, Any]] = field(default_factory=dict)
    """By the path of a setting, the name that set it and to what."""

    def take(self, data: dict[str, Any], name: str, older: OlderName, said: Any) -> None:
        """Set in `data`, whose keys are camelCase, what `name` says."""
        try:
            values = older.read(said)
        except ValueError as error:
            self.problems.append(f"{name}: {error}")
            return
        for path, value in values.items():
            put(data, path, value)
            self.values[path] = name, value
        if older.note:
            (self.warnings if older.idle else self.notes).append(f"{name} {older.note}")

    def names(self, data: dict[str, Any]) -> dict[str, str]:
        """Return the names by the paths that they set in `data`, and nothing newer has set since."""
        return {path: name for path, (name, value) in self.values.items() if _at(data, path) is value}


def setting(path: str, convert: Callable[[Any], Any] | None = None) -> Callable[[Any], dict[str, Any]]:
    """Return what reads a value, perhaps converted, as the setting at `path`."""
    return lambda said: {path: convert(said) if convert else said}


def log_format(json: Any) -> str:
    """Return how to log where JSON is wanted, or is not. Raises `ValueError`."""
    return (LogFormat.JSON if _truth(json) else LogFormat.TEXT).value


def rate_limits(said: Any) -> dict[str, Any]:
    """Return a section without limits where there should be none, else no setting. Raises `ValueError`."""
    return {} if _truth(said) else {"rateLimits": {}}


def nothing(_: Any) -> dict[str, Any]:
    """Return no setting."""
    return {}


RATE_LIMITS: Final = OlderName(
    rate_limits,
    "is read: false clears rateLimits, though not the limits of single keys; true leaves all as they are set",
)
DATABASE_METRICS: Final = OlderName(
    nothing, "sets nothing: the metrics of the database (tandem_database_…) are always there"
)


def put(data: dict[str, Any], path: str, value: Any) -> None:
    """Set `path` in `data`; where that has another shape it stays, for the validation to complain about."""
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


def _at(data: Any, path: str) -> Any:
    for part in path.split("."):
        if part == "0":
            data = data[0] if isinstance(data, list) and data else None
        else:
            data = data.get(part) if isinstance(data, dict) else None
    return data


def _truth(said: Any) -> bool:
    try:
        return _TRUTH.validate_python(said)
    except ValidationError:
        raise ValueError("expected true or false") from None
