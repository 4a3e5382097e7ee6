"""What the API server's refusals mean."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tandem_operator.kube.api import _refusal, _yaml


def answer(reason: str) -> bytes:
    causes = [{"reason": reason, "message": "namespace a is being terminated", "field": "metadata.namespace"}]
    return json.dumps({"message": "forbidden", "details": {"causes": causes}}).encode()


def test_a_namespace_that_ends_refuses_nothing_for_good() -> None:
    assert _refusal(403, answer("NamespaceTerminating")).passes
    assert not _refusal(403, answer("FieldValueForbidden")).passes


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"{}", b'{"message": "no", "details": {"causes": "odd"}}'])
def test_an_answer_of_another_shape_is_shown_as_it_is(content: bytes) -> None:
    error: Any = _refusal(502, content)
    assert str(error) == content.decode()


@settings(max_examples=50, deadline=None)
@given(st.text())
@example('🙈 \x00\x1b\x7f\x85\x9f\u2028\u2029\ufeff\ufffe\uffff \\ud83d\\ude48 " \\')
def test_what_is_applied_is_yaml_as_the_api_server_reads_it(text: str) -> None:
    applied = _yaml({"a": text})
    assert json.loads(applied) == yaml.safe_load(applied) == {"a": text}
    assert not any(character in applied for character in "\x85\u2028\ufeff")
    assert "\\ud83d\\ude48" not in _yaml("🙈"), "two halves of a character are no YAML"


def test_half_a_character_can_be_sent() -> None:
    _yaml({"a": "\ud800"}).encode()
