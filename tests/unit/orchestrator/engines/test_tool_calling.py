"""What an engine's answers show of its parser, chat template and model."""

from typing import Any

import pytest
from tandem_contract.config import UpstreamType
from tandem_orchestrator.engines.tool_calling.markup import markup_in, remedy
from tandem_orchestrator.engines.tool_calling.questions import (
    Said,
    fault_of_call,
    fault_of_schema,
    fault_of_stream,
    said_in_pieces,
    said_whole,
    schema_question,
    tool_question,
)

VLLM, SGLANG, LLAMACPP, TGI = UpstreamType.VLLM, UpstreamType.SGLANG, UpstreamType.LLAMACPP, UpstreamType.TGI
BAR, UNDER = "\uff5c", "\u2581"
CALLED = Said(calls=(("get_current_weather", '{"location": "Paris"}'),), finish="tool_calls")

WRITTEN = [
    ('<tool_call>\n{"name": "f", "arguments": {"a": "b"}}\n</tool_call>', "hermes", "qwen25"),
    ('{"name": "f", "arguments": {"a": "b"}}', "hermes", "qwen25"),
    ('[TOOL_CALLS] [{"name": "f", "arguments": {"a": "b"}}]', "mistral", "mistral"),
    ('[TOOL_CALLS]f{"a": "b"}', "mistral", "mistral"),
    (' [{"name": "f", "arguments": {"a": "b"}}]', "mistral", "mistral"),
    ('<|python_tag|>{"name": "f", "parameters": {"a": "b"}}', "llama3_json", "llama3"),
    ('{"name": "f", "parameters": {"a": "b"}}', "llama3_json", "llama3"),
    ('[f(a="b")]', "pythonic", "pythonic"),
    ('<|python_start|>[f(a="b")]<|python_end|>', "llama4_pythonic", "pythonic"),
    ("<tool_call>\n<function=f>\n<parameter=a>\nb\n</parameter>\n</function>", "qwen3_coder", "qwen3_coder"),
    ("<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>b</arg_value>\n</tool_call>", "glm45", "glm45"),
    (
        '<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{"a": "b"}',
        "kimi_k2",
        "kimi_k2",
    ),
    (f"<{BAR}tool{UNDER}calls{UNDER}begin{BAR}>function<{BAR}tool{UNDER}sep{BAR}>f\n", "deepseek_v3", "deepseekv3"),
    (f'<{BAR}tool{UNDER}call{UNDER}begin{BAR}>f<{BAR}tool{UNDER}sep{BAR}>{{"a": "b"}}', "deepseek_v31", "deepseekv31"),
    (f'<{BAR}DSML{BAR}function_calls>\n<{BAR}DSML{BAR}invoke name="f">', "deepseek_v32", "deepseekv32"),
    ('<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a": "b"}', "openai", "gpt-oss"),
    ('<minimax:tool_call>\n<invoke name="f">', "minimax_m2", "minimax-m2"),
    ('functools[{"name": "f", "arguments": {"a": "b"}}]', "phi4_mini_json", None),
    ("<seed:tool_call>\n<function=f>\n<parameter=a>b</parameter>", "seed_oss", None),
    ('<|tool_call_start|>[f(a="b")]<|tool_call_end|>', "lfm2", "lfm2"),
]


@pytest.mark.parametrize(("text", "vllm", "sglang"), WRITTEN)
def test_a_way_of_writing_calls_tells_its_parser(text: str, vllm: str, sglang: str | None) -> None:
    markup = markup_in(f"Let me look.\n{text}" if not text.lstrip().startswith("[") else text)
    assert markup is not None
    assert (markup.parser(VLLM), markup.parser(SGLANG), markup.parser(LLAMACPP)) == (vllm, sglang, None)


@pytest.mark.parametrize(
    "text",
    ["", "It is sunny in Paris.", "I would call [the weather service](https://x.example).", '{"location": "Paris"}'],
)
def test_words_are_no_call(text: str) -> None:
    assert markup_in(text) is None


def test_what_to_change_is_what_an_engine_has() -> None:
    assert remedy(VLLM, "hermes") == "set toolCalling.parser to hermes"
    assert remedy(SGLANG) == "set toolCalling.parser to the one that reads how this model writes calls"
    assert "chatTemplate" in remedy(LLAMACPP)
    assert "toolCalling" not in remedy(TGI), "it has neither"


def test_a_right_call_has_no_fault() -> None:
    assert fault_of_call(CALLED, VLLM) is None
    assert fault_of_stream(CALLED, VLLM) is None


