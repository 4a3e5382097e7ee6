"""An engine's streamed answer as the events of a message."""

from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any, Final

import orjson
from starlette.types import Send

from tandem_orchestrator.engines.answers import DONE, MAYBE_ERROR, failure_in
from tandem_orchestrator.engines.event_reader import EventReader
from tandem_orchestrator.error_shape import AnthropicError
from tandem_orchestrator.errors import EngineError, Malformed
from tandem_orchestrator.gateway.chunk import BEGINS, SHAPE
from tandem_orchestrator.gateway.event_stream import EventStream
from tandem_orchestrator.gateway.text_chunks import TextChunks
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
from tandem_orchestrator.observability.record import Record, counts
from tandem_orchestrator.transport.served import Served

PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
PING_SECONDS: Final = 10.0
STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
TEXT: Final = "text"
THINKING: Final = "thinking"
EMPTY: Final = {TEXT: {"type": TEXT, "text": ""}, THINKING: {"type": THINKING, "thinking": "", "signature": ""}}
"""Blocks as they begin."""
END: Final = b"\n\n"
OURS: Final = "tandem"


class MessageStream(EventStream):
    """Takes the events of a streamed chat, and sends those of a message.

    Text goes on at once. A call of a tool is sent when it is complete, as Anthropic's service does unless it is told
    otherwise: only then is it known whether its input is JSON, and engines may write several calls at a time.
    """

    def __init__(
        self, exchange: Served, record: Record, send: Send, stops: Sequence[str], *, shows_thinking: bool
    ) -> None:
        super().__init__(exchange, record, send)
        self._send_at_once: Callable[[bytes], bool] = self.write_at_once
        self.write_at_once = self._pass_on
        self._asked_by = record
        self._stops = stops
        self._shows_thinking = shows_thinking
        self._id = new_id()
        self._reader = EventReader()
        self._chunks = TextChunks()
        self._told_start = False
        self._index = 0
        """Of the block that is open, or of the next one."""
        self._open = ""
        """What kind of block is open."""
        self._head = b""
        """What stands before the text of an event of that block."""
        self._calls: dict[int, CalledTool] = {}
        self._places: dict[Any, int] = {}
        """Of calls, by the engine's index: some use one index for all."""
        self._annotations: list[Any] = []
        self._finish_reason: Any = None
        self._stopped_by: Any = None
        self._refused = False
        self._usage: Any = None
        self._decided: Block = {}
        """What guardrails decided, in `tandem`."""
        self._events = 0
        self._failure: EngineError | None = None
        self._sent_at = monotonic()

    def write(self, data: bytes) -> Awaitable[None]:
        """Take whole events of the engine's answer. Raises `Malformed`."""
        out = self._translated(data)
        if out:
            self._sent_at = monotonic()
        elif self._told_start and monotonic() - self._sent_at > PING_SECONDS:
            self._sent_at = monotonic()
            out = PING
        return super().write(out) if out else _nothing()

    async def comment(self, text: str) -> None:  # noqa: ARG002 # see `EventStream`
        """Tell that the message still comes."""
        await self.start()
        await self._write_on(PING)

    async def end(self, data: bytes = b"") -> None:
        """Send how the message ends."""
        self.write_at_once = _cannot  # or it would refer to itself, and be left to the collector of garbage
        out = [self._translated(data)] if data else []
        if self._failure is None:
            self._finish(out)
        await super().end(b"".join(out))

    def _pass_on(self, data: bytes) -> bool:
        """Send a piece of the text that is open; false, and nothing is changed, for whatever else comes."""
        if self._reader.pending or not data.endswith(END):
            return False
        text = self._chunks.text(data[: -len(END)])
        if text is None or not self._send_at_once(b"%b%b}}\n\n" % (self._head, text)):
            return False
        self._events += 1
        return True

    def _translated(self, data: bytes) -> bytes:
        out: list[bytes] = []
        if self._reader.pending or not data.endswith(END) or data.find(b"\r") >= 0:
            self._read(data, out)
            return b"".join(out)
        for written in data[: -len(END)].split(END):  # several events, as they come where an engine is ahead of us
            text = self._chunks.text(written)
            if text is not None:
                self._events += 1
                out.append(b"%b%b}}\n\n" % (self._head, text))
            elif written.startswith(BEGINS) and written.find(b"\n") < 0 and written.find(MAYBE_ERROR) < 0:
                if said := self._take(written[len(BEGINS) :], out):
                    self._chunks.learn(written, said)
            else:
                self._read(written + END, out)
        return b"".join(out)

    def _read(self, data: bytes, out: list[bytes]) -> None:
        for event in self._reader.read(data):
            if failure := failure_in(event):
                self._fail(failure, out)
            elif event.data is not None:
                self._take(event.data, out)

    def _take(self, data: bytes, out: list[bytes]) -> str:
        """Take a chunk; return the last text that it adds to a block. Raises `Malformed`."""
        if self._failure is not None or data.strip() == DONE:
            return ""
        try:
            chunk = orjson.loads(data)
            self._usage = chunk.get("usage") or self._usage
            choices = chunk.get("choices")
            if not choices:
                if OURS in chunk:
                    self._decided = {OURS: chunk[OURS]}
                return ""
            self._begin(chunk.get("model"), out)
            self._events += 1
            return self._choice(choices[0], out)
        except (AttributeError, LookupError, TypeError, ValueError):
            raise Malformed(SHAPE) from None

    def _choice(self, choice: dict[str, Any], out: list[bytes]) -> str:
        delta = choice.get("delta") or {}
        said = ""
        for name in REASONING:
            if thought := delta.get(name):
                said = self._say(THINKING, thought, out)
                break
        if text := delta.get("content"):
            said = self._say(TEXT, text, out)
        if refusal := delta.get("refusal"):
            self._refused = True
            said = self._say(TEXT, refusal, out)
        for fragment in delta.get("tool_calls") or ():
            self._collect(fragment)
        if annotations := delta.get("annotations"):
            self._annotations += annotations
        self._finish_reason = choice.get("finish_reason") or self._finish_reason
        self._stopped_by = choice.get("stop_reason") or self._stopped_by
        return said

    def _begin(self, model: Any, out: list[bytes]) -> None:
        if self._told_start:
            return
        self._told_start = True
        message: Block = {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": model or self._asked_by.model or "",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage(0, 0, None, self._asked_by),
        }
        out.append(_event("message_start", {"message": message}))

    def _say(self, kind: str, text: str, out: list[bytes]) -> str:
        """Add to the block of that kind, the last one or a new one; return what was added."""
        if kind == THINKING and not self._shows_thinking:
            return ""
        written = orjson.dumps("" + text)  # a text, or it is of another shape
        if self._open != kind:
            self._close(out)
            self._open = kind
            head = {"type": "content_block_delta", "index": self._index, "delta": {"type": f"{kind}_delta", kind: ""}}
            self._head = b"event: content_block_delta\ndata: " + orjson.dumps(head)[: -len('""}}')]
            out.append(_event("content_block_start", {"index": self._index, "content_block": EMPTY[kind]}))
        out.append(b"%b%b}}\n\n" % (self._head, written))
        return text

    def _close(self, out: list[bytes]) -> None:
        """End the block that is open, if there is one."""
        if not self._open:
            return
        if self._open == THINKING:
            out.append(self._delta({"type": "signature_delta", "signature": SIGNATURE}))
        out.append(_event("content_block_stop", {"index": self._index}))
        self._open = ""
        self._chunks.forget()
        self._index += 1

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return _event("content_block_delta", {"index": self._index, "delta": delta})

    def _collect(self, fragment: dict[str, Any]) -> None:
        index = fragment.get("index") or 0
        place = self._places.get(index)
        known = None if place is None else self._calls[place]
        call_id = fragment.get("id")
        if known is None or (call_id and known.id and call_id != known.id):
            self._places[index] = len(self._calls)
            known = self._calls[len(self._calls)] = CalledTool()
        known.add(fragment)

    def _finish(self, out: list[bytes]) -> None:
        """Tell what comes when all is said."""
        record = self._asked_by
        try:
            end = ending(
                self._finish_reason, self._stopped_by, self._stops, called=bool(self._calls), refused=self._refused
            )
            called = [call.block(self._id, place) for place, call in self._calls.items()]
        except EngineError as error:
            self._fail(error, out)
            record.tell(error)
            return
        self._begin(None, out)
        cited = citations(self._annotations) if self._open == TEXT else []
        out += [self._delta({"type": "citations_delta", "citation": each}) for each in cited]
        self._close(out)
        for block in searched(cited, self._id):
            self._add(block, b"", out)
        for block in called:
            self._add({**block, "input": {}}, orjson.dumps(block["input"]), out)
        prompt, completion = counts(self._usage)
        used = usage(prompt, completion or self._events, self._usage, record)
        out += [_event("message_delta", {"delta": end, "usage": used, **self._decided}), STOP]

    def _add(self, block: Block, written: bytes, out: list[bytes]) -> None:
        """Send a block that is complete, and what is `written` of its input beside it."""
        out.append(_event("content_block_start", {"index": self._index, "content_block": block}))
        if written:
            out.append(self._delta({"type": "input_json_delta", "partial_json": written.decode()}))
        out.append(_event("content_block_stop", {"index": self._index}))
        self._index += 1

    def _fail(self, error: EngineError, out: list[bytes]) -> None:
        if self._failure is not None:
            return
        self._failure = error
        self._chunks.forget()
        out.append(AnthropicError(error, self._asked_by.request_id).event())


def _event(kind: str, fields: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **fields}))


def _cannot(_: bytes) -> bool:
    return False


async def _nothing() -> None:
    """Be what is awaited where nothing is sent."""
