"""Answers a request with server-side tools: engine pass, tool calls, next pass, until the engine is done."""

from collections.abc import Sequence
from typing import Any

import orjson
from starlette.types import Send

from tandem_orchestrator.gateway.conversation import Conversation, turn_of
from tandem_orchestrator.gateway.dispatch import Call, Dispatcher
from tandem_orchestrator.gateway.relay import send_json
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.tools.toolbox import Toolbox, ToolCall, ToolResult


async def answer_with_tools(
    dispatcher: Dispatcher, call: Call, conversation: Conversation, toolbox: Toolbox, send: Send
) -> None:
    """Sends one JSON answer, whose usage is the sum over all passes."""
    record = call.record
    while True:
        _, answer = await dispatcher.complete(call, conversation.next_body(stream=False))
        record.count_usage(answer.get("usage"))
        conversation.add_usage(answer.get("usage"))
        turn = turn_of(answer["choices"][0].get("message") or {})
        calls = conversation.server_calls(turn)
        if not calls:
            break
        conversation.add_round(turn, await run_tools(toolbox, calls, record))
    await send_json(send, orjson.dumps(_final(answer, conversation.client_calls(turn), conversation.usage)))


async def run_tools(toolbox: Toolbox, calls: Sequence[ToolCall], record: Record) -> list[ToolResult]:
    """Runs the calls side by side and notes them in the request's record."""
    results = await toolbox.run_all(calls)
    record.tool_calls += [f"{result.call.name}:{result.status}" for result in results]
    return results


def _final(answer: dict[str, Any], client_calls: Sequence[ToolCall], usage: dict[str, int]) -> dict[str, Any]:
    """The engine's last answer; of its tool calls only the client's are left."""
    if usage:
        answer["usage"] = {**answer["usage"], **usage} if isinstance(answer.get("usage"), dict) else usage
    if client_calls:
        wanted = {call.id for call in client_calls}
        message = answer["choices"][0]["message"]
        message["tool_calls"] = [call for call in message["tool_calls"] if call.get("id") in wanted]
    return answer
