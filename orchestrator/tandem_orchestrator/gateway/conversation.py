"""A request with server-side tools, over several passes of the engine. Decides; does no I/O."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from tandem_contract.config import Tools as ToolSettings

from tandem_orchestrator.errors import BadRequest, ToolLoopFailed
from tandem_orchestrator.gateway.request import Request
from tandem_orchestrator.tools.toolbox import INVALID, ToolCall, ToolResult

USAGE_FIELDS = ("prompt_tokens", "completion_tokens", "total_tokens")


@dataclass(slots=True)
class Turn:
    """What the engine said in one pass."""

    content: str | None = None
    calls: list[ToolCall] = field(default_factory=list)


class Conversation:
    """Grows by turns and tool results; says what the next pass asks, and when the last one is reached.

    The engine's tool calls are the server's when their tool is in `server_tools`, the client's when the request
    declares it; a turn that calls one of the client's goes back to the client.
    """

    def __init__(self, request: Request, server_tools: Collection[str], settings: ToolSettings) -> None:
        if request.payload.get("n") not in (None, 1):
            raise BadRequest("`n` must be 1 in a request that declares a tool of the server", param="n")
        options = request.payload.get("stream_options") or {}
        if not isinstance(options, dict):
            raise BadRequest("`stream_options` must be an object", param="stream_options")
        declared = set(request.declared_tools)
        self._server = declared & set(server_tools)
        self._client = declared - self._server
        self._settings = settings
        self._payload = request.payload
        self.usage_wanted = bool(options.get("include_usage"))
        self._messages: list[Any] = list(request.payload["messages"])
        self._rounds = 0
        self._calls = 0
        self._corrected = False
        self.usage: dict[str, int] = {}

    @property
    def exhausted(self) -> bool:
        """True when the engine has to answer without asking for another tool."""
        return self._rounds >= self._settings.max_rounds or self._calls >= self._settings.max_calls

    def next_body(self, *, stream: bool) -> bytes:
        """The request body of the next pass."""
        payload = {**self._payload, "messages": self._messages, "stream": stream}
        payload.pop("stream_options", None)
        if stream:
            payload["stream_options"] = {"include_usage": True}
        if self.exhausted:
            payload["tool_choice"] = "none"
        elif self._rounds and self._payload.get("tool_choice") not in (None, "none"):
            payload["tool_choice"] = "auto"  # a choice that forces a call would force it in every pass
        return orjson.dumps(payload)

    def add_usage(self, usage: Any) -> None:
        """Sums a pass's usage; anything that is not a usage object adds nothing."""
        if isinstance(usage, dict):
            for name in USAGE_FIELDS:
                self.usage[name] = self.usage.get(name, 0) + (usage.get(name) or 0)

    def client_calls(self, turn: Turn) -> list[ToolCall]:
        """The calls that the client has to serve; the turn ends the request then."""
        return [call for call in turn.calls if call.name in self._client]

    def server_calls(self, turn: Turn) -> list[ToolCall]:
        """The calls to run now; none when the turn ends the request. Raises `ToolLoopFailed`."""
        if not turn.calls or self.client_calls(turn):
            return []
        if self.exhausted:
            raise ToolLoopFailed(
                f"the model still asks for tools after {self._rounds} rounds with {self._calls} calls",
                code="tool_limit",
            )
        return turn.calls[: self._settings.max_calls - self._calls]

    def add_round(self, turn: Turn, results: Sequence[ToolResult]) -> None:
        """Adds a turn and what its calls gave. Raises `ToolLoopFailed` when calls are broken a second time."""
        broken = [result for result in results if result.status == INVALID]
        if broken and self._corrected:
            raise ToolLoopFailed(
                f"the model keeps calling {broken[0].call.name!r} wrongly: {broken[0].content}",
                code="invalid_tool_arguments",
            )
        self._corrected = self._corrected or bool(broken)
        self._rounds += 1
        self._calls += len(results)
        calls = [_written(result) for result in results]
        self._messages.append({"role": "assistant", "content": turn.content, "tool_calls": calls})
        self._messages += [
            {"role": "tool", "tool_call_id": result.call.id, "name": result.call.name, "content": result.content}
            for result in results
        ]


def turn_of(message: dict[str, Any]) -> Turn:
    """The turn in a whole answer's `message`."""
    calls = []
    for index, call in enumerate(message.get("tool_calls") or ()):
        function = call.get("function") or {}
        name, arguments = function.get("name") or "", function.get("arguments") or ""
        calls.append(ToolCall(call.get("id") or f"call_{index}", name, arguments))
    return Turn(message.get("content"), calls)


def _written(result: ToolResult) -> dict[str, Any]:
    # Engines read the arguments of earlier calls as JSON and refuse the request where they are not.
    call = result.call
    arguments = call.arguments
    if result.status == INVALID:
        try:
            arguments = arguments if isinstance(orjson.loads(arguments), dict) else "{}"
        except orjson.JSONDecodeError:
            arguments = "{}"
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments or "{}"}}
