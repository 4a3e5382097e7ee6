"""One of the answers in a guarded stream, and what of it waits."""

from collections import deque
from collections.abc import Callable
from typing import Final

import orjson

from tandem_orchestrator.errors import Malformed
from tandem_orchestrator.gateway.chunk import BEGINS, LOGPROBS, SHAPE, TEXTS, Json, as_event
from tandem_orchestrator.gateway.guarded_calls import Calls
from tandem_orchestrator.guardrails.window import Window

READ: Final = ("delta", "finish_reason", LOGPROBS)
CALLS: Final = ("tool_calls", "function_call")
"""Fields that are read by themselves: of a choice, and of what it adds."""
MOST_TEXTS: Final = 64  # of one choice, by the engine's fields


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

    @property
    def end(self) -> int:
        """Where it ends in all that was said."""
        return self.start + len(self.text)


class Held:
    """An event that waits."""

    __slots__ = ("chunk", "places", "raw")

    def __init__(self, raw: bytes, chunk: Json | None, places: list[Place]) -> None:
        self.raw = raw
        self.chunk = chunk
        self.places = places

    def written(self) -> bytes:
        """Return it as it goes on; without its log probabilities where a text was masked, as they are its tokens."""
        chunk: Json | None = None
        for place in self.places:
            shown = place.window.shown(place.start, place.text)
            if shown is None:
                continue
            if chunk is None:
                chunk = self.chunk or orjson.loads(self.raw[len(BEGINS) :])
                chunk["choices"][0][LOGPROBS] = None
            if place.key != LOGPROBS:
                choice = chunk["choices"][0]
                (place.holder or choice.get("delta") or choice)[place.key] = shown
        return self.raw if chunk is None else as_event(chunk)


NOTHING: Final = Held(b"", None, [])


class Choice:
    """What was said of it, by fields, each of which is a text of its own."""

    __slots__ = ("_new_window", "_said", "_size", "blocked", "calls", "ending", "finished", "held", "index", "windows")

    def __init__(self, index: int, windows: dict[str, Window], new_window: Callable[[], Window]) -> None:
        self.index = index
        self.windows = windows
        """By the field that they are of."""
        self._new_window = new_window
        self.held: deque[Held] = deque()
        self.calls = Calls()
        """What waits for the choice's end."""
        self._size = 0
        """Characters of all texts."""
        self._said: dict[str, int] = {}
        """The same and those of calls, when each field last said something."""
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

    def take(self, choice: Json, tokens: str) -> list[Place]:
        """Return the texts in a choice of a chunk; take out what is none and cannot be looked into."""
        places: list[Place] = []
        delta = choice.get("delta") or {}
        if tokens:
            places.append(self._place(LOGPROBS, tokens, choice))
        for holder, read in ((choice, READ), (delta, CALLS)):
            for name, value in holder.items():
                if not value or name in read or isinstance(value, int | float):
                    continue
                if not isinstance(value, str):
                    if name in TEXTS:
                        raise Malformed(SHAPE)
                    holder[name] = None
                elif not (name == "role" and value == "assistant"):
                    places.append(self._place(name, value, holder))
        return places

    def take_text(self, before: Place, raw: bytes, text: str) -> None:
        """Hold an event that adds a text, and no more, to where one was added before."""
        self.held.append(Held(raw, None, [self._added(before.window, text, None, before.key)]))
        if len(self.windows) > 1:
            self.settle_others()

    def settle_others(self) -> None:
        """Let nothing wait for a field that says no more: what others have said since is as much as may wait."""
        size = self._size + self.calls.size
        for field, window in self.windows.items():
            if window.clear < window.length and size - self._said.get(field, 0) >= window.size:
                window.settle()

    def end(self, last: Held) -> None:
        """Take the event that ends it."""
        self.finished = True
        for window in self.windows.values():
            window.settle()
        if self.calls.wait:
            self.ending = last
        else:
            self.held.append(last)

    def block(self) -> None:
        """Let nothing more of it go on."""
        self.blocked = True
        self.held.clear()
        self.calls.clear()
        self.ending = None

    def release(self, out: list[bytes]) -> tuple[Held, Place] | None:
        """Let go on what may; return where it has to end, if it has to."""
        while self.held:
            first = self.held[0]
            for place in first.places:
                window = place.window
                if window.cut is not None and place.end > window.cut:
                    return first, place
                if place.end > window.clear:
                    return None
            self.held.popleft()
            out.append(first.written())
        return None

    def _place(self, field: str, text: str, holder: Json) -> Place:
        window = self.windows.get(field)
        if window is None:
            if len(self.windows) >= MOST_TEXTS:
                raise Malformed(SHAPE)
            window = self.windows[field] = self._new_window()
        return self._added(window, text, holder, field)

    def _added(self, window: Window, text: str, holder: Json | None, field: str) -> Place:
        place = Place(window, window.length, text, holder, field)
        window.take(text)
        self._size += len(text)
        self._said[field] = self._size + self.calls.size
        return place
