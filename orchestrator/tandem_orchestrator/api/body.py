"""The body of a request that FastAPI, or what it calls, reads."""

import asyncio
import re
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

from tandem_orchestrator.errors import BadRequest, BodyTooLarge, ClientLeft, TooSlow
from tandem_orchestrator.gateway.request import LARGE, read_body, weigh
from tandem_orchestrator.gateway.watch import TimeLimit

MOST_VALUES: Final = 50_000  # each takes several times longer here than in the hot path
ARRIVING: Final = re.compile(r"/v1/files|/v1/uploads/[^/]+/parts")
"""Paths to which bodies are posted that may be large, and are read by `ArrivingBody`."""
LEAST_RATE: Final = 8192  # bytes a second, on the whole


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


class ArrivingBody:
    """A body of any size. Its client may pause for `seconds`, and has to send 8 KiB a second on the whole.

    Only the time counts in which the client is waited for.
    """

    def __init__(self, receive: Receive, seconds: float) -> None:
        self._receive = receive
        self._seconds = seconds
        self._waited = 0.0
        self._bytes = 0

    async def piece(self) -> tuple[bytes, bool]:
        """Return the next piece, and whether there is more. Raises `TooSlow`, `ClientLeft`."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        left = self._seconds + self._bytes / LEAST_RATE - self._waited
        try:
            async with asyncio.timeout(min(left, self._seconds)):
                message = await self._receive()
        except TimeoutError:
            raise self._too_slow() from None
        self._waited += loop.time() - began
        if message["type"] == "http.disconnect":
            raise ClientLeft
        piece: bytes = message.get("body", b"")
        self._bytes += len(piece)
        return piece, message.get("more_body", False)

    def _too_slow(self) -> TooSlow:
        error = TooSlow(
            f"the request body paused for {self._seconds:g} s, or came with less than {LEAST_RATE} bytes a second"
        )
        error.headers.append((b"connection", b"close"))
        return error
