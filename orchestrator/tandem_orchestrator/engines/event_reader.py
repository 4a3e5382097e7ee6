"""Reads server-sent events in any spelling that their standard allows, however the bytes arrive; does no I/O."""

from typing import Final, NamedTuple

from tandem_orchestrator.errors import Malformed

BOM: Final = b"\xef\xbb\xbf"
LINE_ENDS: Final = (b"\n", b"\r")
MAX_EVENT: Final = 16_777_216  # bytes


class Event(NamedTuple):
    """An event, or a comment between two."""

    raw: bytes
    """As it came, with the empty line that ends it."""
    data: bytes | None = None
    """Its lines of data as one text; None for what clients skip."""
    name: bytes = b""


class EventReader:
    """Puts the pieces of one stream together."""

    def __init__(self) -> None:
        self.pending = False
        """True while a part of an event is held."""
        self._line = bytearray()  # without its end
        self._raw = bytearray()  # the lines of an event that goes on
        self._data: list[bytes] = []
        self._name = b""
        self._first = True
        self._after_cr = False

    def read(self, piece: bytes) -> list[Event]:
        """Return what `piece` completes, in order. Raises `Malformed` on an event without end."""
        events: list[Event] = []
        if self._after_cr and piece.startswith(b"\n"):  # the other half of a line's end
            self._raw += b"\n"
            if not self.pending:
                events.append(self._whole())
            piece = piece[1:]
        self._after_cr = piece.endswith(b"\r")
        if b"\n" in piece or b"\r" in piece:
            lines = (bytes(self._line) + piece).splitlines(keepends=True)
            self._line.clear()
            if not lines[-1].endswith(LINE_ENDS):
                self._line += lines.pop()
            events += [self._whole() for line in lines if self._completes(line)]
        else:
            self._line += piece
        self.pending = bool(self._line or self._raw)
        if len(self._line) + len(self._raw) > MAX_EVENT:
            raise Malformed("the engine's stream has an event without end")
        return events

    def end(self) -> Event | None:
        """Return what the stream left without an end, with one."""
        if not self.pending:
            return None
        if self._line and self._completes(bytes(self._line) + b"\n"):
            return self._whole()
        self._raw += b"\n\n" if self._after_cr else b"\n"
        return self._whole()

    def _completes(self, line: bytes) -> bool:
        """Take a line; true if it is the last of an event, or a comment that belongs to none."""
        text = line.rstrip(b"\r\n")
        if self._first:
            self._first = False
            text = text.removeprefix(BOM)
        apart = not self._raw
        self._raw += line
        if not text:
            return True
        field, _, value = text.partition(b":")
        if field == b"data":
            self._data.append(value.removeprefix(b" "))
        elif field == b"event":
            self._name = value.removeprefix(b" ")
        return not field and apart

    def _whole(self) -> Event:
        event = Event(bytes(self._raw), b"\n".join(self._data) if self._data else None, self._name)
        self._raw.clear()
        self._data.clear()
        self._name = b""
        return event
