"""Collects one streamed pass of the engine; does no I/O."""

from typing import Any, Final

import orjson

from tandem_orchestrator.engines import estimate
from tandem_orchestrator.engines.answers import failure_in, is_done
from tandem_orchestrator.engines.event_reader import Event, EventReader
from tandem_orchestrator.errors import Malformed
from tandem_orchestrator.gateway.chunk import SHAPE
from tandem_orchestrator.gateway.tool_session import REASONING, Turn
from tandem_orchestrator.tools.toolbox import ToolCall

TEXTS: Final = ("content", *REASONING)
FRAME: Final = ("id", "object", "created", "model", "system_fingerprint")


class StreamedTurn:
    """Takes the chunks of one pass: text comes back for the client at once, tool calls are put together here.

    `frame` holds what all chunks of the answer have in common, and is empty for the first pass, which fills it.
    """

    def __init__(self, frame: dict[str, Any]) -> None:
        self.frame = frame
        self._first = not frame
        self._texts: dict[str, list[str]] = {}
        self._calls: dict[int, ToolCall] = {}
        self._reader = EventReader()
        self._events = 0
        self.finish_reason: str | None = None
        self.stopped_by: Any = None
        """What vLLM says it stopped at: one of the client's `stop`, or a token."""
        self.usage: Any = None
        self.complete = False

    def read(self, data: bytes) -> list[dict[str, Any]]:
        """Read a piece of the stream; return the chunks that the client may see now. Raises `EngineError`."""
        return [chunk for event in self._reader.read(data) if (chunk := self.take(event))]

    def end(self) -> list[dict[str, Any]]:
        """Return the same for the stream's end. Raises `Malformed` if it came before the turn's."""
        rest = self._reader.end()
        chunk = self.take(rest) if rest else None
        if not (self.complete or self.finish_reason):  # some engines know no [DONE]
            raise Malformed("the engine's stream ended without [DONE]")
        self.complete = True
        return [chunk] if chunk else []

    def take(self, event: Event) -> dict[str, Any] | None:
        """Read an event; return the chunk that the client may see now, if any. Raises `EngineError`."""
        if event.data is None or self.complete:
            return None
        if is_done(event):
            self.complete = True
            return None
        if failure := failure_in(event):
            raise failure
        chunk = _chunk(event.data)
        self._events += 1
        self.usage = chunk.pop("usage", None) or self.usage
        choices = chunk.get("choices")
        if not choices:
            return None
        if not self.frame:
            self.frame = {name: chunk[name] for name in FRAME if name in chunk}
        try:
            return self._visible(chunk, choices[0])
        except (AttributeError, LookupError, TypeError, ValueError):
            raise Malformed(SHAPE) from None

    def charge(self, body: bytes) -> dict[str, int]:
        """Return the usage to charge for the request in `body`."""
        return estimate.charge(body, self.usage, self._events, complete=self.complete)

    def turn(self) -> Turn:
        """Return the whole turn."""
        texts = {name: "".join(pieces) for name, pieces in self._texts.items()}
        return Turn(texts.pop("content", None), [self._calls[index] for index in sorted(self._calls)], texts)

    def _visible(self, chunk: dict[str, Any], choice: dict[str, Any]) -> dict[str, Any] | None:
        delta = choice.get("delta") or {}
        for fragment in delta.pop("tool_calls", None) or ():
            self._collect(fragment)
        if not self._first:
            delta.pop("role", None)
        for name in TEXTS:
            if text := delta.get(name):
                self._texts.setdefault(name, []).append("" + text)  # a text, or it is of another shape
        if reason := choice.get("finish_reason"):
            self.finish_reason = reason
            self.stopped_by = choice.pop("stop_reason", None)
            choice["finish_reason"] = None
        return chunk if any(delta.values()) else None

    def _collect(self, fragment: dict[str, Any]) -> None:
        index = int(fragment.get("index") or 0)
        function = fragment.get("function") or {}
        before = self._calls.get(index) or ToolCall(f"call_{index}", "", "")
        self._calls[index] = ToolCall(
            fragment.get("id") or before.id,
            before.name + (function.get("name") or ""),
            before.arguments + (function.get("arguments") or ""),
        )


def _chunk(data: bytes) -> dict[str, Any]:
    try:
        chunk = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"the engine's stream holds an event that is not JSON: {error}") from None
    if not isinstance(chunk, dict):
        raise Malformed("the engine's stream holds an event that is not a JSON object")
    return chunk
