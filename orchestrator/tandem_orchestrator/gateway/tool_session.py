"""A request with server-side tools, over several passes of the engine. Decides; does no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import orjson
from tandem_contract.config import Tools as ToolSettings

from tandem_orchestrator.errors import BadRequest, ToolLoopFailed
from tandem_orchestrator.gateway.request import Request
from tandem_orchestrator.gateway.tool_use import ToolUse, function_of
from tandem_orchestrator.observability.record import count
from tandem_orchestrator.tools.citation import citations
from tandem_orchestrator.tools.passage import Passage, written
from tandem_orchestrator.tools.toolbox import INVALID, ToolCall, ToolResult

USAGE_FIELDS: Final = ("prompt_tokens", "completion_tokens", "total_tokens")
REASONING: Final = ("reasoning", "reasoning_content")  # as vLLM calls it, and others
SEARCHES: Final = frozenset({"file_search", "web_search"})
"""Tools that find text which others wrote."""
ANY: Final = "*"
CHANGING: Final = frozenset({"messages", "stream", "stream_options", "tool_choice"})


@dataclass(slots=True)
class Turn:
    """What the engine said in one pass."""

    content: str | None = None
    calls: list[ToolCall] = field(default_factory=list)
    reasoning: dict[str, str] = field(default_factory=dict)
    """By the engine's name for it; models go on better when they get it back."""

    @property
    def texts(self) -> dict[str, str]:
        """All that was said, by a message's fields."""
        return (
            {"content": self.content, **self.reasoning}
            if self.content and isinstance(self.content, str)
            else self.reasoning
        )


