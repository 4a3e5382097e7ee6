"""The stream's events: numbered without a gap, each written in one piece, its `event` equal to its `type`."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

END: Final = b"\n\n"
"""Of each event, and nowhere else."""
DONE: Final = b"data: [DONE]\n\n"


class Events:
    """Numbers and writes events; `take` gives what was written since."""

    __slots__ = ("_written", "number")

    def __init__(self, number: int = 0) -> None:
        self.number = number
        """Of the next event."""
        self._written: list[bytes] = []

    def add(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Write an event of a type."""
        document = {"type": kind, "sequence_number": self.number, **fields}
        self._written.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(document)))
        self.number += 1

    def delta(self, head: bytes, text: str) -> None:
        """Write an event that differs from others in its text alone; `head` is of `head_of`."""
        self._written.append(head % (self.number, orjson.dumps(text)))
        self.number += 1

    def take(self) -> bytes:
        """Return what was written since the last call."""
        written = self._written
        data = written[0] if len(written) == 1 else b"".join(written)
        written.clear()
        return data


def head_of(kind: str, fields: Mapping[str, Any]) -> bytes:
    """Return what stands around the number and the text of such events."""
    start = orjson.dumps({"type": kind, **fields})[:-1].replace(b"%", b"%%")
    return b"event: %b\ndata: %b" % (kind.encode(), start) + b',"sequence_number":%d,"delta":%b}\n\n'
