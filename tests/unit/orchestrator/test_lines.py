from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tandem_orchestrator.errors import Malformed
from tandem_orchestrator.gateway.relay import Lines

FIRST = b'data: {"choices":[{"delta":{"content":"the \\"usage\\" of {}"}}],"usage":null}\n\n: note\r\n\r\n'
USAGE = b'data: {"choices": [], "usage":{"total_tokens":3}}\n\n'
END = b"data: [DONE]\n\n"
STREAM = FIRST + USAGE + END


class Passed:
    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += data
        return True


def relayed(stream, cuts, **options):
    lines, taken = Lines(**options), b""
    for start, end in pairwise([0, *sorted(cuts), len(stream)]):
        piece = lines.take(stream[start:end])
        assert not piece or piece.endswith(b"\n")
        taken += piece
    assert lines.end() == b""
    return taken, lines.usage


@settings(deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_whole_lines_in_order_however_the_bytes_arrive(cuts):
    assert relayed(STREAM, cuts) == (STREAM, {"total_tokens": 3})


def test_the_usage_is_hidden_at_every_split_of_the_bytes():
    for cut in range(len(STREAM) + 1):
        assert relayed(STREAM, [cut], hide_usage=True) == (FIRST + END, {"total_tokens": 3})


@settings(deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_the_usage_is_hidden_in_any_number_of_pieces(cuts):
    assert relayed(STREAM, cuts, hide_usage=True) == (FIRST + END, {"total_tokens": 3})


@pytest.mark.parametrize("hide_usage", [False, True])
def test_what_passes_at_once_is_what_would_be_taken(hide_usage):
    for cuts in combinations(range(0, len(STREAM) + 1, 3), 2):
        lines, passed = Lines(hide_usage=hide_usage), Passed()
        for start, end in pairwise([0, *cuts, len(STREAM)]):
            if not lines.pass_on(passed.write, STREAM[start:end]):
                passed.write(lines.take(STREAM[start:end]))
        assert (passed.data, lines.usage) == relayed(STREAM, cuts, hide_usage=hide_usage)


def test_what_is_not_written_at_once_is_still_to_be_taken():
    lines = Lines()
    assert not lines.pass_on(lambda _: False, FIRST)
    assert lines.take(FIRST) == FIRST
    assert lines.events == 1


def test_usage_beside_a_choice_is_counted_and_passes():
    stream = b'data: {"choices":[{"delta":{}}],"usage":{"total_tokens":4}}\n\n' + END
    assert relayed(stream, [], hide_usage=True) == (stream, {"total_tokens": 4})


def test_only_the_hidden_events_own_end_goes_with_it():
    stream = b'data: {"choices":[],"usage":{}}\ndata: {"choices":[1]}\n\n' + END
    assert relayed(stream, [], hide_usage=True)[0] == b'data: {"choices":[1]}\n\n' + END


def test_what_only_looks_like_usage_passes():
    stream = b'data: {"choices":[], "usage": \n\ndata: {"usage":[]}\n\n: "usage"\n\n' + END
    assert relayed(stream, [], hide_usage=True) == (stream, None)


def test_events_are_counted_however_their_bytes_arrive():
    lines = Lines()
    lines.take(b'data: {"choices":[]}\n\ndata: {"choices"')
    lines.take(b":[]}\n\n")
    assert lines.events == 2


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
