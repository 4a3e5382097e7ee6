"""An engine's stream of a chat or a completion under guardrails: events wait until what they say was looked at.

An event in which nothing is found goes on in the engine's own bytes. These are, byte for byte, what was read in them:
an event that could be read otherwise is written again, and what cannot be looked into is left out.
"""

import re
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import starmap
from typing import Any, Final

import orjson
from tandem_contract.config import GuardedText

from tandem_orchestrator.engines import estimate
from tandem_orchestrator.engines.answers import DONE, failure_in
from tandem_orchestrator.engines.correction import beside
from tandem_orchestrator.engines.dispatch import Call
from tandem_orchestrator.engines.event_reader import Event, EventReader
from tandem_orchestrator.engines.replica import EngineStream
from tandem_orchestrator.errors import EngineError, Malformed, Refused
from tandem_orchestrator.gateway.guard import Guard
from tandem_orchestrator.gateway.text_chunks import TextChunks
from tandem_orchestrator.guardrails.decision import ERROR_BLOCKED, ERROR_IGNORED
from tandem_orchestrator.guardrails.finding import judged
from tandem_orchestrator.guardrails.rail import Rail
from tandem_orchestrator.guardrails.window import Window

BEGINS: Final = b"data: "
END: Final = b"\n\n"
LAST: Final = b"data: [DONE]\n\n"
ALIVE: Final = b":\n\n"
"""In the place of an engine's comments."""
FRAME: Final = ("id", "object", "created", "model", "system_fingerprint", "service_tier")
"""What all chunks have in common."""
TEXTS: Final = ("content", "reasoning", "reasoning_content", "refusal", "text")
LOGPROBS: Final = "logprobs"
READ: Final = ("delta", "finish_reason", "logprobs")
CALLS: Final = ("tool_calls", "function_call")
"""Fields that are read by themselves: of a choice, and of what it adds."""
OF_TOKENS: Final = {"tokens", "token_logprobs", "top_logprobs", "text_offset"}
OF_ENTRIES: Final = {"content", "refusal"}
OF_ENTRY: Final = {"token", "logprob", "bytes", "top_logprobs", "id"}
FILTERED: Final = "content_filter"
REASON: Final = re.compile(r"[a-z_]{1,24}")
MARK: Final = re.compile(r"[\w.:|-]{0,128}", re.ASCII)
"""What ids are made of."""
MOST_CHOICES: Final = 4096
MOST_TEXTS: Final = 64  # of one choice, by the engine's fields
MOST_ARGUMENTS: Final = 4_194_304  # characters of calls that wait
SHAPE: Final = "the engine's stream holds a chunk of another shape than OpenAI's"
WITHHELD: Final = "the engine failed in the midst of its answer; a guardrail withholds what it says of that"

Json = dict[str, Any]


class Place:
    """A text of a chunk: where it stands in that, and where in all that was said."""

    __slots__ = ("holder", "key", "start", "text", "window")

    def __init__(self, window: Window, start: int, text: str, holder: Json | None, key: str) -> None:
        self.window = window
        self.start = start
        self.text = text
        self.holder = holder
        """None where the chunk has to be read for it."""
        self.key = key


class Held:
    """An event that waits."""

    __slots__ = ("chunk", "places", "raw")

    def __init__(self, raw: bytes, chunk: Json | None, places: list[Place]) -> None:
        self.raw = raw
        self.chunk = chunk
        self.places = places


NOTHING: Final = Held(b"", None, [])


class Choice:
    """One of the answers in a stream."""

    __slots__ = ("blocked", "calls", "count", "ending", "finished", "held", "index", "room", "said", "windows")

    def __init__(self, index: int, windows: dict[str, Window]) -> None:
        self.index = index
        self.windows = windows
        """By the field that they are of."""
        self.held: deque[Held] = deque()
        self.calls: dict[Any, Json] = {}
        """What waits for the choice's end, by the engine's index."""
        self.room = MOST_ARGUMENTS
        self.count = 0
        """Characters of all fields."""
        self.said: dict[str, int] = {}
        """The same, when each field last said something."""
        self.ending: Held | None = None
        """What follows once the calls were judged."""
        self.finished = False
        self.blocked = False

    @property
    def over(self) -> bool:
        """Whether what still comes of it counts for nothing."""
        return self.finished or self.blocked

    @property
    def waits(self) -> bool:
        """Whether anything of it has not gone on."""
        return bool(self.held) or self.ending is not None


