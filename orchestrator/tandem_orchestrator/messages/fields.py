"""Checks of a request's fields. Each error begins with where it is, as Anthropic's API has it: `messages.0.content`."""

from typing import Any

from tandem_orchestrator.errors import BadRequest

Document = dict[str, Any]


def invalid(path: str, problem: str) -> BadRequest:
    """Return the error for what stands at `path`."""
    return BadRequest(f"{path}: {problem}", param=path)


def text(owner: Document, name: str, path: str) -> str:
    """Return a text that has to be there, and may be empty."""
    value = owner.get(name)
    if not isinstance(value, str):
        raise invalid(f"{path}{name}", "must be a text")
    return value


def optional_text(owner: Document, name: str, path: str = "") -> str | None:
    """Return a text that may be absent or null."""
    return None if owner.get(name) is None else text(owner, name, path)


def flag(owner: Document, name: str, path: str = "") -> bool:
    """Return true or false, which is what an absent one is."""
    value = owner.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid(f"{path}{name}", "must be true or false")
    return bool(value)


def whole(owner: Document, name: str, path: str, least: int) -> int | None:
    """Return a whole number that may be absent or null."""
    value = owner.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        raise invalid(f"{path}{name}", f"must be a whole number of at least {least}")
    return value


def share(owner: Document, name: str) -> float | None:
    """Return a number from 0 to 1 that may be absent or null."""
    value = owner.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1):
        raise invalid(name, "must be a number from 0 to 1")
    return value


def one_of(owner: Document, name: str, path: str, among: tuple[str, ...]) -> str | None:
    """Return one of the words that are known, which may be absent or null."""
    value = owner.get(name)
    if value is not None and value not in among:
        raise invalid(f"{path}{name}", f"must be one of {', '.join(among)}")
    return value


def document(value: Any, path: str) -> Document:
    """Return an object."""
    if not isinstance(value, dict):
        raise invalid(path, "must be an object")
    return value


def documents(value: Any, path: str) -> list[Document]:
    """Return a list of objects."""
    if not isinstance(value, list):
        raise invalid(path, "must be a list")
    for n, each in enumerate(value):
        document(each, f"{path}.{n}")
    return value
