from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tandem_orchestrator.errors import Malformed
from tandem_orchestrator.gateway.relay import Events

FIRST = b'data: {"choices":[{"delta":{"content":"the \\"usage\\" of {}"}}],"usage":null}\n\n: note\r\n\r\n'
USAGE = b'data: {"choices": [], "usage":{"total_tokens":3}}\n\n'
END = b"data: [DONE]\n\n"
STREAM = FIRST + USAGE + END
FINISHED = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
CHUNKS = [
    '{"choices":[],"prompt_filter_results":[]}',
    '{"choices":[{"delta":{"content":"a"}}]}',
    '{"choices":[{"delta":{"content":"error"}}],"usage":null}',
    '{"choices":[{"delta":{},"finish_reason":"stop"}]}',
]
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


class Passed:
    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += data
        return True


def relayed(stream, cuts, **options):
    """What passes in calls of both kinds, and how the events are left."""
    events, passed = Events(**options), Passed()
    for start, end in pairwise([0, *sorted(cuts), len(stream)]):
        piece = stream[start:end]
        if piece and not events.pass_on(passed.write, piece):
            passed.write(events.take(piece))
    passed.write(events.end())
    return passed.data, events


@st.composite
def spelled(draw, data, extras=(": ping", "event: message", "id:7", "retry: 10")):
    """An event as some engine writes it."""
    lines = [draw(st.sampled_from(["data:", "data: "])) + data]
    if data.startswith("{") and draw(st.booleans()):  # between two tokens of JSON, lines may be broken
        lines = ["data:{", "data: " + data[1:]]
    for extra in draw(st.lists(st.sampled_from(extras), max_size=1)):
        lines.insert(draw(st.integers(0, len(lines))), extra)
    end = draw(ENDS)
    return "".join(line + end for line in [*lines, ""])


@settings(deadline=None)
@given(st.data())
def test_any_legal_spelling_gives_the_same_answer(data):
    usage = '{"choices":[],"usage":{"prompt_tokens":2,"completion_tokens":3}}'
    chunks = [data.draw(spelled(chunk)) for chunk in CHUNKS]
    hidden = data.draw(spelled(usage, extras=["event: message", "id:7"]))
    done = data.draw(spelled(data.draw(st.sampled_from(["[DONE]", "[DONE] ", " [DONE]\t"]))))
    stream = ("".join(chunks) + hidden + done).encode()
    shown = ("".join(chunks) + done).encode()
    if data.draw(st.booleans()):
        stream, shown = b"\xef\xbb\xbf" + stream, b"\xef\xbb\xbf" + shown
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12))
    passed, events = relayed(stream, cuts)
    assert passed == stream
    assert (events.complete, events.failure, events.count) == (True, None, 5)
    assert events.charge(b"{}") == {"prompt_tokens": 2, "completion_tokens": 3}
    passed, events = relayed(stream, cuts, hide_usage=True)
    assert passed.replace(b"\n", b"").replace(b"\r", b"") == shown.replace(b"\n", b"").replace(b"\r", b"")
    assert events.charge(b"{}") == {"prompt_tokens": 2, "completion_tokens": 3}


@pytest.mark.parametrize("begin", [b"data: ", b"data:"])
@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
@pytest.mark.parametrize("last", [b"", b"\n", b"\n\n"])
def test_the_same_at_every_split(begin, end, last):
    stream = end.join(begin + chunk.encode() for chunk in CHUNKS) + end + begin + b"[DONE]" + last
    for cut in range(len(stream)):
        passed, events = relayed(stream, [cut])
        assert passed.startswith(stream)
        assert passed[len(stream) :].strip(b"\n") == b""
        assert passed.endswith(b"\n\n")
        assert (events.complete, events.failure, events.count) == (True, None, 4)


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
@pytest.mark.parametrize("begin", [b"data: ", b"data:"])
def test_tokens_in_a_regular_spelling_leave_at_once(begin, end):
    events, passed = Events(), Passed()
    for _ in range(3):
        assert events.pass_on(passed.write, begin + CHUNKS[1].encode() + end)
    assert events.count == 3
    assert not events.pass_on(passed.write, begin + b"[DONE]" + end)


