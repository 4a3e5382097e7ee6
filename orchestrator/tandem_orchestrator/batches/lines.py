"""The lines of a batch's input: JSON objects with `custom_id`, `method`, `url` and `body`."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final, NamedTuple

import orjson

from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.gateway.request import LARGE, json_object, weigh

METHOD: Final = "POST"
LONGEST_ID: Final = 512


class Line(NamedTuple):
    """A request of a batch."""

    custom_id: str
    body: dict[str, Any]


class LineProblem(Exception):
    """A line cannot be used."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


async def split(chunks: AsyncIterator[bytes], most: int) -> AsyncGenerator[tuple[int, bytes | None]]:
    """Yield each line that is not blank with its number, from 1 on; None for one of more than `most` bytes.

    No more than a line and a chunk are in memory.
    """
    number, line, too_long = 1, bytearray(), False
    async for chunk in chunks:
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            if too_long or len(line) + end - start > most:
                yield number, None
            elif whole := bytes(line + chunk[start:end]).strip():
                yield number, whole
            number, line, too_long, start = number + 1, bytearray(), False, end + 1
        if not too_long:
            line += chunk[start:]
            if len(line) > most:
                line, too_long = bytearray(), True
    if too_long:
        yield number, None
    elif whole := bytes(line).strip():
        yield number, whole


async def checked(raw: bytes, endpoint: str, max_depth: int) -> Line:
    """Return the request in a line; others go on while a large one is weighed. Raises `LineProblem`."""
    try:
        if len(raw) > LARGE:
            await weigh(raw)
        document = json_object(raw, max_depth + 1)
    except BadRequest as error:
        message = error.message.replace("request body", "line")
        raise LineProblem(str(error.code), message) from None
    line = read(document)
    if document.get("method") != METHOD:
        raise LineProblem("invalid_method", f"`method` must be {METHOD}", "method")
    if document.get("url") != endpoint:
        raise LineProblem("mismatched_url", f"`url` must be the batch's endpoint, {endpoint}", "url")
    if line.body.get("stream"):
        raise LineProblem("invalid_request", "a batch's requests cannot be streamed; leave `stream` out", "body.stream")
    model = line.body.get("model")
    if model is not None and not (isinstance(model, str) and model):
        raise LineProblem("invalid_request", "`body.model` must be the name of a model", "body.model")
    return line


def read(document: dict[str, Any]) -> Line:
    """Return the request in a line's object. Raises `LineProblem`."""
    custom_id, body = document.get("custom_id"), document.get("body")
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= LONGEST_ID:
        problem = f"`custom_id` must be a text of at most {LONGEST_ID} characters, and not empty"
        raise LineProblem("invalid_custom_id", problem, "custom_id")
    if not isinstance(body, dict):
        raise LineProblem("invalid_request", "`body` must be the request's JSON object", "body")
    return Line(custom_id, body)


def written(line: Line) -> bytes:
    """Return a line as it is kept: what was checked, and never the client's own bytes."""
    return orjson.dumps([line.custom_id, line.body])


def kept(text: str) -> list[Line]:
    """Return lines that were `written`, one after the other."""
    return [Line(*orjson.loads(each)) for each in text.split("\n")]
