"""The tool loop for a client that reads a stream: text passes at once, tool activity as comments.

All chunks carry the id of the first pass, so that the client sees one answer.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from tandem_orchestrator.gateway.connection import Response
from tandem_orchestrator.gateway.conversation import Conversation
from tandem_orchestrator.gateway.dispatch import Call, Dispatcher
from tandem_orchestrator.gateway.event_stream import EventStream
from tandem_orchestrator.gateway.relay import Lines
from tandem_orchestrator.gateway.streamed_turn import StreamedTurn
from tandem_orchestrator.gateway.tool_loop import run_tools
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.tools.toolbox import Toolbox, ToolCall

FRAME = ("id", "object", "created", "model", "system_fingerprint")


async def stream_with_tools(
    dispatcher: Dispatcher, call: Call, conversation: Conversation, toolbox: Toolbox, stream: EventStream
) -> None:
    """Sends one stream of chunks. Raises `GatewayError`, also after the stream's start."""
    record = call.record
    response = await dispatcher.stream(call, conversation.next_body(stream=True))
    client = _Client(stream)
    try:
        await stream.start()
        turn = await _relay_turn(response, client, conversation, record)
        while calls := conversation.server_calls(turn.turn()):
            await stream.comment(f"tools {_names(calls, toolbox)} started")
            results = await run_tools(toolbox, calls, record)
            conversation.add_round(turn.turn(), results)
            for result in results:
                await stream.comment(f"tool {_names([result.call], toolbox)} {result.status}")
            response = await dispatcher.stream(call, conversation.next_body(stream=True))
            turn = await _relay_turn(response, client, conversation, record)
        await client.finish(turn, conversation)
    finally:
        response.close()


async def _relay_turn(
    response: Response, client: "_Client", conversation: Conversation, record: Record
) -> StreamedTurn:
    turn, lines = StreamedTurn(first=not client.frame), Lines()
    try:
        while data := await response.read():
            chunks = [chunk for line in lines.take(data).splitlines() if (chunk := turn.take(line))]
            await client.pass_on(chunks)
    finally:
        response.close()
        record.count_usage(turn.usage)
        conversation.add_usage(turn.usage)
    return turn


def _names(calls: Sequence[ToolCall], toolbox: Toolbox) -> str:
    return ", ".join(call.name if call.name in toolbox.names else "unknown" for call in calls)


class _Client:
    """Writes events to the client."""

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self.frame: dict[str, Any] = {}

    async def pass_on(self, chunks: Sequence[dict[str, Any]]) -> None:
        """Sends chunks under the answer's one id."""
        if not chunks:
            return
        if not self.frame:
            self.frame = {name: chunks[0][name] for name in FRAME if name in chunks[0]}
        await self._stream.write(b"".join(_event({**chunk, **self.frame}) for chunk in chunks))

    async def finish(self, turn: StreamedTurn, conversation: Conversation) -> None:
        """Sends the client's own tool calls, the end of the answer, and its usage if that was asked for."""
        calls = [
            {
                "index": index,
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for index, call in enumerate(conversation.client_calls(turn.turn()))
        ]
        events = [self._chunk({"tool_calls": calls}, None)] if calls else []
        events.append(self._chunk({}, turn.finish_reason or "stop"))
        if conversation.usage_wanted:
            events.append(_event({**self.frame, "choices": [], "usage": conversation.usage}))
        await self._stream.end(b"".join(events) + b"data: [DONE]\n\n")

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return _event({**self.frame, "choices": [choice]})


def _event(document: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(document) + b"\n\n"
