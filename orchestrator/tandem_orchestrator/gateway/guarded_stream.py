"""An engine's stream of a chat or a completion under guardrails: events wait until what they say was looked at.

An event in which nothing is found goes on in the engine's own bytes. These are, byte for byte, what was read in them:
an event that could be read otherwise is written again, and what cannot be looked into is left out.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import orjson

from tandem_orchestrator.engines import estimate
from tandem_orchestrator.engines.answers import DONE, failure_in
from tandem_orchestrator.engines.event_reader import Event, EventReader
from tandem_orchestrator.engines.replica import EngineStream
from tandem_orchestrator.errors import EngineError, Malformed, Refused
from tandem_orchestrator.gateway.chunk import FRAME, LOGPROBS, SHAPE, TEXTS, Json, as_event, numbers
from tandem_orchestrator.gateway.guarded_calls import as_delta
from tandem_orchestrator.gateway.guarded_choice import NOTHING, Choice, Held, Place
from tandem_orchestrator.gateway.screen import Screen
from tandem_orchestrator.gateway.text_chunks import TextChunks
from tandem_orchestrator.gateway.token_probabilities import said_in

END: Final = b"\n\n"
LAST: Final = b"data: [DONE]\n\n"
ALIVE: Final = b":\n\n"
"""In the place of an engine's comments."""
FILTERED: Final = "content_filter"
REASON: Final = re.compile(r"[a-z_]{1,24}")
MOST_CHOICES: Final = 4096
WITHHELD: Final = "the engine failed in the midst of its answer; a guardrail withholds what it says of that"


