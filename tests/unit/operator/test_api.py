"""What the API server's refusals mean."""

import json
from typing import Any

import pytest
from tandem_operator.kube.api import _refusal


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
