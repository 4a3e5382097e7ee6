"""A form with a file in it, as an engine gets it: written anew from what was read, and never the client's own bytes."""

import secrets
from collections.abc import Iterator
from typing import Any, Final, Protocol

import orjson

BOUNDARY_BYTES: Final = 16  # of chance, which nobody who writes a field can know
ESCAPED: Final = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})  # as browsers do


class FormFile(Protocol):
    """The file, wherever it is kept."""

    name: str
    size: int

    async def piece(self, at: int) -> bytes:
        """Return some of its bytes from position `at` on."""
        ...


class FormBody:
    """The body of one attempt: the `fields` are JSON, an object of texts or lists of them; the file comes last."""

    def __init__(self, fields: bytes, file: FormFile) -> None:
        boundary = secrets.token_hex(BOUNDARY_BYTES)
        parts = [_part(boundary, name, value) for name, value in _texts(orjson.loads(fields))]
        filename = file.name.translate(ESCAPED)
        head = f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="{filename}"\r\n'
        self.fields = fields
        self.kind = f"multipart/form-data; boundary={boundary}".encode()
        self._file = file
        self._before = "".join([*parts, head, "content-type: application/octet-stream\r\n\r\n"]).encode()
        self._after = f"\r\n--{boundary}--\r\n".encode()
        self.size = len(self._before) + file.size + len(self._after)

    async def piece(self, at: int) -> bytes:
        """Return some of the bytes from position `at` on."""
        begins = len(self._before)
        ends = begins + self._file.size
        if at < begins:
            return self._before[at:]
        return await self._file.piece(at - begins) if at < ends else self._after[at - ends :]


def _texts(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        for each in value if isinstance(value, list) else [value]:
            if each is not None:
                yield name, each if isinstance(each, str) else orjson.dumps(each).decode()


def _part(boundary: str, name: str, value: str) -> str:
    return f'--{boundary}\r\ncontent-disposition: form-data; name="{name.translate(ESCAPED)}"\r\n\r\n{value}\r\n'