class GuardedStream(EngineStream):
    """See `EngineStream`; `read` gives whole events."""

    __slots__ = (
        "_body",
        "_chat",
        "_choices",
        "_chunks",
        "_done",
        "_early",
        "_ended",
        "_events",
        "_failure",
        "_fed",
        "_finders",
        "_frame",
        "_judging",
        "_learnt",
        "_out",
        "_reader",
        "_screen",
        "_stream",
        "_told",
        "_usage",
    )

    def __init__(self, screen: Screen, stream: EngineStream, body: bytes) -> None:
        self._stream = stream
        self._screen = screen
        self._body = body
        self._reader = EventReader()
        self._chunks = TextChunks()
        self._learnt: tuple[Choice, Place] | None = None
        """What the chunks add to that are equal but for their text."""
        self._choices: dict[int, Choice] = {}
        self._frame: Json = {}
        self._chat = True
        self._events = 0
        self._usage: Any = None
        self._out: list[bytes] = []
        self._finders = [rail.finder for rail in screen.guard.output_rails if rail.finder is not None]
        self._judging = any(rail.judge is not None for rail in screen.guard.output_rails)
        self._done = False
        """True once the answer has ended; what comes then counts for nothing."""
        self._early = False
        """True where it ends before the engine's stream does."""
        self._told = False
        """True once its end has gone on."""
        self._ended = False
        """True once there is no more to read."""
        self._fed = 0
        self._failure: EngineError | None = None
        self.read = self._read
        self.count_usage = stream.count_usage

    def close(self, failure: EngineError | None = None) -> None:
        """See `EngineStream`."""
        self._stream.close(failure)

    async def _read(self, pass_on: Callable[[bytes], bool] | None = None) -> bytes:
        offer = None if pass_on is None else partial(self._offer, pass_on)
        while not self._ended:
            data = await self._stream.read(offer)
            known, self._fed = self._fed, 0
            self._feed(data[known:], last=not data)
            await self._ask()
            self._release()
            if out := self._taken():
                return out
        return b""

    def _offer(self, pass_on: Callable[[bytes], bool], data: bytes) -> bool:
        """Take a piece as it arrives; false where it is for `_read` to go on, which then gets it once more."""
        self._feed(data)
        if not (self._failure or self._asks()):
            self._release()
            out = self._taken()
            if not self._ended and (not out or pass_on(out)):
                return True
            self._out.append(out)
        self._fed = len(data)
        return False

    def _taken(self) -> bytes:
        out = b"".join(self._out)
        self._out.clear()
        return out

    def _feed(self, data: bytes, *, last: bool = False) -> None:
        """Take what the engine says. What is wrong with it is told by `_ask`: here may be nobody to hear it."""
        try:
            if last:
                self._end()
            else:
                self._events_in(data)
        except EngineError as error:
            self._failure = self._failure or error
        except (AttributeError, LookupError, TypeError, ValueError):
            self._failure = self._failure or Malformed(SHAPE)

    def _events_in(self, data: bytes) -> None:
        if self._reader.pending or not data.endswith(END) or data.find(b"\r") >= 0:
            self._events_read(data)
            return
        for written in data[: -len(END)].split(END):
            learnt = self._learnt
            text = None if learnt is None or self._done else self._chunks.said(written)
            if text is not None and learnt is not None:
                self._events += 1
                state, before = learnt
                if not state.over:
                    state.take_text(before, written + END, text)
            else:
                self._events_read(written + END)

    def _events_read(self, data: bytes) -> None:
        for event in self._reader.read(data):
            self._take(event)

    def _take(self, event: Event) -> None:
        if self._done:
            return
        if event.data is None:
            self._out.append(ALIVE)
        elif event.data.strip() == DONE:
            self._finish()
        elif failure := failure_in(event):
            raise self._withheld(failure)
        else:
            self._chunk(event)

    def _withheld(self, failure: EngineError) -> EngineError:
        """Return what may be told of an engine's failure, in which there may be what it was about to say."""
        told = failure.message
        for rail in self._screen.guard.output_rails:
            if rail.finder is None or rail.finder.find(told):
                status = failure.status
                return Refused(status, {"message": WITHHELD, "type": failure.type, "code": "engine_failed"})
        return failure

    def _chunk(self, event: Event) -> None:
        chunk = orjson.loads(event.data or b"")
        if usage := chunk.get("usage"):
            self._usage = chunk["usage"] = numbers(usage)
        choices = chunk.get("choices")
        if not choices:
            return
        self._events += 1
        if not self._frame:
            self._frame = {name: chunk[name] for name in FRAME if name in chunk}
            self._chat = "delta" in choices[0]
        for choice in choices:
            self._take_choice(event, chunk, choice)

    def _take_choice(self, event: Event, chunk: Json, choice: Json) -> None:
        state = self._choice(choice["index"])
        if state.over:
            return
        places = state.take(choice, said_in(choice, self._finders))
        called = state.calls.take(choice.get("delta"))
        reason = choice.get("finish_reason")
        if not (reason is None or REASON.fullmatch(reason)):
            raise Malformed(SHAPE)
        fields = {name: self._frame.get(name) for name in chunk if name in FRAME or chunk[name] is None}
        for name in ("usage", "choices"):
            if name in chunk:
                fields[name] = chunk[name] if name == "usage" else [choice]
        held = Held(as_event(fields), fields, places)
        if reason:
            state.end(held)
        elif not called or _says(choice):
            state.held.append(held)
            self._learn(state, event, held)
        state.settle_others()

    def _learn(self, state: Choice, event: Event, held: Held) -> None:
        """Know the chunks that follow by this one, if it is one that adds a text and goes on as it is."""
        if len(held.places) != 1 or held.raw != event.raw:
            return
        place = held.places[0]
        learnt = self._learnt
        if place.key not in TEXTS or (learnt is not None and learnt[0] is not state and not learnt[0].over):
            return
        held.chunk = place.holder = None
        self._chunks.learn(event.raw[: -len(END)], place.text)
        self._learnt = (state, place)

    def _choice(self, index: int) -> Choice:
        state = self._choices.get(index)
        if state is None:
            if not isinstance(index, int) or len(self._choices) >= MOST_CHOICES:
                raise Malformed(SHAPE)
            state = self._choices[index] = self._screen.choice(index)
        return state

    def _asks(self) -> bool:
        """Return whether somebody is to be asked, for which `_ask` waits."""
        for state in self._choices.values():
            if state.ending is not None:
                return True
            if self._judging and any(window.due() is not None for window in state.windows.values()):
                return True
        return False

    async def _ask(self) -> None:
        """Have judged what waits for that. Raises `EngineError` for what was wrong with the stream."""
        for state in self._choices.values():
            for window in state.windows.values() if self._judging else ():
                await self._screen.judge(window)
            if state.ending is not None and not state.blocked:
                await self._judge_calls(state, state.ending)
                state.ending = None
        if self._failure is not None:
            raise self._failure

    async def _judge_calls(self, state: Choice, last: Held) -> None:
        calls, old = state.calls.whole()
        if not await self._screen.judge_calls(calls):
            self._block(state)
            return
        chunk = self._made({"index": state.index, "delta": as_delta(calls, old=old), "finish_reason": None})
        state.held += (Held(chunk, None, []), last)

    def _finish(self) -> None:
        """Take the answer's end."""
        self._done = True
        for state in self._choices.values():
            if not state.over:
                state.end(NOTHING)

    def _end(self) -> None:
        """Take the end of all that comes."""
        self._ended = True
        if rest := self._reader.end():
            self._take(rest)
        if not self._done and self._choices and all(state.over for state in self._choices.values()):
            self._finish()  # some engines know no [DONE]

    def _release(self) -> None:
        """Let go on what may."""
        for state in self._choices.values():
            if (cut := state.release(self._out)) is not None:
                self._let_begin(state, *cut)
                self._block(state)
        if self._done and not self._told and not any(state.waits for state in self._choices.values()):
            self._told = True
            self._ended = self._ended or self._early
            self._out += self._tail()

    def _let_begin(self, state: Choice, held: Held, cut: Place) -> None:
        """Let go on what is said before the cut, of an event that says only that."""
        if any(place is not cut and place.key != LOGPROBS for place in held.places) or cut.key not in TEXTS:
            return
        text = cut.text[: max(0, (cut.window.cut or 0) - cut.start)]
        shown = cut.window.shown(cut.start, text)
        if said := text if shown is None else shown:
            where = {"text": said} if not self._chat else {"delta": {cut.key: said}}
            self._out.append(self._made({"index": state.index, **where, LOGPROBS: None, "finish_reason": None}))

    def _block(self, state: Choice) -> None:
        """End a choice here; where no other one goes on, the engine need not either."""
        state.block()
        said: Json = {"delta": {}} if self._chat else {"text": ""}
        self._out.append(self._made({"index": state.index, **said, LOGPROBS: None, "finish_reason": FILTERED}))
        if not self._done and sum(choice.over for choice in self._choices.values()) >= _expected(self._body):
            self._usage = estimate.charge(self._body, self._usage, self._events, complete=False)
            self._usage["total_tokens"] = sum(self._usage.values())
            self._done = self._early = True

    def _tail(self) -> list[bytes]:
        """Return what follows when all is said: what was decided, the usage, the stream's end."""
        screen = self._screen
        tail: list[bytes] = []
        if screen.tells and screen.guard.decisions:
            tail.append(as_event({**self._frame, "choices": [], "tandem": screen.guard.shown}))
        if self._usage:
            tail.append(as_event({**self._frame, "choices": [], "usage": self._usage}))
        return [*tail, LAST]

    def _made(self, choice: Json) -> bytes:
        return as_event({**self._frame, "choices": [choice]})


def _says(choice: Json) -> bool:
    """Return whether there is something in a choice beside its calls."""
    return bool(choice.get(LOGPROBS)) or any((choice.get("delta") or {}).values())


def _expected(body: bytes) -> int:
    """Return how many choices a request asks for."""
    payload = orjson.loads(body)
    prompt, count = payload.get("prompt"), payload.get("n") or 1
    prompts = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
    return prompts * count if isinstance(count, int) else MOST_CHOICES
