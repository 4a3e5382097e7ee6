"""An engine's whole answer as a message."""

from collections.abc import Sequence
from typing import Any

from tandem_orchestrator.errors import Malformed
from tandem_orchestrator.gateway.tool_session import REASONING
from tandem_orchestrator.messages.content import (
    SIGNATURE,
    Block,
    CalledTool,
    citations,
    ending,
    new_id,
    searched,
    usage,
)
from tandem_orchestrator.observability.record import Record


def message_of(answer: dict[str, Any], record: Record, stops: Sequence[str], *, shows_thinking: bool) -> dict[str, Any]:
    """Return the message; `record` has counted its tokens. Raises `EngineError`."""
    choice = answer["choices"][0]
    said = choice.get("message")
    if not isinstance(said, dict):
        raise Malformed("the engine's answer has no message")
    message_id = new_id()
    refusal = _text(said, "refusal")
    called = _called(said, message_id)
    spoken = _spoken(said, refusal, message_id)
    content = [*(_thought(said) if shows_thinking else ()), *spoken, *called]
    end = ending(
        choice.get("finish_reason"), choice.get("stop_reason"), stops, called=bool(called), refused=bool(refusal)
    )
    ours = {"tandem": answer["tandem"]} if "tandem" in answer else {}
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": answer.get("model") or record.model or "",
        "content": content,
        **end,
        "usage": usage(record.prompt_tokens, record.completion_tokens, answer.get("usage"), record),
        **ours,
    }


def _text(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""


def _thought(said: dict[str, Any]) -> list[Block]:
    for name in REASONING:
        if thought := _text(said, name):
            return [{"type": "thinking", "thinking": thought, "signature": SIGNATURE}]
    return []


def _spoken(said: dict[str, Any], refusal: str, message_id: str) -> list[Block]:
    spoken = _text(said, "content") + refusal
    if not spoken:
        return []
    block: Block = {"type": "text", "text": spoken}
    if cited := citations(said.get("annotations")):
        block["citations"] = cited
    return [block, *searched(cited, message_id)]


def _called(said: dict[str, Any], message_id: str) -> list[Block]:
    blocks: list[Block] = []
    for fragment in said.get("tool_calls") or ():
        if not isinstance(fragment, dict):
            raise Malformed("the engine's answer holds a tool call of another shape than OpenAI's")
        call = CalledTool()
        call.add(fragment)
        blocks.append(call.block(message_id, len(blocks)))
    return blocks
