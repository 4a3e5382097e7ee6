"""A body that is read as it arrives."""

import asyncio
from typing import Final

from starlette.types import Receive

from tandem_orchestrator.errors import ClientLeft, TooSlow

LEAST_RATE: Final = 8192  # bytes a second, on the whole


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
