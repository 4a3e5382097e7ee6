from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tandem_orchestrator.errors import Malformed
from tandem_orchestrator.gateway.relay import Lines

STREAM = b'data: {"choices":[]}\n\n: note\r\n\r\ndata: {"choices":[],"usage":{"total_tokens":3}}\n\ndata: [DONE]\n\n'


@settings(deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_whole_lines_in_order_however_the_bytes_arrive(cuts):
    lines, taken = Lines(), b""
    edges = [0, *sorted(cuts), len(STREAM)]
    for start, end in pairwise(edges):
        piece = lines.take(STREAM[start:end])
        assert not piece or piece.endswith(b"\n")
        taken += piece
    assert taken == STREAM
    assert lines.end() == b""
    assert lines.usage() == {"total_tokens": 3} or len(cuts) > 3


def test_an_end_without_done_is_told():
    lines = Lines()
    lines.take(b'data: {"choices":[]}\n\n')
    with pytest.raises(Malformed, match="without"):
        lines.end()


def test_an_error_event_is_an_end():
    lines = Lines()
    lines.take(b'data: {"error": {"message": "out of memory"}}\n\n')
    lines.end()


def test_a_last_line_without_its_end_is_completed():
    lines = Lines()
    assert lines.take(b"data: {}\n\ndata: [DONE]") == b"data: {}\n\n"
    assert lines.end() == b"data: [DONE]\n\n"


def test_a_line_without_end_is_not_collected_for_ever(monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.gateway.relay.MAX_LINE", 1000)
    lines = Lines()
    assert lines.take(b"x" * 900) == b""
    with pytest.raises(Malformed, match="without end"):
        lines.take(b"x" * 200)
