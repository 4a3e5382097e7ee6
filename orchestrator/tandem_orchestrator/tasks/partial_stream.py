"""An engine's streamed answer as the events of a task."""

from collections.abc import Awaitable
from typing import Any, Final

import orjson
from starlette.types import Send

from tandem_orchestrator.engines.answers import failure_in, is_done
from tandem_orchestrator.engines.event_reader import Event, EventReader
from tandem_orchestrator.errors import EngineError, Malformed
from tandem_orchestrator.gateway.chunk import SHAPE
from tandem_orchestrator.gateway.event_stream import EventStream
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.tasks.asking import Said
from tandem_orchestrator.tasks.partial import Growing
from tandem_orchestrator.transport.served import Served

PARTIAL: Final = "task.partial"
RETRY: Final = "task.retry"
ITEM: Final = "task.item"
COMPLETED: Final = "task.completed"


class PartialStream(EventStream):
    """Takes the events of streamed chats, one after the other, and sends what there is of an output."""

    def __init__(self, exchange: Served, record: Record, send: Send) -> None:
        super().__init__(exchange, record, send)
        self.write_at_once = _cannot
        self._begin()

    def write(self, data: bytes) -> Awaitable[None]:
        """Take whole events of an engine's answer."""
        out = b"".join([self._take(event) for event in self._reader.read(data)])
        return super().write(out) if out else _nothing()

    async def end(self, data: bytes = b"") -> None:
        """Take the last events of an engine's answer; the stream goes on."""
        await self.write(data)

    def said(self) -> Said:
        """Return what the engine has answered, and be ready for its next answer. Raises `EngineError`."""
        if self._failure is not None:
            raise self._failure
        said = Said(self._growing.text, self._finish_reason, self._tandem)
        self._begin()
        return said

    async def tell(self, kind: str, fields: dict[str, Any]) -> None:
        """Send an event of our own."""
        await super().write(event(kind, fields))

    async def complete(self, result: dict[str, Any]) -> None:
        """Send the whole result, which ends the stream."""
        await super().end(event(COMPLETED, {"result": result}))

    def _begin(self) -> None:
        self._reader = EventReader()
        self._growing = Growing()
        self._finish_reason: Any = None
        self._tandem: Any = None
        self._failure: EngineError | None = None

    def _take(self, taken: Event) -> bytes:
        if taken.data is None or is_done(taken):
            return b""
        if failure := failure_in(taken):
            self._failure = failure
            return b""
        try:
            chunk = orjson.loads(taken.data)
            self._tandem = chunk.get("tandem") or self._tandem
            return b"".join([self._choice(choice) for choice in chunk.get("choices") or ()])
        except (AttributeError, LookupError, TypeError, ValueError):
            self._failure = Malformed(SHAPE)  # raised here it would be lost where the answer's end has come with it
            return b""

    def _choice(self, choice: dict[str, Any]) -> bytes:
        self._finish_reason = choice.get("finish_reason") or self._finish_reason
        content = (choice.get("delta") or {}).get("content")
        if not content:
            return b""
        if not isinstance(content, str):
            raise TypeError
        found = self._growing.add(content)
        return b"" if found is None else event(PARTIAL, {"output": found})


def event(kind: str, fields: dict[str, Any]) -> bytes:
    """Return an event as it is sent."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields}))


def _cannot(_: bytes) -> bool:
    return False


async def _nothing() -> None:
    """Have nothing to send."""
