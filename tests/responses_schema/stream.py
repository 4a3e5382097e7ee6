"""The events of one streamed response, in their order."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from openai.types.responses import ResponseStreamEvent
from pydantic import BaseModel, ConfigDict

from tests.responses_schema import published
from tests.responses_schema.documents import Document, check_item, check_response
from tests.responses_schema.sse import Event

ENDS: Final = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")
STARTS: Final = ("response.created", "response.queued", "response.in_progress")
TEXTS: Final = {
    "response.output_text": "text",
    "response.refusal": "refusal",
    "response.reasoning_text": "text",
    "response.reasoning": "text",
    "response.function_call_arguments": "arguments",
    "response.mcp_call_arguments": "arguments",
    "response.custom_tool_call_input": "input",
}
"""What comes in deltas, and the field of its `done` event, and of the part or item, that has it whole."""
IN_PARTS: Final = ("response.output_text", "response.refusal", "response.reasoning_text", "response.reasoning")


class _Reasoning(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sequence_number: int
    item_id: str
    output_index: int
    content_index: int


class ReasoningDelta(_Reasoning):
    """The standard's name for OpenAI's `response.reasoning_text.delta`."""

    type: Literal["response.reasoning.delta"]
    delta: str


class ReasoningDone(_Reasoning):
    """The standard's name for OpenAI's `response.reasoning_text.done`."""

    type: Literal["response.reasoning.done"]
    text: str


STANDARD_REASONING: Final[dict[str, type[BaseModel]]] = {
    "response.reasoning.delta": ReasoningDelta,
    "response.reasoning.done": ReasoningDone,
}
PUBLISHED_REASONING: Final = ("response.reasoning_text.delta", "response.reasoning_text.done")


@dataclass
class Stream:
    """What a stream told, once it is checked."""

    events: list[Document] = field(default_factory=list)
    items: dict[int, Document] = field(default_factory=dict)
    """Those that are done, by their place."""
    response: Document = field(default_factory=dict)
    """As the last event has it."""

    @property
    def names(self) -> list[str]:
        return [event["type"] for event in self.events]

    def of(self, name: str) -> list[Document]:
        """The events of a type."""
        return [event for event in self.events if event["type"] == name]

    def text(self, name: str = "response.output_text") -> str:
        """All the deltas of a kind of text."""
        return "".join(event["delta"] for event in self.of(f"{name}.delta"))


def check_stream(events: Iterable[Event], *, start: int = 0, standard: bool = False) -> Stream:
    """Check a whole stream, whose first number is `start`; `standard` is how its reasoning is called."""
    checking = _Checking(start, standard=standard)
    for event in events:
        checking.take(event)
    return checking.end()


class _Checking:
    def __init__(self, start: int, *, standard: bool) -> None:
        self._stream = Stream()
        self._start = start
        self._standard = standard
        self._open: dict[int, Document] = {}
        self._met: set[int] = set()
        """Items that began before the first number."""
        self._deltas: dict[tuple[int, str], str] = {}
        self._parts: dict[int, int] = {}
        """The content parts of an open item that were added."""
        self._whole: dict[int, list[Document]] = {}
        """Those that are done."""

    def take(self, event: Event) -> None:
        kind, document = event.document["type"], event.document
        assert event.name == kind, f"{event.name} is the event's name, and {kind} its type"
        number = self._start + len(self._stream.events)
        assert document["sequence_number"] == number, f"{document['sequence_number']} in the place of {number}"
        assert not self._stream.response or self._stream.response["status"] in ("queued", "in_progress"), (
            f"{kind} comes after the end"
        )
        if self._stream.names[-1:] == ["error"]:
            assert kind == "response.failed", f"{kind} follows on an error"
        self._check_type(document)
        self._stream.events.append(document)
        self._apply(kind, document)

    def end(self) -> Stream:
        stream = self._stream
        if not self._start:
            assert stream.names[0] == "response.created", stream.names
        assert stream.names[-1] in ENDS, stream.names
        if stream.response["status"] == "cancelled":  # in the middle of whatever was under way
            assert stream.names[-1] == "response.incomplete", stream.names  # there is no event for it
            return stream
        assert stream.names[-1] == f"response.{stream.response['status']}", stream.response
        assert not self._open, f"never done: {list(self._open.values())}"
        output = dict(enumerate(stream.response["output"]))
        at_end = {place: output.get(place) for place in stream.items} if self._start else output
        assert at_end == stream.items, f"{at_end} at the end; done were {stream.items}"
        return stream

    def _check_type(self, document: Document) -> None:
        kind = document["type"]
        if kind in STANDARD_REASONING:
            assert self._standard, f"{kind} is not OpenAI's name"
            published.check(STANDARD_REASONING[kind], document)
            return
        if "item" in document:
            check_item(document["item"])  # tells better what is wrong
        if "response" in document:
            check_response(document["response"])
        assert not (self._standard and kind in PUBLISHED_REASONING), f"{kind} is not the standard's name"
        published.check_one_of(ResponseStreamEvent, document)
        if kind == "error" and self._standard:
            assert set(document["error"]) == {"type", "code", "message", "param"}, document

    def _apply(self, kind: str, document: Document) -> None:
        text, _, what = kind.rpartition(".")
        if kind in STARTS or kind in ENDS:
            self._snapshot(document["response"])
        elif kind == "response.output_item.added":
            self._added(document)
        elif kind == "response.output_item.done":
            self._done(document)
        elif kind == "response.content_part.added":
            self._part_added(document)
        elif kind == "response.content_part.done":
            self._part_done(document)
        elif text in TEXTS:
            self._text(text, what, document)
        elif "output_index" in document:
            self._item(document)

    def _snapshot(self, response: Document) -> None:
        before = self._stream.response
        assert not before or response["id"] == before["id"], response
        self._stream.response = response

    def _added(self, document: Document) -> None:
        item, place = document["item"], document["output_index"]
        assert item.get("status", "in_progress") == "in_progress", f"it has only begun: {item}"
        places = (*self._open, *self._stream.items)
        first = self._start and not places
        assert first or place == max(places, default=-1) + 1, f"{place} is not the next place: {item}"
        self._open[place] = item
        self._parts[place], self._whole[place] = 0, []

    def _done(self, document: Document) -> None:
        item, place = document["item"], document["output_index"]
        self._item({**document, "item_id": item["id"]})
        begun = self._open.pop(place)
        assert item["type"] == begun.get("type", item["type"]), f"{begun} became {item}"
        assert item.get("status", "completed") != "in_progress", f"it is done: {item}"
        self._stream.items[place] = item
        if place in self._met:
            return
        if item["type"] in ("message", "reasoning"):
            assert item["content"] == self._whole[place], f"{item['content']}; parts were {self._whole[place]}"
        for (of, text), said in self._deltas.items():
            if of == place and text not in IN_PARTS:
                assert item[TEXTS[text]] == said, f"{item} has other than {said}"

    def _part_added(self, document: Document) -> None:
        place = self._item(document)
        assert document["content_index"] == self._parts[place], document
        self._parts[place] += 1

    def _part_done(self, document: Document) -> None:
        place, part = self._item(document), document["part"]
        assert document["content_index"] == len(self._whole[place]) == self._parts[place] - 1, document
        if part["type"] == "output_text":
            assert isinstance(part["annotations"], list), part
        for (of, text), said in self._deltas.items():
            if of == place and text in IN_PARTS and place not in self._met:
                assert part[TEXTS[text]] == said, f"{part} has other than {said}"
        self._whole[place].append(part)

    def _text(self, text: str, what: str, document: Document) -> None:
        place = self._item(document)
        if text in IN_PARTS:
            assert document["content_index"] == self._parts[place] - 1, f"no such part is open: {document}"
        if what == "delta":
            self._deltas[place, text] = self._deltas.get((place, text), "") + document["delta"]
        elif place not in self._met:
            said = self._deltas.get((place, text), "")
            assert document[TEXTS[text]] == said, f"other than {said}: {document}"

    def _item(self, document: Document) -> int:
        place: int = document["output_index"]
        if self._start and place not in self._open and place not in self._stream.items:
            self._met.add(place)
            self._open[place] = {"id": document["item_id"]}
            self._parts[place] = document.get("content_index", -1) + (document["type"] != "response.content_part.added")
            self._whole[place] = [{}] * document.get("content_index", 0)
        assert place in self._open, f"no such item is open: {document}"
        assert document["item_id"] == self._open[place]["id"], document
        return place