def test_several_tokens_in_a_packet_leave_at_once():
    events, passed = Events(), Passed()
    one = b"data: " + CHUNKS[1].encode() + b"\n\n"
    assert events.pass_on(passed.write, one * 3)
    assert events.count == 3
    for other in (one + b": note\n\n", one + END, one + one.replace(b": ", b":", 1), one + b"\n", one[:-1], one[:-2]):
        assert not events.pass_on(passed.write, other)


@settings(deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_whole_events_in_order_however_the_bytes_arrive(cuts):
    passed, events = relayed(STREAM, cuts)
    assert (passed, events.usage) == (STREAM, {"total_tokens": 3})


def test_the_usage_is_hidden_at_every_split_of_the_bytes():
    for cut in range(len(STREAM) + 1):
        passed, events = relayed(STREAM, [cut], hide_usage=True)
        assert (passed, events.usage) == (FIRST + END, {"total_tokens": 3})


@pytest.mark.parametrize("hide_usage", [False, True])
def test_what_passes_at_once_is_what_would_be_taken(hide_usage):
    for cuts in combinations(range(0, len(STREAM) + 1, 3), 2):
        events = Events(hide_usage=hide_usage)
        taken = b"".join(events.take(STREAM[start:end]) for start, end in pairwise([0, *cuts, len(STREAM)]))
        assert relayed(STREAM, cuts, hide_usage=hide_usage)[0] == taken


def test_tokens_that_say_that_they_have_no_usage_leave_at_once():
    events, passed = Events(hide_usage=True), Passed()
    none, usage = b'data: {"choices":[],"usage":null}\n\n', b'data: {"choices":[],"usage":{"total_tokens":1}}\n\n'
    assert events.pass_on(passed.write, none * 2)
    assert not events.pass_on(passed.write, none + usage)
    assert not events.pass_on(passed.write, usage.replace(b"}}", b',"usage":null}}'))


def test_what_is_not_written_at_once_is_still_to_be_taken():
    events, token = Events(), b"data: " + CHUNKS[1].encode() + b"\n\n"
    assert not events.pass_on(lambda _: False, token)
    assert events.take(token) == token
    assert events.count == 1


def test_usage_beside_a_choice_is_counted_and_passes():
    stream = b'data: {"choices":[{"delta":{}}],"usage":{"total_tokens":4}}\n\n' + END
    passed, events = relayed(stream, [], hide_usage=True)
    assert (passed, events.usage) == (stream, {"total_tokens": 4})


@pytest.mark.parametrize("choices", [b'"choices":[],', b'"choices":null,', b""])
def test_usage_without_a_choice_is_hidden(choices):
    usage = b"data: {" + choices + b'"usage":{"total_tokens":4}}\n\n'
    passed, events = relayed(usage + END, [], hide_usage=True)
    assert (passed, events.usage) == (END, {"total_tokens": 4})


def test_what_only_looks_like_usage_passes():
    stream = b'data: {"choices":[], "usage": \n\ndata: {"usage":[]}\n\n: "usage"\n\n' + END
    passed, events = relayed(stream, [], hide_usage=True)
    assert (passed, events.usage) == (stream, None)


@pytest.mark.parametrize(
    "stream",
    [
        b'data: {"choices":[]}\n\n',
        b'data: {"choices":[{"finish_reason":null}]}\n\n',
        b'data: {"choices":[{"finish_reason":"abort"}]}\n\n',
        b"data: [DONE\n\n",
    ],
)
def test_an_end_without_done_is_told(stream):
    with pytest.raises(Malformed, match="without"):
        relayed(stream, [])


@pytest.mark.parametrize("then", [b"", USAGE, b": bye\n\n"])
@pytest.mark.parametrize("half", [b"", b'data: {"choi'])
def test_an_answer_that_has_finished_needs_no_done(then, half):
    passed, events = relayed(FIRST + FINISHED + then + half, [])
    assert passed == FIRST + FINISHED + then
    assert (events.complete, events.failure) == (True, None)


@pytest.mark.parametrize(
    ("error", "status", "code", "message"),
    [
        (b'data: {"error": {"message": "no", "type": "a", "code": 400}}', 400, 400, "no"),
        (b'data: {"error": {"message": "no", "code": "429"}}', 429, "429", "no"),
        (b'data: {"error": {"message": "no", "code": 500}}', 502, "engine_failed", "no"),
        (b'data: {"error": {"message": "no", "code": 401}}', 502, "engine_failed", "no"),
        (b'data: {"error": {"message": "no", "code": "out_of_memory"}}', 502, "engine_failed", "no"),
        (b'data: {"error": "no"}', 502, "engine_failed", "no"),
        (b'data:{"id":"a","choices":[],"error":{"message":"no"}}', 502, "engine_failed", "no"),
        (b'data: {"object": "error", "message": "no", "code": 404}', 404, 404, "no"),
        (b"event: error\ndata: no", 502, "engine_failed", "the engine failed, and does not say how"),
        (b'event:error\ndata: {"message":"no","code":503}', 503, 503, "no"),
        (b'data: {\ndata: "error": {"message": "no"}}', 502, "engine_failed", "no"),
        (b"event: error\ndata: [1]", 502, "engine_failed", "the engine failed, and does not say how"),
    ],
)
@pytest.mark.parametrize("then", [b"", END])
def test_an_error_event_passes_without_done_and_is_known_for_what_it_is(error, status, code, message, then):
    stream = FIRST + error + b"\n\n"
    for cuts in ([], [len(FIRST)], [len(FIRST) + 9, len(FIRST) + 20]):
        passed, events = relayed(stream + then, cuts)
        assert passed == stream
        assert events.failure
        assert (events.failure.status, events.failure.code, events.failure.message) == (status, code, message)
        assert (events.complete, events.count) == (False, 1)


def test_an_error_is_the_last_word_or_none():
    error = b'data: {"error": "no"}\n\n'
    for stream in (error + FIRST, error + b": ping\n\n" + FIRST):
        for cuts in ([], [len(error)], [9, 30]):
            assert relayed(stream + END, cuts)[1].failure is None
            assert relayed(FIRST + error + b": ping\n\n" + USAGE + END, cuts)[1].failure


def test_done_may_be_said_twice():
    passed, events = relayed(FIRST + END + END, [])
    assert (passed, events.complete) == (FIRST + END + END, True)


@pytest.mark.parametrize("text", [b'{"choices":[{"delta":{"content":"error"}}]}', b'{"error":null,"choices":[]}'])
def test_what_only_looks_like_an_error_is_none(text):
    stream = b"data: " + text + b"\n\n" + END
    passed, events = relayed(stream, [])
    assert (passed, events.failure, events.complete) == (stream, None, True)


def test_a_usage_from_before_the_stream_broke_off_does_not_hide_what_came_since():
    events = Events()
    events.take(b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":0}}\n\n')
    for _ in range(5):
        events.take(b"data: " + CHUNKS[1].encode() + b"\n\n")
    assert events.charge(b"{}") == {"prompt_tokens": 9, "completion_tokens": 6}


@pytest.mark.parametrize("usage", ["{}", '{"prompt_tokens":null}', '{"prompt_tokens":"9"}', '{"prompt_tokens":-1}'])
def test_a_usage_of_nothing_is_none(usage):
    stream = FIRST + b'data: {"choices":[],"usage":' + usage.encode() + b"}\n\n" + END
    _, events = relayed(stream, [])
    assert events.charge(b'{"prompt":"12345678"}') == {"prompt_tokens": 2, "completion_tokens": 2}
