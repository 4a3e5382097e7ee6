"""Answers a request with server-side tools: engine pass, tool calls, next pass, until the engine is done."""

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import Any

from tandem_orchestrator.engines.dispatch import Call, Dispatcher
from tandem_orchestrator.gateway.guard import Guard
from tandem_orchestrator.gateway.tool_session import ToolSession, Turn, turn_of
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.tools.toolbox import SUCCESS, ToolCall, ToolResult


async def complete_with_tools(
    dispatcher: Dispatcher, call: Call, session: ToolSession, guard: Guard | None = None
) -> dict[str, Any]:
    """Return the engine's last answer, with the usage of all passes. Raises `GatewayError`."""
    await session.use.ready()
    while True:
        _, answer = await dispatcher.complete(call, session.next_body(stream=False))
        session.add_usage(answer.get("usage"))
        turn = turn_of(answer["choices"][0].get("message") or {})
        calls = await server_calls(turn, session, guard)
        if not calls:
            return _final(answer, turn, session)
        started = perf_counter()
        results = await _run_all(calls, session, call.record, guard)
        session.add_round(turn, results, perf_counter() - started)


async def server_calls(turn: Turn, session: ToolSession, guard: Guard | None) -> list[ToolCall]:
    """Return the calls to run now, as guardrails let them. Raises `ToolLoopFailed`."""
    calls = session.server_calls(turn)
    if guard is None or not calls:
        return calls
    turn.calls = [*await guard.calls(calls, session), *turn.calls[len(calls) :]]
    return turn.calls[: len(calls)]


async def run_tool(call: ToolCall, session: ToolSession, record: Record, guard: Guard | None = None) -> ToolResult:
    """Run one call and note it in the request's record, its metrics and its trace."""
    use = session.use
    label = use.toolbox.label(call)
    with record.tool(label, call.id) as run:
        why = session.refusal(call)
        if why is None:
            result = await use.toolbox.run(call, use.names, session.seconds_left, use.bound)
            if guard is not None:
                result = await guard.result(result)
        else:
            result = use.toolbox.refused(call, why)
        if result.status != SUCCESS:
            run.span.set("error.type", result.status)
    record.tool_calls.append(f"{label}:{result.status}")
    return result


async def _run_all(
    calls: Sequence[ToolCall], session: ToolSession, record: Record, guard: Guard | None
) -> list[ToolResult]:
    """Run the calls side by side; the results are in their order."""
    if len(calls) == 1:  # a task costs more than a calculation
        return [await run_tool(calls[0], session, record, guard)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run_tool(call, session, record, guard)) for call in calls]
    return [task.result() for task in tasks]


def _final(answer: dict[str, Any], turn: Turn, session: ToolSession) -> dict[str, Any]:
    """Return the engine's last answer, with what was said before it; of its tool calls only the client's are left."""
    if usage := session.usage:
        answer["usage"] = {**answer["usage"], **usage} if isinstance(answer.get("usage"), dict) else usage
    choice = answer["choices"][0]
    if texts := session.texts_until(turn):
        choice["message"] = {**(choice.get("message") or {}), **texts}
    if annotations := session.citations(turn):
        choice["message"]["annotations"] = annotations
    if turn.calls:
        message, wanted = choice["message"], session.client_calls(turn)
        message["tool_calls"] = [
            {**raw, "id": call.id}
            for raw, call in zip(message["tool_calls"], turn.calls, strict=True)
            if call in wanted
        ]
    return answer