class ToolSession:
    """Grows by turns and tool results; says what the next pass asks, and when the last one is reached.

    The engine's tool calls are the server's when their tool is in `use`, the client's when the request declares it
    and it is not. A turn that calls one of the client's goes back to the client, and the server's calls beside it are
    not run: a chat completion cannot keep their results until the client's come, and a call whose result
    is lost would be made twice. The model makes it again when it has the client's results.

    Text that a search found may ask for tools, and the model may take that for the user's wish. Once there is such
    text, only searches run here, and what `tools.afterRetrieval` names; the client judges its own tools' calls.
    """

    changing: ClassVar[frozenset[str]] = CHANGING
    """Fields that `_changing` gives."""

    def __init__(self, request: Request, use: ToolUse, settings: ToolSettings) -> None:
        payload = request.payload
        if payload.get("n") not in (None, 1):
            raise BadRequest("`n` must be 1 in a request with tools of the server", param="n")
        options = payload.get("stream_options") or {}
        if not isinstance(options, dict):
            raise BadRequest("`stream_options` must be an object", param="stream_options")
        self.use = use
        self.usage_wanted = bool(options.get("include_usage"))
        self.usage: dict[str, int] = {}
        self.passages: list[Passage] = []
        """What was found, in the order of its numbers."""
        self.found_before = 0
        """How many passages were there when a person last said something."""
        self._client = frozenset(request.declared_tools) - use.names
        self._settings = settings
        self._request = request
        self._choice = payload.get("tool_choice")
        self._fixed = b""
        self._messages = b""
        self._earlier: list[dict[str, str]] = []
        self._rounds = 0
        self._calls = 0
        self._seconds = 0.0
        self._corrected = False
        self.forbidden: dict[ToolCall, str] = {}
        """Calls that guardrails do not let run, and why."""

    @property
    def exhausted(self) -> bool:
        """True when the engine has to answer without asking for another tool."""
        return (
            self._rounds >= self._settings.max_rounds
            or self._calls >= self._settings.max_calls
            or self.seconds_left <= 0
        )

    @property
    def seconds_left(self) -> float:
        """How long tools may still run."""
        return self._settings.total_seconds - self._seconds

    def next_body(self, *, stream: bool) -> bytes:
        """Return the request body of the next pass."""
        if not (self._rounds or stream or self.use.declarations):
            return self._request.body()
        if not self._fixed:
            self._write_down()
        changing = self._changing(stream=stream)
        written = orjson.dumps(changing)[1:-1]
        return b"".join((self._fixed, written, b"," if written else b"", b'"messages":', self._messages, b"]}"))

    def _changing(self, *, stream: bool) -> dict[str, Any]:
        """Return the fields of the next pass that differ from those of other passes."""
        changing: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
        if self.exhausted:
            changing["tool_choice"] = "none"
        elif self._choice is not None:  # one that forces a call would force it in every pass
            changing["tool_choice"] = "auto" if self._rounds else self._choice
        return changing

    def add_usage(self, usage: Any) -> None:
        """Sum a pass's usage; anything that is not a usage object adds nothing."""
        if isinstance(usage, dict):
            for name in USAGE_FIELDS:
                self.usage[name] = self.usage.get(name, 0) + count(usage.get(name))

    def is_clients(self, name: str) -> bool:
        """Return whether the client has to serve calls of that tool."""
        return name in self._client

    def client_calls(self, turn: Turn) -> list[ToolCall]:
        """Return the calls that the client has to serve; the turn ends the request then."""
        return [call for call in turn.calls if call.name in self._client]

    def server_calls(self, turn: Turn) -> list[ToolCall]:
        """Return the calls to run now; none when the turn ends the request. Raises `ToolLoopFailed`."""
        if not turn.calls or self.client_calls(turn):
            return []
        if self.exhausted:
            raise ToolLoopFailed(
                f"the model still asks for tools after {self._rounds} rounds with {self._calls} calls "
                f"in {self._seconds:.1f} s",
                code="tool_limit",
            )
        return turn.calls[: self._settings.max_calls - self._calls]

    def refusal(self, call: ToolCall) -> str | None:
        """Return why a call of a tool that is there must not run, None where it may."""
        if call in self.forbidden:
            return self.forbidden[call]
        retrieved = len(self.passages) > self.found_before
        if not retrieved or call.name in SEARCHES or call.name not in self.use.names:
            return None
        allowed = self._settings.after_retrieval
        if ANY in allowed or call.name in allowed:
            return None
        return (
            f"{call.name} was not run: this conversation holds text that a search found, and after that only searches "
            "may be called. Answer with what there is."
        )

    def citations(self, turn: Turn) -> list[dict[str, Any]]:
        """Return what the whole answer, whose last turn this is, cites; in a chat's form."""
        said = self.texts_until(turn).get("content") or turn.content
        if not self.passages or not isinstance(said, str):
            return []
        found = citations(said, self.passages)
        return [{"type": each["type"], each["type"]: _without_type(each)} for each in found]

    def add_round(self, turn: Turn, results: Sequence[ToolResult], seconds: float) -> None:
        """Add a turn and what its calls gave within `seconds`. Raises `ToolLoopFailed` when they are broken twice."""
        broken = [result for result in results if result.status == INVALID]
        if broken and self._corrected:
            raise ToolLoopFailed(
                f"the model keeps calling {broken[0].call.name!r} wrongly: {broken[0].content}",
                code="invalid_tool_arguments",
            )
        self._corrected = self._corrected or bool(broken)
        self._rounds += 1
        self._calls += len(results)
        self._seconds += seconds
        if not self._fixed:
            self._write_down()
        calls = [_written(result) for result in results]
        if texts := turn.texts:
            self._earlier.append(texts)
        messages = [{"role": "assistant", "content": turn.content, **turn.reasoning, "tool_calls": calls}]
        messages += [
            {"role": "tool", "tool_call_id": result.call.id, "name": result.call.name, "content": self._content(result)}
            for result in results
        ]
        self._messages += b"," + orjson.dumps(messages)[1:-1]

    def _content(self, result: ToolResult) -> str:
        if result.passages is None:
            return result.content
        content = written(result.passages, len(self.passages))
        self.passages += result.passages
        return content

    def texts_until(self, turn: Turn) -> dict[str, str]:
        """Return the last turn's texts with those of the turns before in front; empty where these had none."""
        joined: dict[str, str] = {}
        for texts in (*self._earlier, turn.texts) if self._earlier else ():
            for name, text in texts.items():
                joined[name] = joined.get(name, "") + text
        return joined

    def _write_down(self) -> None:
        """Turn into JSON, once for all passes, what the client said; a long history costs more than all the rest."""
        payload = self._request.payload
        fixed = {name: value for name, value in payload.items() if name not in self.changing}
        if self.use.declarations:
            kept = [tool for tool in payload.get("tools") or () if not self._is_replaced(tool)]
            fixed["tools"] = [*kept, *self.use.declarations]
        self._fixed = orjson.dumps(fixed)[:-1] + b","
        self._messages = orjson.dumps(payload["messages"])[:-1]

    def _is_replaced(self, tool: Any) -> bool:
        function = function_of(tool)
        return function is not None and function["name"] in self.use.replaced


def turn_of(message: dict[str, Any]) -> Turn:
    """Return the turn in a whole answer's `message`."""
    calls = []
    for index, call in enumerate(message.get("tool_calls") or ()):
        function = call.get("function") or {}
        name, arguments = function.get("name") or "", function.get("arguments") or ""
        calls.append(ToolCall(call.get("id") or f"call_{index}", name, arguments))
    reasoning = {name: text for name in REASONING if isinstance(text := message.get(name), str) and text}
    return Turn(message.get("content"), calls, reasoning)


def _without_type(annotation: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an annotation that a chat has under the name of its type."""
    return {name: value for name, value in annotation.items() if name != "type"}


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
