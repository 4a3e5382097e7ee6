"""Hands an engine's bytes on as they are."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from tandem_orchestrator.engines import estimate
from tandem_orchestrator.engines.answers import MAYBE_ERROR, TRANSCRIBED, failure_in, finishes, is_done, json_in
from tandem_orchestrator.engines.dispatch import Call, Dispatcher
from tandem_orchestrator.engines.event_reader import Event, EventReader
from tandem_orchestrator.engines.replica import EngineStream
from tandem_orchestrator.errors import EngineError, Malformed
from tandem_orchestrator.gateway.event_stream import EventStream

BEGINS: Final = (b"data: {", b"data:{")
LINES: Final = 2  # of such an event: its data, and the empty one
BETWEEN: Final = b"\n\ndata: {"
USAGE: Final = b'"usage"'
NO_USAGE: Final = b'"usage":null'  # in each of OpenAI's own chunks but one


async def relay_stream(dispatcher: Dispatcher, call: Call, body: bytes, stream: EventStream, events: "Events") -> None:
    """Answer with the engine's events, as `events` lets them pass. Raises `GatewayError`, also after the stream's
    start.
    """
    response = await dispatcher.stream(call, body)
    failure: EngineError | None = None
    try:
        await stream.start()
        await _relay(response, events, stream)
    except EngineError as error:
        failure = error
        raise
    finally:
        if events.over():
            call.record.tell(events.failure)
        response.count_usage(events.charge(body))
        response.close(failure or events.failure)


async def _relay(response: EngineStream, events: "Events", stream: EventStream) -> None:
    pass_on = partial(events.pass_on, stream.write_at_once)
    try:
        while data := await response.read(pass_on if stream.begun else None):
            if whole := events.take(data):
                await stream.write(whole)
    except EngineError:
        if not events.over():
            raise
    await stream.end(events.end())


class Events:
    """Lets whole events of a stream pass, so that a client never sees half of one, and reads what matters here.

    `hide_usage` keeps the event with the usage from the client, who did not ask for it.
    """

    def __init__(self, *, hide_usage: bool = False) -> None:
        self.hide_usage = hide_usage
        self._reader = EventReader()
        self._last = b""  # of the events but the usage's
        self.count = 0
        """Events with JSON in them: about one a token."""
        self.usage: dict[str, Any] | None = None
        """The last `usage` object that the engine sent."""
        self.complete = False
        """True once the answer is whole."""
        self.failure: EngineError | None = None
        """What the engine told that went wrong."""

    def over(self) -> bool:
        """Return true once the client has been sent how the answer ends."""
        if not (self.complete or self.failure) and MAYBE_ERROR in self._last:
            self.failure = failure_in(EventReader().read(self._last)[-1])  # only now: an error is the last word
            self.count -= self.failure is not None
        return self.complete or self.failure is not None

    def take(self, data: bytes) -> bytes:
        """Return the events that `data` completes. Raises `Malformed` on one without end."""
        if count := self._plain(data):
            self.count += count
            self._last = data
            return data
        return b"".join([event.raw for event in self._reader.read(data) if self._passes(event)])

    def pass_on(self, write: Callable[[bytes], bool], data: bytes) -> bool:
        """Give `data` to `write` where `take` would return it as it is; false if it did not, or `write` says so.

        What is false has changed nothing, and `data` is for `take`.
        """
        count = self._plain(data)
        if not count or not write(data):
            return False
        self.count += count
        self._last = data
        return True

    def end(self) -> bytes:
        """Return what is left of the stream. Raises `Malformed` if it ended before the answer did."""
        rest = self._reader.end()
        whole = rest is not None and (json_in(rest) or is_done(rest)) and self._passes(rest)
        if not self.over():
            self.complete = finishes(self._last)  # some engines know no [DONE]
            if not self.complete:
                raise Malformed("the engine's stream ended without [DONE]")
        return rest.raw if rest is not None and whole else b""

    def charge(self, body: bytes) -> dict[str, int]:
        """Return the usage to charge for the request in `body`."""
        return estimate.charge(body, self.usage, self.count, complete=self.complete)

    def _plain(self, data: bytes) -> int:
        """Return how many events `data` is, if each is one line of JSON that nobody has to look into here; else 0."""
        # `find`, since `in` takes what it looks for as a number first, which costs as much as the search
        if self._reader.pending or not data.startswith(BEGINS):
            return 0
        if data.find(USAGE) >= 0 and data.count(USAGE) != data.count(NO_USAGE):
            return 0
        if data.find(b"\r") >= 0:
            return 1 if data.endswith(b"\r\n\r\n") and data.count(b"\r") == data.count(b"\n") == LINES else 0
        if not data.endswith(b"\n\n"):
            return 0
        if data.find(b"\n") == len(data) - LINES:
            return 1
        count = data.count(BETWEEN) + 1
        return count if data.count(b"\n") == LINES * count else 0

    def _passes(self, event: Event) -> bool:
        """Read an event; false if the client shall not see it."""
        if event.data is None:
            return True
        if is_done(event):
            self.complete = self.complete or not self.over()
            return self.failure is None  # vLLM sends it after an error too, which would tell of a whole answer
        self.count += 1
        document = json_in(event) if USAGE in event.data else {}  # quotes in a text are escaped: it is a field's name
        if isinstance(usage := document.get("usage"), dict):
            self.usage = usage
            if document.get("type") == TRANSCRIBED:
                self._last = event.raw
            if not document.get("choices"):
                return not self.hide_usage
        self._last = event.raw
        return True


class CopiedEvents(Events):
    """Keeps a copy of what has passed, of `most` bytes at most."""

    def __init__(self, most: int, *, hide_usage: bool = False) -> None:
        super().__init__(hide_usage=hide_usage)
        self._pieces: list[bytes] = []
        self._left = most

    def copy(self) -> bytes | None:
        """Return all that has passed; None if that is too long, or no complete answer."""
        return b"".join(self._pieces) if self.complete and self.failure is None and self._left >= 0 else None

    def take(self, data: bytes) -> bytes:
        """Do what `Events` does."""
        return self._copied(super().take(data))

    def pass_on(self, write: Callable[[bytes], bool], data: bytes) -> bool:
        """Do what `Events` does."""
        passed = super().pass_on(write, data)
        if passed:
            self._copied(data)
        return passed

    def end(self) -> bytes:
        """Do what `Events` does."""
        return self._copied(super().end())

    def _copied(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left >= 0:
            self._pieces.append(data)
        else:
            self._pieces.clear()
        return data
