"""LLMServices read from YAML files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from tandem_contract import names

from tandem_operator.api.llmservice import LLMService


class InvalidDocumentError(Exception):
    """A file that cannot be rendered; the message says where and why."""


def read(path: Path) -> Iterator[LLMService | str]:
    """Yield the LLMServices in a file, and a note for each document of another kind."""
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidDocumentError(f"{path}: {error}") from error
    for number, document in enumerate(documents, start=1):
        if document is None:
            continue
        kind = document.get("kind") if isinstance(document, dict) else type(document).__name__
        if kind == names.KIND:
            yield _validated(document, f"{path}, document {number}")
        else:
            yield f"{path}, document {number}: {kind} is no {names.KIND}; skipped"


def _validated(document: Any, where: str) -> LLMService:
    try:
        return LLMService.model_validate(document)
    except ValidationError as error:
        raise InvalidDocumentError("\n".join(f"{where}: {line}" for line in problems(error))) from error


def problems(error: ValidationError) -> list[str]:
    """Return one line for each thing wrong, with the path of its field."""
    return [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
