"""What a response has said and done so far: its items, and the events that tell of them. Does no I/O."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from tandem_orchestrator.responses import ids
from tandem_orchestrator.responses.events import Events, head_of
from tandem_orchestrator.responses.items import WITHOUT_STATUS, Item, shown

COMPLETED: Final = "completed"
INCOMPLETE: Final = "incomplete"
IN_PROGRESS: Final = "in_progress"
SEARCHING: Final = "searching"
FAILED: Final = "failed"

OPENAI_REASONING: Final = "response.reasoning_text"
STANDARD_REASONING: Final = "response.reasoning"


class Output:
    """Grows by what the engine says and by what tools give; `events` is None where nobody reads a stream."""

    def __init__(
        self,
        response_id: str,
        events: Events | None = None,
        reasoning_event: str = OPENAI_REASONING,
        done: Sequence[Item] = (),
    ) -> None:
        self.items: list[Item] = list(done)
        self.events = events
        self.standard = reasoning_event == STANDARD_REASONING
        """Whether events are as Open Responses has them where OpenAI's differ."""
        self._id = response_id
        self._reasoning_event = reasoning_event
        self._text: Streamed | None = None
        self._thought: Streamed | None = None
        self.seal: Callable[[str], str] | None = None
        """Encrypts what was thought, for clients that keep it themselves."""
        self.cite: Callable[[str], list[Item]] | None = None
        """Finds what a text that was said cites."""
        self.include: frozenset[str] = frozenset()
        """What the client wants to see of items beyond what is always shown."""
        self._places: dict[str, int] = {item["id"]: n for n, item in enumerate(done)}

    @property
    def text(self) -> str:
        """All that was said to the user."""
        return "".join(
            part.get("text") or "" for item in self.items if item["type"] == "message" for part in item["content"]
        )

    def shown(self) -> list[Item]:
        """Return its items as the client sees them."""
        return [shown(item, self.include) for item in self.items]

    def say(self, text: str, logprobs: list[Any] | None = None) -> None:
        """Add text to what is being said."""
        if self._text is None:
            self.end_thought()
            part: Item = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            item = self._item("message", role="assistant", content=[])
            self._text = Streamed(self, item, part, "response.output_text", {"logprobs": []})
        self._text.add(text, logprobs)

    def think(self, text: str) -> None:
        """Add text to what is being thought."""
        if self._thought is None:
            self.end_text()
            item = self._item("reasoning", summary=[], content=[])
            part: Item = {"type": "reasoning_text", "text": ""}
            self._thought = Streamed(self, item, part, self._reasoning_event, {})
        self._thought.add(text, None)

    def end_text(self, status: str = COMPLETED) -> None:
        """End what is being said."""
        if self._text is not None:
            self._text.end(status)
            self._text = None

    def end_thought(self, status: str = COMPLETED) -> None:
        """End what is being thought."""
        if self._thought is not None:
            self._thought.end(status, self.seal)
            self._thought = None

    def end_open(self, status: str = COMPLETED) -> None:
        """End both."""
        self.end_thought(status)
        self.end_text(status)

    def end_all(self, status: str) -> None:
        """End whatever is not done."""
        self.end_open(status)
        for item in self.items:
            if item.get("status") in (IN_PROGRESS, SEARCHING):
                item["status"] = status
                self.end(item)

    def begin(self, kind: str, **fields: Any) -> Item:
        """Begin an item of another kind; `end` must follow."""
        self.end_open()
        item = self._item(kind, **fields)
        self._added(item)
        return item

    def note(self, item: Item, event: str, **fields: Any) -> None:
        """Tell what becomes of an item."""
        if self.events is not None:
            self.events.add(event, {"item_id": item["id"], "output_index": self.place(item), **fields})

    def end(self, item: Item) -> None:
        """Tell that an item is as it will stay."""
        if self.events is not None:
            told = {"output_index": self.place(item), "item": shown(item, self.include)}
            self.events.add("response.output_item.done", told)

    def place(self, item: Item) -> int:
        """Return its index in the output."""
        return self._places[item["id"]]

    def _item(self, kind: str, **fields: Any) -> Item:
        item: Item = {"id": ids.item(kind, self._id, len(self.items)), "type": kind, **fields}
        if kind not in WITHOUT_STATUS:
            item["status"] = IN_PROGRESS
        self._places[item["id"]] = len(self.items)
        self.items.append(item)
        return item

    def _added(self, item: Item) -> None:
        if self.events is not None:
            self.events.add("response.output_item.added", {"output_index": self.place(item), "item": item})


class Streamed:
    """An item with one part, whose text comes in pieces."""

    def __init__(self, output: Output, item: Item, part: Item, event: str, fields: dict[str, Any]) -> None:
        self._output = output
        self._item = item
        self._part = part
        self._event = event
        self._fields = fields
        self._pieces: list[str] = []
        self._logprobs: list[Any] = []
        self._head = b""
        if (events := output.events) is not None:
            self._where = {"item_id": item["id"], "output_index": output.place(item), "content_index": 0}
            events.add("response.output_item.added", {"output_index": self._where["output_index"], "item": item})
            events.add("response.content_part.added", {**self._where, "part": part})
            self._head = head_of(f"{event}.delta", {**self._where, **fields})

    def add(self, text: str, logprobs: list[Any] | None) -> None:
        """Add a piece."""
        self._pieces.append(text)
        events = self._output.events
        if logprobs:
            self._logprobs += logprobs
            if events is not None:
                events.add(f"{self._event}.delta", {**self._where, "delta": text, "logprobs": logprobs})
        elif events is not None:
            events.delta(self._head, text)

    def end(self, status: str, seal: Callable[[str], str] | None = None) -> None:
        """End it with the text that came."""
        self._part["text"] = text = "".join(self._pieces)
        if self._logprobs:
            self._part["logprobs"] = self._logprobs
        self._item["content"] = [self._part]
        self._item["status"] = status
        if seal is not None:
            self._item["encrypted_content"] = seal(text)
        if self._fields and self._output.cite is not None:
            self._annotate(self._output.cite(text))
        if (events := self._output.events) is not None:
            fields = {"logprobs": self._logprobs} if self._fields else {}
            events.add(f"{self._event}.done", {**self._where, "text": text, **fields})
            events.add("response.content_part.done", {**self._where, "part": self._part})
            self._output.end(self._item)

    def _annotate(self, annotations: list[Item]) -> None:
        self._part["annotations"] = annotations
        if (events := self._output.events) is not None:
            for n, annotation in enumerate(annotations):
                told = {**self._where, "annotation_index": n, "annotation": annotation}
                events.add("response.output_text.annotation.added", told)
