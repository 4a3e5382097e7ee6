"""Server-sent events in every spelling that their standard allows."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tandem_orchestrator.engines.event_reader import Event, EventReader
from tandem_orchestrator.errors import Malformed

TEXTS = ["", "{}", " {}", "a: b", ":", "\u00e9", "[DONE]", "x" * 30]
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@st.composite
def spelled(draw):
    """An event's bytes, and what they mean."""
    data = draw(st.lists(st.sampled_from(TEXTS), max_size=3))
    name = draw(st.sampled_from(["", "error", "message"]))
    lines = [f"data:{'' if text.startswith(' ') else draw(st.sampled_from(['', ' ']))}{text}" for text in data]
    meant = [text.removeprefix(" ") for text in data]
    extra = draw(st.lists(st.sampled_from(["id: 1", "retry:10", "unknown", "datum: 1", ": in between"]), max_size=2))
    for line in [*extra, *([f"event: {name}"] if name else [])]:
        lines.insert(draw(st.integers(0, len(lines))), line)
    raw = "".join(line + draw(ENDS) for line in lines)
    raw += draw(ENDS.filter(lambda end: end != "\n" or not raw.endswith("\r")))  # which would be one end together
    return raw.encode(), "\n".join(meant).encode() if data else None, name.encode()


def read(stream, cuts=()):
    reader, events = EventReader(), []
    for start, end in pairwise([0, *sorted(cuts), len(stream)]):
        if start < end:
            events += reader.read(stream[start:end])
    assert not reader.pending
    return events


@settings(deadline=None)
@given(st.lists(spelled(), min_size=1, max_size=4), st.booleans(), st.data())
def test_any_spelling_and_any_packets_mean_the_same(events, bom, data):
    stream = b"\xef\xbb\xbf" * bom + b"".join(raw for raw, _, _ in events)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    found = read(stream, cuts)
    assert b"".join(event.raw for event in found) == stream
    assert [(event.data, event.name) for event in found if event.data is not None] == [
        (text, name) for _, text, name in events if text is not None
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_at_every_split(end):
    lines = [": hello", "", "event: error", "data:{", "data: }", "", "data: [DONE]", "", ""]
    stream = end.join(lines).encode()
    for cut in range(len(stream)):
        found = read(stream, [cut])
        assert [(event.data, event.name) for event in found if event.data] == [(b"{\n}", b"error"), (b"[DONE]", b"")]
        assert b"".join(event.raw for event in found) == stream


def test_an_event_is_there_with_its_empty_line_and_not_later():
    reader = EventReader()
    assert reader.read(b"data: 1\r\n\r") == [Event(b"data: 1\r\n\r", b"1")]
    assert reader.read(b"\ndata: 2\r") == [Event(b"\n")]
    assert reader.pending
    assert reader.read(b"\n") == []
    assert reader.read(b"\r") == [Event(b"data: 2\r\n\r", b"2")]


def test_comments_do_not_wait_for_an_event():
    reader = EventReader()
    assert reader.read(b": ping\n") == [Event(b": ping\n")]
    assert reader.read(b"id: 1\n: ping\n") == []
    assert reader.read(b"\n") == [Event(b"id: 1\n: ping\n\n")]


@pytest.mark.parametrize(
    ("left", "raw", "data"),
    [
        (b"data: 1", b"data: 1\n\n", b"1"),
        (b"data: 1\n", b"data: 1\n\n", b"1"),
        (b"data: 1\r", b"data: 1\r\n\n", b"1"),
        (b": bye", b": bye\n", None),
    ],
)
def test_what_is_left_at_the_end_gets_one(left, raw, data):
    reader = EventReader()
    assert reader.read(left) == []
    assert reader.end() == Event(raw, data)
    assert EventReader().end() is None


@pytest.mark.parametrize("piece", [b"x" * 100, b"id\n" * 40, b"data\r" * 20])
def test_an_event_without_end_is_not_collected_for_ever(monkeypatch, piece):
    monkeypatch.setattr("tandem_orchestrator.engines.event_reader.MAX_EVENT", 1000)
    reader = EventReader()
    for _ in range(8):
        reader.read(piece)
    with pytest.raises(Malformed, match="without end"):
        reader.read(piece * 4)
