import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tandem_contract.config import GuardedText
from tandem_orchestrator.guardrails.found import Span
from tandem_orchestrator.guardrails.texts import Texts

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def strings_in(value):
    if isinstance(value, dict):
        return [text for each in value.values() for text in strings_in(each)]
    if isinstance(value, list):
        return [text for each in value for text in strings_in(each)]
    return [value] if isinstance(value, str) and value else []


def taken(value, key="a", *, asked=False):
    texts = Texts()
    texts.take({key: value}, key, key, GuardedText.INPUT, asked=asked)
    return texts


@given(JSON)
def test_every_string_is_a_text_and_can_be_replaced(value):
    holder = {"a": value}
    texts = Texts()
    texts.take(holder, "a", "a", GuardedText.INPUT)
    found = [text for text in texts.all if text.holder is not None]
    packed = any(".arguments" in text.path for text in found)
    if not packed:
        assert sorted(text.text for text in found) == sorted(strings_in(value))
    for text in found:
        text.spans.append(Span(0, len(text.text), "x"))
    assert texts.mask() is bool(found)
    assert set(strings_in(holder["a"])) <= {"[X]"}


@given(JSON)
def test_arguments_are_read_as_what_they_mean(value):
    holder = {"arguments": json.dumps(value)}
    texts = Texts()
    texts.take(holder, "arguments", "", GuardedText.TOOL_ARGUMENTS)
    if isinstance(value, dict | list):
        assert sorted(text.text for text in texts.all if text.holder) == sorted(strings_in(value))
        assert texts.mask() is False
        assert json.loads(holder["arguments"]) == value


@pytest.mark.parametrize("arguments", ['{"a": 1, "a": 2}', '{"b": [{"a": "", "a": ""}]}', "[" * 300 + "]" * 300])
def test_arguments_that_may_mean_something_else_are_not_taken_for_seen(arguments):
    texts = taken(arguments, "arguments")
    assert (texts.all, texts.unseen) == ([], [(GuardedText.INPUT, "arguments")])


@pytest.mark.parametrize("arguments", ['{"a": "\\ud83d"}', "{", "B-1", '"B-1"'])
def test_arguments_that_are_no_object_are_texts_as_they_are(arguments):
    assert [text.text for text in taken(arguments, "arguments").all] == [arguments]


def test_parts_within_parts_are_taken_once():
    nested: dict[str, Any] = {"type": "text", "text": "a"}
    for _ in range(50):
        nested = {"content": [nested, {"type": "text", "text": "b"}]}
    texts = taken([nested, {"type": "text", "text": "c"}], "content")
    assert len(texts.split) == 1
    assert len(texts.all) == 52
