"""The tool loop for a client that reads a stream: text passes at once, tool activity beside it.

All chunks carry the id of the first pass, so that the client sees one answer.
"""

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import Any, Final

from tandem_orchestrator.engines.dispatch import Call, Dispatcher
from tandem_orchestrator.errors import EngineError
from tandem_orchestrator.gateway.chunk import as_event
from tandem_orchestrator.gateway.event_stream import EventStream
from tandem_orchestrator.gateway.guard import Guard
from tandem_orchestrator.gateway.streamed_turn import StreamedTurn
from tandem_orchestrator.gateway.tool_loop import run_tool, server_calls
from tandem_orchestrator.gateway.tool_session import ToolSession
from tandem_orchestrator.tools.toolbox import ToolCall, ToolResult

STARTED: Final = "started"


async def stream_with_tools(  # noqa: PLR0913, PLR0917 # a call's parts, and what guards it
    dispatcher: Dispatcher,
    call: Call,
    session: ToolSession,
    stream: EventStream,
    heartbeat_seconds: float,
    guard: Guard | None = None,
) -> None:
    """Send one stream of chunks. Raises `GatewayError`, also after the stream's start."""
    await session.use.ready()
    client = _Client(stream, session, guard)
    while True:
        turn = await _relay_turn(dispatcher, call, session, client)
        said = turn.turn()
        calls = await server_calls(said, session, guard)
        if not calls:
            await client.finish(turn)
            return
        started = perf_counter()
        tasks = [asyncio.create_task(run_tool(asked, session, call.record, guard)) for asked in calls]
        try:
            results = await _watched(tasks, calls, client, heartbeat_seconds)
        finally:
            for task in tasks:
                task.cancel()
        session.add_round(said, results, perf_counter() - started)


async def _relay_turn(dispatcher: Dispatcher, call: Call, session: ToolSession, client: "_Client") -> StreamedTurn:
    body = session.next_body(stream=True)
    response = await dispatcher.stream(call, body)
    turn = StreamedTurn(client.frame)
    failure: EngineError | None = None
    try:
        await client.stream.start()
        while data := await response.read():
            await client.pass_on(turn.read(data), turn.frame)
        await client.pass_on(turn.end(), turn.frame)
    except EngineError as error:
        if not turn.complete:
            failure = error
            raise
    finally:
        response.count_usage(turn.charge(body))
        response.close(failure)
        session.add_usage(turn.usage)
    return turn


async def _watched(
    tasks: Sequence[asyncio.Task[ToolResult]], calls: Sequence[ToolCall], client: "_Client", heartbeat_seconds: float
) -> list[ToolResult]:
    """Return the results in the order of the calls; the client hears when each is there, and now and then
    in between.
    """
    await client.tools_started(calls)
    waiting = set(tasks)
    while waiting:
        done, waiting = await asyncio.wait(waiting, timeout=heartbeat_seconds, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            await client.stream.comment("tools are running")
        for task in done:
            await client.tool_ended(task.result())
    return [task.result() for task in tasks]


class _Client:
    """Writes chunks to the client."""

    def __init__(self, stream: EventStream, session: ToolSession, guard: Guard | None) -> None:
        self.stream = stream
        self._guard = guard
        self.frame: dict[str, Any] = {}
        self._session = session
        self._use = session.use

    async def pass_on(self, chunks: Sequence[dict[str, Any]], frame: dict[str, Any]) -> None:
        """Send chunks under the answer's one `frame`."""
        self.frame = frame
        if chunks:
            await self.stream.write(b"".join(as_event({**chunk, **frame}) for chunk in chunks))

    async def tools_started(self, calls: Sequence[ToolCall]) -> None:
        """Tell that the calls run."""
        if self._use.events:
            await self.stream.write(b"".join(self._tool_event(call, STARTED, None) for call in calls))
        else:
            names = ", ".join(self._use.toolbox.label(call) for call in calls)
            await self.stream.comment(f"tools {names} {STARTED}")

    async def tool_ended(self, result: ToolResult) -> None:
        """Tell what became of a call."""
        if self._use.events:
            await self.stream.write(self._tool_event(result.call, result.status, round(result.seconds, 3)))
        else:
            await self.stream.comment(f"tool {self._use.toolbox.label(result.call)} {result.status}")

    async def finish(self, turn: StreamedTurn) -> None:
        """Send what the answer cites, the client's own tool calls, the answer's end, what guardrails decided about it,
        and its usage if asked for.
        """
        said = turn.turn()
        calls = [
            {
                "index": index,
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for index, call in enumerate(self._session.client_calls(said))
        ]
        annotations = self._session.citations(said)
        events = [self._chunk({"annotations": annotations}, None)] if annotations else []
        if calls:
            events.append(self._chunk({"tool_calls": calls}, None))
        events.append(self._chunk({}, turn.finish_reason or "stop", turn.stopped_by))
        if self._guard is not None and self._guard.decisions:
            events.append(as_event({**self.frame, "choices": [], "tandem": self._guard.shown}))
        if self._session.usage_wanted:
            events.append(as_event({**self.frame, "choices": [], "usage": self._session.usage}))
        await self.stream.end(b"".join(events) + b"data: [DONE]\n\n")

    def _tool_event(self, call: ToolCall, status: str, seconds: float | None) -> bytes:
        # No choices, as in OpenAI's own chunk with the usage, so that its clients take it for a chunk like others.
        tool = {"name": self._use.toolbox.label(call), "id": call.id, "status": status, "seconds": seconds}
        return as_event({**self.frame, "choices": [], "tandem": {"tool": tool}})

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None, stopped_by: Any = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        if stopped_by is not None:
            choice["stop_reason"] = stopped_by
        return as_event({**self.frame, "choices": [choice]})