class Screen:
    """Judges the streams of one call: what was said in one pass of the engine is context for the next.

    `is_clients` says of a tool whether the client runs it; calls of others are judged where they run. A stream `tells`
    what was decided where nobody else does.
    """

    def __init__(
        self,
        guard: Guard,
        call: Call,
        heartbeat_seconds: float,
        is_clients: Callable[[str], bool] | None = None,
        *,
        tells: bool,
    ) -> None:
        self.guard = guard
        self.call = call
        self.heartbeat_seconds = heartbeat_seconds
        self.is_clients = is_clients
        self.tells = tells
        self._windows: dict[int, dict[str, Window]] = {}

    @property
    def needed(self) -> bool:
        """Whether there is anything to judge, or to tell."""
        guard = self.guard
        return bool(guard.output_rails or guard.tool_argument_rails or guard.decisions)

    def over(self, stream: EngineStream, body: bytes) -> EngineStream:
        """Return what is read in the place of the engine's answer to `body`."""
        return GuardedStream(stream, self, body)

    def choice(self, index: int) -> Choice:
        """Return a choice of a stream, with what was said in it before."""
        return Choice(index, self._windows.setdefault(index, {}))

    def window(self) -> Window:
        """Return what looks at a text."""
        return Window(self.guard.output_rails, self._note)

    async def judge(self, window: Window) -> None:
        """Have judges say something about what waits, if it is time for that."""
        text = window.due()
        if text is None:
            return
        blocks = False
        for finding in await beside(judged(window.judges, text), self.call.heartbeat, self.heartbeat_seconds):
            action = (ERROR_BLOCKED if finding.blocks else ERROR_IGNORED) if finding.failed else None
            self.guard.note(finding.rail, GuardedText.OUTPUT, finding.kinds, action)
            blocks = blocks or finding.blocks
        window.judged(blocks=blocks)

    async def judge_calls(self, calls: Sequence[Json]) -> bool:
        """Judge the client's calls among these, and mask what they are given; false where they must not go on."""
        judging = [call for call in calls if self.is_clients is None or self.is_clients(call["function"]["name"])]
        if not judging:
            return True
        choice: Json = {"index": 0, "message": {"role": "assistant", "tool_calls": judging}, "finish_reason": None}
        await beside(self.guard.output({"choices": [choice]}), self.call.heartbeat, self.heartbeat_seconds)
        return choice["finish_reason"] is None

    def _note(self, rail: Rail, kind: str) -> None:
        self.guard.note(rail, GuardedText.OUTPUT, (kind,))


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

    def __init__(self, stream: EngineStream, screen: Screen, body: bytes) -> None:
        self._stream = stream
        self._screen = screen
        self._body = body
        self._reader = EventReader()
        self._chunks = TextChunks()
        self._learnt: tuple[Choice, Window, str] | None = None
        """What the chunks add to that are equal but for their text."""
        self._choices: dict[int, Choice] = {}
        self._frame: Json = {}
        self._chat = True
        self._events = 0
        self._usage: Any = None
        self._out: list[bytes] = []
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
                self._add_text(learnt, written + END, text)
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
            self._usage = chunk["usage"] = _numbers(usage)
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
        places = self._places(state, choice)
        called = self._take_calls(state, choice.get("delta"))
        reason = choice.get("finish_reason")
        if not (reason is None or REASON.fullmatch(reason)):
            raise Malformed(SHAPE)
        fields = {name: self._frame.get(name) for name in chunk if name in FRAME or chunk[name] is None}
        for name in ("usage", "choices"):
            if name in chunk:
                fields[name] = chunk[name] if name == "usage" else [choice]
        held = Held(_event(fields), fields, places)
        if reason:
            self._end_choice(state, held)
        elif not called or _says(choice):
            state.held.append(held)
            self._learn(state, event, held)
        self._settle_others(state)

    def _places(self, state: Choice, choice: Json) -> list[Place]:
        """Return the texts of a choice; take out what is none and cannot be looked into."""
        places: list[Place] = []
        delta = choice.get("delta") or {}
        if text := self._tokens(choice):
            places.append(self._place(state, LOGPROBS, text, choice, LOGPROBS))
        for holder, read in ((choice, READ), (delta, CALLS)):
            for name, value in holder.items():
                if not value or name in read or isinstance(value, int | float):
                    continue
                if not isinstance(value, str):
                    if name in TEXTS:
                        raise Malformed(SHAPE)
                    holder[name] = None
                elif not (name == "role" and value == "assistant"):
                    places.append(self._place(state, name, value, holder, name))
        return places

    def _place(self, state: Choice, field: str, text: str, holder: Json | None, key: str) -> Place:
        window = state.windows.get(field)
        if window is None:
            if len(state.windows) >= MOST_TEXTS:
                raise Malformed(SHAPE)
            window = state.windows[field] = self._screen.window()
        return _added(state, window, field, Place(window, window.length, text, holder, key))

    def _tokens(self, choice: Json) -> str:
        """Return the text of whose tokens a chunk has the probabilities; leave out those that say more than may be."""
        logprobs = choice.get(LOGPROBS)
        if not logprobs:
            return ""
        said, others = _tokens_in(logprobs)
        finders = [rail.finder for rail in self._screen.guard.output_rails if rail.finder is not None]
        if said is None or (others and any(finder.find("\n".join(others)) for finder in finders)):
            choice[LOGPROBS] = None
            return ""
        return "".join(said)

    def _take_calls(self, state: Choice, delta: Json | None) -> bool:
        """Put calls together that have to wait; true where a chunk had some."""
        fragments = (delta.pop("tool_calls", None) if delta else None) or []
        old = delta.pop("function_call", None) if delta else None
        for fragment in fragments:
            self._collect(state, fragment.get("index") or 0, fragment, fragment.get("function") or {})
        if old:
            self._collect(state, None, {}, old)
        return bool(fragments or old)

    def _collect(self, state: Choice, index: int | None, fragment: Json, function: Json) -> None:
        call_id, name, given = fragment.get("id") or "", function.get("name") or "", function.get("arguments") or ""
        if isinstance(given, dict):  # as engines with an API of their own have them
            given = orjson.dumps(given).decode()
        known = state.calls.get(index)
        if not MARK.fullmatch(call_id) or not (index is None or isinstance(index, int)):
            raise Malformed(SHAPE)
        if known is not None and call_id and known["id"] and call_id != known["id"]:  # one index for all
            state.calls[f"{index} {len(state.calls)}"] = known
            known = None
            del state.calls[index]
        if known is None:
            known = state.calls[index] = {
                "id": call_id,
                "type": "function",
                "function": {"name": "", "arguments": ""},
                "pieces": [],
            }
        known["id"] = known["id"] or call_id
        if name != known["function"]["name"]:  # some say it with each piece
            known["function"]["name"] += name
        known["pieces"].append("" + given)
        state.room -= len(name) + len(given)
        state.count += len(name) + len(given)
        if state.room < 0:
            raise Malformed("the engine's stream holds a tool call without end")

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
        self._learnt = (state, place.window, place.key)

    def _add_text(self, learnt: tuple[Choice, Window, str], raw: bytes, text: str) -> None:
        state, window, key = learnt
        if state.over:
            return
        state.held.append(Held(raw, None, [_added(state, window, key, Place(window, window.length, text, None, key))]))
        if len(state.windows) > 1:
            self._settle_others(state)

    def _choice(self, index: int) -> Choice:
        state = self._choices.get(index)
        if state is None:
            if not isinstance(index, int) or len(self._choices) >= MOST_CHOICES:
                raise Malformed(SHAPE)
            state = self._choices[index] = self._screen.choice(index)
        return state

    def _settle_others(self, state: Choice) -> None:
        """Let nothing wait for a field that says no more: what others have said since is as much as may wait."""
        for field, window in state.windows.items():
            if window.clear < window.length and state.count - state.said.get(field, 0) >= window.size:
                window.settle()

    def _end_choice(self, state: Choice, last: Held) -> None:
        state.finished = True
        for window in state.windows.values():
            window.settle()
        if state.calls:
            state.ending = last
        else:
            state.held.append(last)

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
        old = state.calls.pop(None, None)
        calls = [*state.calls.values()] if old is None else [old]
        for call in calls:
            call["function"]["arguments"] = "".join(call.pop("pieces"))
        state.calls.clear()
        if not await self._screen.judge_calls(calls):
            self._block(state)
            return
        said = {"function_call": old["function"]} if old else {"tool_calls": list(starmap(_numbered, enumerate(calls)))}
        chunk = self._made({"index": state.index, "delta": said, "finish_reason": None})
        state.held += (Held(chunk, None, []), last)

    def _finish(self) -> None:
        """Take the answer's end."""
        self._done = True
        for state in self._choices.values():
            if not state.over:
                self._end_choice(state, NOTHING)

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
            self._release_choice(state)
        if self._done and not self._told and not any(state.waits for state in self._choices.values()):
            self._told = True
            self._ended = self._ended or self._early
            self._out += self._tail()

    def _release_choice(self, state: Choice) -> None:
        held = state.held
        while held:
            first = held[0]
            for place in first.places:
                window, end = place.window, place.start + len(place.text)
                if window.cut is not None and end > window.cut:
                    self._let_begin(state, first, place)
                    self._block(state)
                    return
                if end > window.clear:
                    return
            held.popleft()
            self._out.append(_written(first))

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
        state.blocked = True
        state.held.clear()
        state.calls.clear()
        state.ending = None
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
            tail.append(_event({**self._frame, "choices": [], "tandem": screen.guard.shown}))
        if self._usage:
            tail.append(_event({**self._frame, "choices": [], "usage": self._usage}))
        return [*tail, LAST]

    def _made(self, choice: Json) -> bytes:
        return _event({**self._frame, "choices": [choice]})


