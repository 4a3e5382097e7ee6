import orjson
import pytest
from tandem_orchestrator.engines.event_reader import Event
from tandem_orchestrator.errors import EngineError
from tandem_orchestrator.gateway.streamed_turn import StreamedTurn
from tandem_orchestrator.tools.toolbox import ToolCall


def line(delta, finish=None, **fields):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return said(orjson.dumps({"id": "a", "choices": [choice], **fields}))


def said(data):
    return Event(b"", data)


def test_text_passes_and_calls_stay():
    turn = StreamedTurn({})
    seen = [
        turn.take(item)
        for item in (
            line({"role": "assistant", "content": ""}),
            line({"content": "Let me"}),
            line({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "add"}}]}),
            line({"tool_calls": [{"index": 1, "id": "c2", "function": {"name": "sub", "arguments": "{}"}}]}),
            line({"content": " see", "tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]}),
            line({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}),
            line({"content": ""}, "tool_calls"),
            Event(b": comment\n"),
            said(b'{"choices":[],"usage":{"total_tokens":3}}'),
            said(b"[DONE]"),
            said(b"more"),
        )
    ]
    deltas = [chunk["choices"][0]["delta"] for chunk in seen if chunk]
    assert deltas == [{"role": "assistant", "content": ""}, {"content": "Let me"}, {"content": " see"}]
    whole = turn.turn()
    assert whole.content == "Let me see"
    assert whole.calls == [ToolCall("c1", "add", '{"a":1}'), ToolCall("c2", "sub", "{}")]
    assert (turn.finish_reason, turn.usage) == ("tool_calls", {"total_tokens": 3})


def test_a_later_pass_does_not_begin_the_answer_again():
    turn = StreamedTurn({"id": "first"})
    assert turn.take(line({"role": "assistant", "content": ""})) is None
    assert (chunk := turn.take(line({"role": "assistant", "content": "x"})))
    assert chunk["choices"][0]["delta"] == {"content": "x"}


def test_text_beside_the_finish_reason_passes_without_it():
    turn = StreamedTurn({})
    assert (chunk := turn.take(line({"content": "end"}, "stop")))
    assert chunk["choices"][0] == {"index": 0, "delta": {"content": "end"}, "finish_reason": None}
    assert turn.finish_reason == "stop"


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_passes_and_belongs_to_the_turn(name):
    turn = StreamedTurn({"id": "first"})
    for piece in ("Hm", ", ", "well"):
        assert turn.take(line({name: piece})) is not None
    turn.read(b"data: [DONE]\n\n")
    assert (turn.turn().content, turn.turn().reasoning) == (None, {name: "Hm, well"})


@pytest.mark.parametrize(
    "broken",
    [
        b"{",
        b"3",
        b'{"error": {"message": "x"}}',
        b'{"error": "x"}',
        b'{"choices": {"a": 1}}',
        b'{"choices": ["x"]}',
        b'{"choices": [{"delta": "x"}]}',
        b'{"choices": [{"delta": {"tool_calls": [7]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"function": {"arguments": {"a": 1}}}]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"index": "first"}]}}]}',
        b'{"choices": [{"delta": {"content": {"a": 1}}}]}',
    ],
)
def test_broken_events(broken):
    with pytest.raises(EngineError):
        StreamedTurn({}).take(said(broken))


def test_an_engines_error_keeps_its_status():
    with pytest.raises(EngineError) as caught:
        StreamedTurn({}).take(said(b'{"error": {"message": "too long", "code": 400}}'))
    assert (caught.value.status, caught.value.message) == (400, "too long")


@pytest.mark.parametrize("chunk", [b'{"choices":null}', b"{}", b'{"choices":[{"delta":null}]}', b'{"choices":[{}]}'])
def test_chunks_that_say_nothing(chunk):
    assert StreamedTurn({}).take(said(chunk)) is None


def test_the_frame_is_that_of_a_chunk_with_a_choice():
    turn = StreamedTurn({})
    turn.take(said(b'{"id": "", "model": "", "choices": [], "prompt_filter_results": []}'))
    turn.take(line({"content": "x"}))
    assert turn.frame == {"id": "a"}


def test_an_end_before_the_turns_is_told():
    turn = StreamedTurn({})
    turn.read(b'data: {"choices": [{"delta": {"content": "x"}}]}\n\n')
    with pytest.raises(EngineError):
        turn.end()


@pytest.mark.parametrize("last", [b"data:[DONE]\n\n", b"data: [DONE]", b""])
def test_a_stream_in_any_spelling(last):
    stream = b'data:{"choices":[{"delta":{"content":"a"}}]}\r\n\r\ndata: {\ndata:"choices":[{"delta":{"content":"b"},'
    stream += b'"finish_reason":"stop"}]}\n\n' + last
    for cut in range(1, len(stream)):
        turn = StreamedTurn({})
        chunks = [*turn.read(stream[:cut]), *turn.read(stream[cut:]), *turn.end()]
        assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks] == ["a", "b"]
        assert turn.turn().content == "ab"
        assert turn.charge(b"{}") == {"prompt_tokens": 0, "completion_tokens": 2}


def test_the_last_chunk_is_seen_where_the_stream_leaves_it_open():
    turn = StreamedTurn({})
    assert turn.read(b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}') == []
    assert turn.end()[0]["choices"][0]["delta"] == {"content": "a"}
