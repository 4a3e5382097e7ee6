"""Tasks outside the configuration (`tasksFrom`): files, and folders of them such as a mounted ConfigMap."""

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import Field, ValidationError
from tandem_contract.config import Section, Task, TaskFile

from tandem_orchestrator.config.errors import ConfigError, sentences
from tandem_orchestrator.config.yaml_text import YamlError, parse

MOST_BYTES: Final = 1_048_576
"""Of all files together; as many as a ConfigMap holds."""
MOST_VALUES: Final = 100_000
"""In a file, where an alias counts as what it stands for."""
_LOADER: Final[type[Any]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where libyaml is there


class _File(Section):
    tasks: list[Task] = Field(default=[], max_length=256)


def paths(sources: Sequence[TaskFile]) -> list[Path]:
    """Return the files as they are now; of a folder those that end in .yaml, by name. None need be there."""
    found: list[Path] = []
    for source in sources:
        if source.file is not None:
            found += _inside(Path(source.file))
    return found


def read(sources: Sequence[TaskFile]) -> list[Task]:
    """Return the tasks of all files. Raises `ConfigError`, which names every problem at once."""
    problems = [
        f"tasksFrom.{n}: a ConfigMap can be named only in an LLMService; outside Kubernetes write `file: PATH` instead"
        if source.config_map_name
        else f"tasksFrom.{n}: no file is named; set `file`"
        for n, source in enumerate(sources)
        if source.file is None or source.config_map_name or source.config_map_key
    ]
    tasks: list[Task] = []
    left = MOST_BYTES
    for path in paths(sources):
        try:
            text = _text(path, left)
            left -= len(text)
            tasks += _tasks(path, text)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return tasks


def _inside(path: Path) -> list[Path]:
    try:
        return sorted(inner for inner in path.iterdir() if inner.suffix == ".yaml")
    except OSError:  # it is a file, or whoever reads it tells why it cannot be read
        return [path]


def _text(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            text = file.read(most + 1)
    except OSError as error:
        raise ConfigError([f"{path} cannot be read: {error.strerror}"]) from None
    if len(text) > most:
        raise ConfigError([f"{path}: the files of tasksFrom have more than {MOST_BYTES} bytes together"])
    return text


def _tasks(path: Path, text: bytes) -> list[Task]:
    try:
        data = parse(text, _LOADER)
        if _values(data, {}) > MOST_VALUES:
            raise ConfigError([f"{path}: it holds more than {MOST_VALUES} values, or some that hold themselves"])
        if not isinstance(data, dict | None):
            raise ConfigError([f"{path}: expected `tasks:` with a list, found {type(data).__name__}"])
        found = _File.model_validate(data or {})
    except YamlError as error:
        raise ConfigError([f"{path}: {error}"]) from None
    except ValidationError as error:
        raise ConfigError([f"{path}: {sentence}" for sentence in sentences(error, {})]) from None
    return [task.found(f"{path}: tasks.{n}") for n, task in enumerate(found.tasks)]


def _values(value: Any, counted: dict[int, int]) -> int:
    """Return how many values are in what YAML's aliases may have made a graph of; more than may be where it has a
    circle. Raises `YamlError` for what JSON has not.
    """
    if not isinstance(value, dict | list):
        if not isinstance(value, str | int | float | None) or (isinstance(value, float) and not isfinite(value)):
            raise YamlError(f"it holds a value that JSON has not, a {type(value).__name__}; put it in quotes")
        return 1
    if id(value) not in counted:
        counted[id(value)] = MOST_VALUES + 1  # while it is looked through
        parts = value.values() if isinstance(value, dict) else value
        counted[id(value)] = 1 + sum(_values(part, counted) for part in parts)
    return counted[id(value)]
