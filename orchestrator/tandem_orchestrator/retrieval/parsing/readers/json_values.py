"""Shows what is in a JSON value, as lines that can be understood alone."""

from collections.abc import Iterator
from typing import Any


def shown(value: Any, path: str = "") -> Iterator[str]:
    """Yield a "path: value" line for each value that has no others in it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from shown(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from shown(inner, path)
    elif value is not None and value != "":
        text = str(value).lower() if isinstance(value, bool) else str(value)
        yield f"{path}: {text}" if path else text
