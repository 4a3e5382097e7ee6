"""Collects one streamed pass of the engine; does no I/O."""

from typing import Any

import orjson

from tandem_orchestrator.errors import EngineError, Malformed
from tandem_orchestrator.gateway.conversation import REASONING, Turn
from tandem_orchestrator.tools.toolbox import ToolCall

DONE = b"[DONE]"
TEXTS = ("content", *REASONING)
FRAME = ("id", "object", "created", "model", "system_fingerprint")


class StreamedTurn:
    """Takes the chunks of one pass: text comes back for the client at once, tool calls are put together here.

    `frame` holds what all chunks of the answer have in common, and is empty for the first pass, which fills it.
    """

    def __init__(self, frame: dict[str, Any]) -> None:
        self.frame = frame
        self._first = not frame
        self._texts: dict[str, list[str]] = {}
        self._calls: dict[int, ToolCall] = {}
        self.finish_reason: str | None = None
        self.usage: Any = None
        self.complete = False

    def take(self, line: bytes) -> dict[str, Any] | None:
        """Reads a line of the stream; returns the chunk that the client may see now, if any. Raises `EngineError`."""
        if not line.startswith(b"data:"):
            return None
        data = line[5:].strip()
        if data == DONE:
            self.complete = True
            return None
        chunk = _chunk(data)
        if not self.frame:
            self.frame = {name: chunk[name] for name in FRAME if name in chunk}
        self.usage = chunk.pop("usage", None) or self.usage
        choices = chunk.get("choices")
        return self._visible(chunk, choices[0]) if choices else None

    def turn(self) -> Turn:
        """The whole turn. Raises `Malformed` if the stream ended before it did."""
        if not self.complete:
            raise Malformed("the engine's stream ended without [DONE]")
        texts = {name: "".join(pieces) for name, pieces in self._texts.items()}
        return Turn(texts.pop("content", None), [self._calls[index] for index in sorted(self._calls)], texts)

    def _visible(self, chunk: dict[str, Any], choice: dict[str, Any]) -> dict[str, Any] | None:
        delta = choice.get("delta") or {}
        for fragment in delta.pop("tool_calls", None) or ():
            self._collect(fragment)
        if not self._first:
            delta.pop("role", None)
        for name in TEXTS:
            if isinstance(text := delta.get(name), str) and text:
                self._texts.setdefault(name, []).append(text)
        if reason := choice.get("finish_reason"):
            self.finish_reason = reason
            choice["finish_reason"] = None
        return chunk if any(delta.values()) else None

    def _collect(self, fragment: dict[str, Any]) -> None:
        index = fragment.get("index") or 0
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
    if failure := chunk.get("error"):
        message = failure.get("message") if isinstance(failure, dict) else failure
        raise EngineError(f"the engine failed in the middle of its answer: {message}", code="engine_failed")
    return chunk
