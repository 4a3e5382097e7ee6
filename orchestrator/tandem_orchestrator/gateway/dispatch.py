"""Brings a request to an engine that can answer it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tandem_orchestrator.gateway.connection import Response
from tandem_orchestrator.gateway.engines import Engines
from tandem_orchestrator.observability.record import Record


@dataclass(slots=True)
class Call:
    """What is the same in all passes and attempts of one request."""

    path: str
    """Path of the API, e.g. /v1/chat/completions."""
    model: str
    """The model as engines serve it."""
    record: Record
    affinity: int = 0
    """Equal for requests that begin alike, so that they may meet the same prefix cache; 0 for none."""
    heartbeat: Callable[[], Awaitable[None]] | None = None
    """Tells the client of a stream that its request still waits."""


class Dispatcher:
    """Sends requests to engines."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    async def complete(self, call: Call, body: bytes) -> tuple[bytes, dict[str, Any]]:
        """An answer that is not streamed: its bytes, and the same read as JSON. Raises `GatewayError`."""
        return await self._engines.route(call.model).complete(call.path, body, call.record.request_id)

    async def stream(self, call: Call, body: bytes) -> Response:
        """A streamed answer whose headers are there, for the caller to read and close. Raises `GatewayError`.

        Errors that reading it raises are counted already.
        """
        return await self._engines.route(call.model).stream(call.path, body, call.record.request_id)