CALLS = {
    "as text": (Said('<tool_call>{"name": "x"', finish="stop"), "ParserMismatch", "toolCalling.parser to hermes"),
    "as reasoning": (Said(thought="<tool_call>{", finish="stop"), "ParserMismatch", "toolCalling.reasoningParser"),
    "nothing but reasoning": (Said(thought="Sunny.", finish="stop"), "ParserMismatch", "toolCalling.reasoningParser"),
    "cut off while thinking": (Said(thought="Let me", finish="length"), "NoToolCall", "“Let me”"),
    "cut off": (Said("Well, well", finish="length"), "NoToolCall", "bound of tokens"),
    "in words": (Said("It is\n sunny.", finish="stop"), "NoToolCall", "“It is sunny.”"),
    "nothing": (Said(finish="stop"), "NoToolCall", "“”"),
    "no JSON": (Said(calls=(("get_current_weather", "Paris"),)), "InvalidArguments", "“Paris”"),
    "no text": (Said(calls=(("get_current_weather", {"location": "Paris"}),)), "InvalidArguments", "{'location'"),
    "a list": (Said(calls=(("get_current_weather", "[]"),)), "InvalidArguments", "“[]”"),
    "of another name": (Said(calls=(("city", '{"city": "Paris"}'),)), "InvalidArguments", "“city”"),
    "of another tool": (Said(calls=(("x", '{"location": "Paris"}'),)), "InvalidArguments", "“x”"),
}


@pytest.mark.parametrize(("said", "reason", "told"), CALLS.values(), ids=CALLS.keys())
def test_a_fault_says_what_came_back(said: Said, reason: str, told: str) -> None:
    fault = fault_of_call(said, VLLM)
    assert fault is not None
    assert fault.reason == reason
    assert told in fault.message
    streamed = fault_of_stream(said, VLLM)
    assert streamed is not None
    assert streamed.reason == "StreamBroken"
    assert told in streamed.message


def test_a_stream_says_that_it_ends_for_a_call() -> None:
    said = Said(calls=CALLED.calls, finish="stop")
    assert fault_of_stream(said, TGI) is None, "it never does"
    fault = fault_of_stream(said, VLLM)
    assert fault is not None
    assert (fault.reason, "'stop'" in fault.message) == ("StreamBroken", True)


def test_quotations_are_short() -> None:
    fault = fault_of_call(Said("word " * 1000), VLLM)
    assert fault is not None
    assert len(fault.message) < 500


@pytest.mark.parametrize(
    "text", ["Red.", "```json\n{}\n```", "[]", "{}", '{"colour": "pink"}', '{"colour": "red", "x": 1}']
)
def test_a_text_that_does_not_fit_the_schema(text: str) -> None:
    fault = fault_of_schema(Said(text))
    assert fault is not None
    assert fault.reason == "SchemaIgnored"


def test_a_text_that_fits_the_schema() -> None:
    assert fault_of_schema(Said(' {"colour": "blue"}\n')) is None


def test_a_whole_answer_is_read() -> None:
    function = {"name": "get_current_weather", "arguments": '{"location": "Paris"}'}
    message = {"content": None, "reasoning": "Hm.", "tool_calls": [{"id": "1", "function": function}]}
    answer = {"choices": [{"message": message, "finish_reason": "tool_calls"}]}
    assert said_whole(answer) == Said("", "Hm.", CALLED.calls, "tool_calls")


def test_a_streams_pieces_are_put_together() -> None:
    deltas = [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "H"},
        {"reasoning_content": "m."},
        {"tool_calls": [{"index": 0, "id": "1", "function": {"name": "get_current_weather", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"location": '}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '"Paris"}'}}]},
    ]
    chunks: list[dict[str, Any]] = [{"choices": [{"delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks += [{"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}, {"choices": [], "usage": {}}]
    assert said_in_pieces(chunks) == Said("", "Hm.", CALLED.calls, "tool_calls")


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"message": 1, "delta": 1},
        {"message": {"tool_calls": 1}, "delta": {"tool_calls": 1}},
        {"message": {"tool_calls": [1, {"function": 1}]}, "delta": {"tool_calls": [1, {"function": 1, "index": []}]}},
        {"message": {"content": 1, "reasoning": []}, "delta": {"content": 1}},
    ],
)
def test_nonsense_is_no_call(choice: dict[str, object]) -> None:
    for said in (said_whole({"choices": [choice]}), said_in_pieces([{"choices": [choice]}])):
        assert fault_of_call(said, VLLM) is not None
        assert fault_of_schema(said) is not None


def test_an_answer_may_take_half_of_a_short_context() -> None:
    assert [tool_question("m", n, stream=False)["max_tokens"] for n in (None, 8192, 512, 1)] == [1024, 1024, 256, 1]
    assert schema_question("m", 512)["max_tokens"] == 256
