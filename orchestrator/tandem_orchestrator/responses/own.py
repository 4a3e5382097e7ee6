"""One pass by an engine's own `/v1/responses`: a chat request put that way, and what comes back read as a turn."""

from typing import Any, Final

import orjson

from tandem_orchestrator.engines.answers import failure_in, json_in
from tandem_orchestrator.engines.event_reader import Event
from tandem_orchestrator.errors import Malformed
from tandem_orchestrator.gateway.tool_session import REASONING, Turn
from tandem_orchestrator.responses.items import text_of
from tandem_orchestrator.responses.turn import ResponseTurn
from tandem_orchestrator.tools.toolbox import ToolCall

Json = dict[str, Any]

RENAMED: Final = {"max_tokens": "max_output_tokens"}
LEFT_OUT: Final = frozenset(
    {"messages", "tools", "tool_choice", "reasoning_effort", "response_format", "stream_options"}
)
PARTS: Final = {"text": "input_text", "image_url": "input_image", "file": "input_file"}
THOUGHT: Final = ("response.reasoning_text.delta", "response.reasoning.delta")
CUT: Final = {"max_output_tokens": "length"}
ENDS: Final = ("response.completed", "response.incomplete")
FAILED: Final = "response.failed"


def own_body(body: bytes) -> bytes:
    """Return a chat request as the engine's own responses take it; the engine keeps nothing."""
    chat: Json = orjson.loads(body)
    asked = {RENAMED.get(name, name): value for name, value in chat.items() if name not in LEFT_OUT}
    asked |= {"store": False, "input": []}
    for message in chat["messages"]:
        if message["role"] == "system" and not asked["input"]:
            asked["instructions"] = message["content"]
        else:
            asked["input"] += _items(message)
    if tools := chat.get("tools"):
        asked["tools"] = [{"type": "function", **tool["function"]} for tool in tools]
    if (choice := chat.get("tool_choice")) is not None:
        asked["tool_choice"] = {"type": "function", **choice["function"]} if isinstance(choice, dict) else choice
    if (effort := chat.get("reasoning_effort")) is not None:
        asked["reasoning"] = {"effort": effort}
    if (form := chat.get("response_format")) is not None:
        asked["text"] = {"format": {"type": form["type"], **form.get("json_schema", {})}}
    return orjson.dumps(asked)


def own_turn(answer: Json) -> tuple[Turn, str | None]:
    """Return the turn in an engine's whole response, and why it ended. Raises `Malformed`."""
    if answer.get("status") == "failed":
        raise Malformed(f"the engine's response failed: {answer.get('error')}")
    said, thought, calls = [], [], []
    try:
        for item in answer["output"]:
            if item["type"] == "message":
                said.append(text_of(item["content"]))
            elif item["type"] == "reasoning":
                thought.append(text_of(item.get("content") or item.get("summary")))
            elif item["type"] == "function_call":
                calls.append(_call(item))
    except (KeyError, TypeError, AttributeError):
        raise Malformed("the engine's response has items of another shape than OpenAI's") from None
    reasoning = {REASONING[0]: "\n".join(thought)} if any(thought) else {}
    return Turn("\n".join(said) if said else None, calls, reasoning), _reason(answer)


def own_usage(usage: Any) -> Json | None:
    """Return a response's usage as a chat has it."""
    if not isinstance(usage, dict) or "input_tokens" not in usage:
        return None
    found = {"prompt_tokens": usage["input_tokens"], "completion_tokens": usage.get("output_tokens")}
    return found | {
        "prompt_tokens_details": usage.get("input_tokens_details"),
        "completion_tokens_details": {
            "reasoning_tokens": (usage.get("output_tokens_details") or {}).get("reasoning_tokens")
        },
    }


class OwnTurn(ResponseTurn):
    """Reads the events of an engine's streamed response; its items become ours as they come."""

    def take(self, event: Event) -> dict[str, Any] | None:
        """Read an event. Raises `EngineError`."""
        if event.data is None or self.complete:
            return None
        if failure := failure_in(event):
            raise failure
        document = json_in(event)
        self._events += 1
        try:
            self._apply(document)
        except (KeyError, TypeError, AttributeError):
            raise Malformed("the engine's stream holds an event of another shape than OpenAI's") from None
        return None

    def _apply(self, document: Json) -> None:
        kind = document.get("type")
        if kind == "response.output_text.delta":
            self._add("content", document["delta"])
            self._output.say(document["delta"])
        elif kind in THOUGHT:
            self._add(REASONING[0], document["delta"])
            self._output.think(document["delta"])
        elif kind == "response.output_item.done" and document["item"]["type"] == "function_call":
            self._calls[len(self._calls)] = _call(document["item"])
        elif kind in ENDS:
            self.usage = own_usage(document["response"].get("usage"))
            self.finish_reason = _reason(document["response"]) or "stop"
            self.complete = True
        elif kind == FAILED:
            raise Malformed(f"the engine's response failed: {document['response'].get('error')}")

    def _add(self, name: str, text: str) -> None:
        self._texts.setdefault(name, []).append(text)


def _items(message: Json) -> list[Json]:
    role, content = message["role"], message.get("content")
    if role == "tool":
        return [{"type": "function_call_output", "call_id": message["tool_call_id"], "output": text_of(content)}]
    if role != "assistant":
        return [{"type": "message", "role": role, "content": _parts(content)}]
    items = [
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": message[name]}]}
        for name in REASONING
        if message.get(name)
    ]
    if content:
        items.append({"type": "message", "role": role, "content": [{"type": "output_text", "text": text_of(content)}]})
    calls = message.get("tool_calls") or ()
    return [*items, *({"type": "function_call", "call_id": call["id"], **call["function"]} for call in calls)]


def _parts(content: Any) -> str | list[Json]:
    if isinstance(content, str):
        return content
    return [_part(part) for part in content]


def _part(part: Json) -> Json:
    kind = part["type"]
    if kind == "text":
        return {"type": "input_text", "text": part["text"]}
    if kind == "image_url":
        return {"type": "input_image", "image_url": part["image_url"]["url"], "detail": part["image_url"].get("detail")}
    return {"type": PARTS.get(kind, kind), **part[kind]}


def _call(item: Json) -> ToolCall:
    return ToolCall(item["call_id"], item["name"], item["arguments"])


def _reason(response: Json) -> str | None:
    reason = (response.get("incomplete_details") or {}).get("reason")
    return CUT.get(reason, reason) if isinstance(reason, str) else None
