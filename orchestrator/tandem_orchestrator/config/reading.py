"""Reads the configuration, once or again."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from tandem_contract.config import OrchestratorConfig, TaskFile, checks
from tandem_contract.names import CONFIG_PATH

from tandem_orchestrator.config import older_files, older_variables, task_files, variables
from tandem_orchestrator.config.errors import ConfigError, sentences
from tandem_orchestrator.config.older_names import Found
from tandem_orchestrator.config.secrets import refused_secrets
from tandem_orchestrator.config.yaml_text import YamlError, parse

State = tuple[int, int, int]


def load(file: Path | None = None, environ: Mapping[str, str] = os.environ) -> OrchestratorConfig:
    """Return the valid configuration of `file` (or `TANDEM_CONFIG`, or the usual path if it exists) and `environ`.

    Raises `ConfigError`, which names every problem at once, secret files that cannot be read among them. Those of
    tools are not: they keep some tools away, and nobody from asking the model.
    """
    return Source(file, environ).load()


class Source:
    """Where the configuration comes from."""

    def __init__(self, file: Path | None = None, environ: Mapping[str, str] = os.environ) -> None:
        self.file = _location(file, environ)
        self._environ = dict(environ)
        self._tasks_from: list[TaskFile] = []
        self._seen: list[State | None] = []
        self.older = Found()
        """What `load` found of older names."""

    def load(self, section: str = "") -> OrchestratorConfig:
        """Return the configuration as it is now. Raises `ConfigError` as `load` above.

        For who uses a `section` alone, the secrets of others, and files with tasks, need not be there.
        """
        self._seen = self._state()
        self.older = older = Found()
        data = older_files.read(variables.in_camel_case(OrchestratorConfig, _read(self.file)), older)
        older_variables.read(data, self._environ, older)
        problems = older.problems + variables.overlay(data, self._environ)
        try:
            config = OrchestratorConfig.model_validate(data)
        except ValidationError as error:
            raise ConfigError([*problems, *sentences(error, older.names(data))]) from None
        self._tasks_from = config.tasks_from
        self._seen[1:] = self._state()[1:]
        try:
            config.tasks += [] if section else task_files.read(config.tasks_from)
        except ConfigError as error:
            problems += error.problems
        problems += checks.errors(config) + refused_secrets(config, section)
        if problems:
            raise ConfigError(problems)
        return config

    def changed(self) -> bool:
        """Return whether a file is another than `load` saw last, be it only by a symbolic link of a ConfigMap's."""
        return self._state() != self._seen

    def _state(self) -> list[State | None]:
        return [_state(path) for path in (self.file, *task_files.paths(self._tasks_from))]


def _state(file: Path | None) -> State | None:
    try:
        found = file.stat() if file else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ino, found.st_size) if found else None


def _location(file: Path | None, environ: Mapping[str, str]) -> Path | None:
    if file is not None:
        return file
    if named := environ.get(variables.CONFIG_VARIABLE):
        return Path(named)
    usual = Path(CONFIG_PATH)
    return usual if usual.exists() else None


def _read(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        data = parse(file.read_bytes())
    except OSError as error:
        raise ConfigError([f"{file} cannot be read: {error.strerror}"]) from None
    except YamlError as error:
        raise ConfigError([f"{file}: {error}"]) from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError([f"{file}: expected settings as `name: value`, found {type(data).__name__}"])
    return data
