"""The secrets that a configuration names: whether they can be read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tandem_contract.config import OrchestratorConfig, SecretFile, Section

from tandem_orchestrator.secret_file import SecretError, read_secret


def secret_files(section: Any, path: str = "") -> Iterator[tuple[str, SecretFile]]:
    """Yield every `SecretFile` below `section`, with the path of its setting."""
    if isinstance(section, SecretFile):
        yield path, section
    elif isinstance(section, Section):
        for name, field in type(section).model_fields.items():
            yield from secret_files(getattr(section, name), f"{path}.{field.alias or name}".lstrip("."))
    elif isinstance(section, list | dict):
        for key, item in section.items() if isinstance(section, dict) else enumerate(section):
            yield from secret_files(item, f"{path}.{key}")


def refused_secrets(config: OrchestratorConfig, section: str = "") -> list[str]:
    """Return a sentence for each secret of a section, or of all, that is named wrongly or cannot be read.

    A tool's secret may be unreadable: it keeps that tool away, and the rest works.
    """
    return [
        f"{path}: {problem}"
        for path, secret in secret_files(config)
        if path.startswith(section)
        and (problem := _mistake(secret) or (None if path.startswith("tools.") else _unreadable(path, secret)))
    ]


def unreadable_secrets(section: Section, path: str) -> list[str]:
    """Return a sentence for each secret below `section`, which stands at `path`, that this process cannot read now."""
    return [
        f"{path}: {problem}" for path, secret in secret_files(section, path) if (problem := _unreadable(path, secret))
    ]


def _mistake(secret: SecretFile) -> str | None:
    if secret.secret_name or secret.secret_key:
        return "a Secret can be named only in an LLMService; outside Kubernetes write `file: PATH` instead"
    return None if secret.file else "no file is named; set `file`"


def _unreadable(path: str, secret: SecretFile) -> str | None:
    try:
        if secret.file and path.startswith("keys.files.") and Path(secret.file).is_dir():
            return None  # a folder of key files, which may fill later
        read_secret(secret)
    except SecretError as error:
        return str(error)
    return None
