"""A JSON document while it is written: what of it is there can be shown, though not at every word."""

from typing import Final

import orjson
from pydantic_core import from_json

PART: Final = 8  # of a document's length by which it grows until it is shown again, so that all shows are O(n) bytes


class Growing:
    """Takes a document piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0
        self._due = 1
        self._shown = b""

    @property
    def text(self) -> str:
        """All that has come."""
        return "".join(self._pieces)

    def add(self, piece: str) -> orjson.Fragment | None:
        """Take a piece; return what there is of the document, as JSON, where that is to be shown."""
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size < self._due:
            return None
        self._due = self._size + max(1, self._size // PART)
        self._pieces = [text := self.text]
        try:
            found = from_json(text, allow_inf_nan=False, allow_partial="trailing-strings")
            written = orjson.dumps(found)
        except (TypeError, ValueError):  # no JSON so far, or a number that only the end's reader takes
            return None
        if not isinstance(found, dict | list) or written == self._shown:
            return None
        self._shown = written
        return orjson.Fragment(written)
