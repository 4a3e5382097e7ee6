"""Reading JSON that is deeper than Python's own reader goes."""

import json
import sys
from typing import Any

import pytest
from tandem_operator.kube.decoding import DEEPEST, decoded, readable, shallow


def nested(depth: int, inner: str = "1") -> str:
    return '{"a":' * depth + inner + "}" * depth


def depth_of(value: Any) -> int:
    depth = 0
    while isinstance(value, dict | list):
        value, depth = next(iter(value.values() if isinstance(value, dict) else value), None), depth + 1
    return depth


@pytest.mark.parametrize("depth", [1, DEEPEST - 1, DEEPEST])
def test_what_python_reads_is_read_as_it_is(depth: int) -> None:
    text = nested(depth).encode()
    assert decoded(text) == json.loads(text)
    assert shallow(text) == text


@pytest.mark.parametrize("opening", ['{"a":', "[", '{"b":{},"a":'])
@pytest.mark.parametrize("depth", [DEEPEST + 1, 10_002])
def test_what_is_too_deep_is_cut(opening: str, depth: int) -> None:
    closing = "}" if opening.startswith("{") else "]"
    text = f'{{"deep":{opening * depth}1{closing * depth},"next":[{{}},2]}}'.encode()
    found = json.loads(shallow(text))
    assert found["next"] == [{}, 2], "what stands beside it is read"
    if not opening.endswith('{},"a":'):
        assert depth_of(found["deep"]) == DEEPEST - 1
    if depth > sys.getrecursionlimit():
        assert decoded(text) == found


def test_only_what_is_too_deep_for_python_is_cut() -> None:
    deep = nested(5_000).encode()
    assert readable(deep) == shallow(deep) != deep
    for text in (b"", b"{", nested(DEEPEST + 9).encode()):
        assert readable(text) == text


def test_brackets_in_texts_do_not_count() -> None:
    text = json.dumps({"a": "}{[" * DEEPEST, 'quoted "[': "\\", "b": [1], '\\"{': {}})
    assert json.loads(shallow(text.encode())) == json.loads(text)
    deep = f'{{"a":"{"]" * 400}","b":{nested(DEEPEST + 5, chr(34) + "}" * 50 + chr(34))}}}'
    assert depth_of(json.loads(shallow(deep.encode()))["b"]) == DEEPEST - 1


def test_what_is_no_json_is_refused() -> None:
    for text in (b"", b"{", b"[" * 5_000, b'{"a":' * 5_000 + b"}" * 5_001):
        with pytest.raises(ValueError):  # noqa: PT011
            decoded(text)
