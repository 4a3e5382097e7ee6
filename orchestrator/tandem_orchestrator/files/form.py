"""Reads `multipart/form-data` as it arrives, one field after the other; nothing of the body is held."""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from tandem_orchestrator.errors import BadRequest

MOST_BESIDE: Final = 65_536  # bytes of the body that are not the content: boundaries, headers, other fields
MOST_TEXT: Final = 4096  # of a field
FORM: Final = b"multipart/form-data"

Receive = Callable[[], Awaitable[tuple[bytes, bool]]]
"""Returns the next piece of a body, and whether there is more."""


class Field:
    """A field of a form, of which only the name has been read."""

    def __init__(self, name: str, filename: str | None) -> None:
        self.name = name
        self.filename = filename


class _End:
    """Stands behind the last chunk of a field."""


class Form:
    """A form with one field, `content`, that may be large. Every call raises `BadRequest`, and what `receive` raises.

    A field is read by `chunks` or `text` before the next one; what is left of it then is skipped.
    """

    def __init__(self, content_type: str, content: str, receive: Receive) -> None:
        kind, options = parse_options_header(content_type)
        if kind != FORM or not options.get(b"boundary"):
            raise BadRequest(
                "the body must be multipart/form-data, with a boundary in its Content-Type", code="invalid_form"
            )
        self._receive = receive
        self.content = content
        self._events: deque[Field | bytes | _End] = deque()
        self._name, self._value = bytearray(), bytearray()
        self._headers: dict[str, str] = {}
        self._in_content = False
        self._beside = 0
        self._ended = self._closed = False
        try:
            self._parser = MultipartParser(
                options[b"boundary"],
                {
                    "on_part_begin": self._headers.clear,
                    "on_header_field": self._on_header_name,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header,
                    "on_headers_finished": self._on_headers,
                    "on_part_data": self._on_data,
                    "on_part_end": lambda: self._events.append(_End()),
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise _unreadable(error) from None

    @property
    def held(self) -> int:
        """Bytes that have been read from the body, and not by whoever reads the fields."""
        return sum(len(event) for event in self._events if isinstance(event, bytes))

    async def fields(self) -> AsyncIterator[Field]:
        """Yield the fields in the order of the body, of which nothing is left to read at the end."""
        while (event := await self._next()) is not None:
            if isinstance(event, Field):
                yield event

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield what there is of the present field."""
        while isinstance(event := await self._next(), bytes):
            yield event

    async def text(self) -> str:
        """Return the present field."""
        value = bytearray()
        async for chunk in self.chunks():
            value += chunk
            if len(value) > MOST_TEXT:
                raise BadRequest(f"a field of the form is longer than {MOST_TEXT} bytes", code="invalid_form")
        return value.decode(errors="replace")

    async def _next(self) -> Field | bytes | _End | None:
        while not self._events:
            if self._ended:
                return None
            await self._feed()
        return self._events.popleft()

    async def _feed(self) -> None:
        piece, more = await self._receive()
        self._beside += len(piece)
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise _unreadable(error) from None
        if self._beside > MOST_BESIDE:
            raise BadRequest(
                f"the form has more than {MOST_BESIDE} bytes beside the field `{self.content}`", code="invalid_form"
            )
        if not more:
            self._ended = True
            if not self._closed:
                raise BadRequest("the body ends before its form does", code="invalid_form")

    def _on_header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = self._value.decode(errors="replace")
        self._name.clear()
        self._value.clear()

    def _on_headers(self) -> None:
        _, options = parse_options_header(_latin(self._headers.get("content-disposition", "")))
        name = options.get(b"name", b"").decode(errors="replace")
        filename = options.get(b"filename")
        self._in_content = name == self.content
        self._events.append(Field(name, None if filename is None else filename.decode(errors="replace")))

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_content:
            self._beside -= end - start
        self._events.append(data[start:end])

    def _on_end(self) -> None:
        self._closed = True


def _latin(header: str) -> str:
    """Return a header as the parser takes it: bytes for characters."""
    return header.encode(errors="replace").decode("latin-1")


def _unreadable(error: FormParserError) -> BadRequest:
    return BadRequest(f"the form cannot be read: {error}", code="invalid_form")