def _written(held: Held) -> bytes:
    """Return an event as it goes on; without its log probabilities where a text was masked, as they are its tokens."""
    chunk: Json | None = None
    for place in held.places:
        shown = place.window.shown(place.start, place.text)
        if shown is None:
            continue
        if chunk is None:
            chunk = held.chunk or orjson.loads(held.raw[len(BEGINS) :])
            chunk["choices"][0][LOGPROBS] = None
        if place.key != LOGPROBS:
            choice = chunk["choices"][0]
            (place.holder or choice.get("delta") or choice)[place.key] = shown
    return held.raw if chunk is None else _event(chunk)


def _added(state: Choice, window: Window, field: str, place: Place) -> Place:
    window.take(place.text)
    state.count += len(place.text)
    state.said[field] = state.count
    return place


def _tokens_in(logprobs: Json) -> tuple[list[str] | None, list[str]]:
    """Return the tokens that were said, and those that might have been; None in the place of what is unknown."""
    if "tokens" in logprobs:  # of a completion
        known = logprobs.keys() <= OF_TOKENS
        others = [token for tokens in logprobs.get("top_logprobs") or () for token in tokens or ()]
        return (logprobs["tokens"] if known else None), others
    entries = [*(logprobs.get("content") or ()), *(logprobs.get("refusal") or ())]
    more = [other for entry in entries for other in entry.get("top_logprobs") or ()]
    known = logprobs.keys() <= OF_ENTRIES and all(entry.keys() <= OF_ENTRY for entry in (*entries, *more))
    return ([entry["token"] for entry in entries] if known else None), [other["token"] for other in more]


def _numbered(number: int, call: Json) -> Json:
    return {"index": number, **call}


def _numbers(usage: Json) -> Json:
    """Return a usage, which is numbers and objects of numbers."""
    return {
        name: _numbers(value) if isinstance(value, dict) else value
        for name, value in usage.items()
        if value is None or isinstance(value, dict | int | float)
    }


def _says(choice: Json) -> bool:
    """Return whether there is something in a choice beside its calls."""
    return bool(choice.get(LOGPROBS)) or any((choice.get("delta") or {}).values())


def _expected(body: bytes) -> int:
    """Return how many choices a request asks for."""
    payload = orjson.loads(body)
    prompt, count = payload.get("prompt"), payload.get("n") or 1
    prompts = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
    return prompts * count if isinstance(count, int) else MOST_CHOICES


def _event(document: Json) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(document)
