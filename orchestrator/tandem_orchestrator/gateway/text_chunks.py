"""Chunks of a streamed chat or completion that add text and nothing else, of which an engine writes one a token."""

from typing import Final

import orjson

EXAMPLE: Final = "another text"


class TextChunks:
    """Reads the text in chunks of one stream.

    In most streams they are equal but for the text. Once one has been read, others are known by what stands before and
    after their text, and the text, a JSON string, is all that has to be read of them.
    """

    __slots__ = ("_after", "_before")

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Know no chunk until the next one is learnt."""
        self._before = b""
        self._after = b""

    def text(self, event: bytes) -> bytes | None:
        """Return the text of an event, as JSON, if it is equal to the one that was learnt but for that; else None."""
        return self._written(event) if self.said(event) else None

    def said(self, event: bytes) -> str | None:
        """Return the same, read."""
        if not self._before or not event.startswith(self._before) or not event.endswith(self._after):
            return None
        try:
            said: str | None = orjson.loads(self._written(event)) or None
        except orjson.JSONDecodeError:
            return None
        return said

    def _written(self, event: bytes) -> bytes:
        return event[len(self._before) - 1 : len(event) - len(self._after) + 1]  # with quotes: a text, or no JSON

    def learn(self, event: bytes, text: str) -> None:
        """Know others by an event of one line from which `text` was taken, if it adds nothing else."""
        before, found, after = event.partition(orjson.dumps(text))
        if found and _all_text(b"%b%b%b" % (before, orjson.dumps(EXAMPLE), after)) == EXAMPLE:
            self._before, self._after = before + b'"', b'"' + after


def _all_text(event: bytes) -> str | None:
    """Return the text that an event's chunk adds, None where it says more or something else."""
    try:
        chunk = orjson.loads(event.partition(b":")[2])
        (choice,) = chunk["choices"]
        said = choice["delta"] if "delta" in choice else {"text": choice["text"]}
        (text,) = [value for name, value in said.items() if value and name != "role"]
    except (AttributeError, LookupError, TypeError, ValueError):
        return None
    more = chunk.get("usage") or chunk.get("error") or choice.get("finish_reason")
    return None if more or not isinstance(text, str) else text
