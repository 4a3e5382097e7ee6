import orjson
import pytest
from tandem_orchestrator.errors import EngineError
from tandem_orchestrator.gateway.streamed_turn import StreamedTurn
from tandem_orchestrator.tools.toolbox import ToolCall


def line(delta, finish=None, **fields):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + orjson.dumps({"id": "a", "choices": [choice], **fields})


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
            b"",
            b": comment",
            b'data: {"choices":[],"usage":{"total_tokens":3}}',
            b"data: [DONE]",
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
    turn.take(b"data: [DONE]")
    assert (turn.turn().content, turn.turn().reasoning) == (None, {name: "Hm, well"})


@pytest.mark.parametrize(
    "broken", [b"data: {", b"data: 3", b'data: {"error": {"message": "x"}}', b'data: {"error": "x"}']
)
def test_broken_events(broken):
    with pytest.raises(EngineError):
        StreamedTurn({}).take(broken)


def test_an_end_without_done_is_no_turn():
    turn = StreamedTurn({})
    turn.take(line({"content": "x"}, "stop"))
    with pytest.raises(EngineError):
        turn.turn()
