"""The body of a request that FastAPI, or what it calls, reads."""

import re
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

from tandem_orchestrator.errors import BadRequest, BodyTooLarge, ClientLeft, TooSlow
from tandem_orchestrator.gateway.request import LARGE, read_body, weigh
from tandem_orchestrator.gateway.watch import TimeLimit

MOST_VALUES: Final = 50_000  # each takes several times longer here than in the hot path
ARRIVING: Final = re.compile(r"/v1/files|/v1/uploads/[^/]+/parts")
"""Paths to which bodies are posted that may be large, and are read as they arrive."""


def is_arriving(scope: Scope) -> bool:
    """Return whether the endpoint reads the body itself, as it arrives."""
    return scope["method"] == "POST" and ARRIVING.fullmatch(scope["path"]) is not None


def bounded(receive: Receive, limit: int, time: TimeLimit) -> Receive:
    """Return a `receive` for FastAPI, which bounds nothing itself; it raises `HTTPException` past `limit` or `time`."""
    body: bytes | None = None

    async def whole() -> Message:
        nonlocal body
        if body is not None:
            return await receive()
        try:
            body = await read_body(receive, limit, time)
            if len(body) > LARGE:
                await weigh(body, MOST_VALUES)
        except (BadRequest, BodyTooLarge, TooSlow) as error:
            headers = {name.decode(): value.decode() for name, value in error.headers}
            raise HTTPException(error.status, error.message, headers) from error
        except ClientLeft:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": body, "more_body": False}

    return whole
