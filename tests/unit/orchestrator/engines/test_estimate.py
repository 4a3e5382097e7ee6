import orjson
import pytest
from tandem_orchestrator.engines import estimate

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10_000}}
TEXT = {"type": "text", "text": "x" * 23}


@pytest.mark.parametrize(
    ("request_body", "tokens"),
    [
        ({"prompt": "x" * 400}, 100),
        ({"prompt": "x" * 401, "model": "a-long-name", "user": "somebody"}, 101),
        ({"prompt": "\u00e9" * 10}, 5),
        ({"prompt": ["x" * 8, "x" * 8]}, 4),
        ({"prompt": [1, 2, 3]}, 3),
        ({"prompt": [[1, 2, 3], [4]]}, 4),
        ({"input": "x" * 8}, 2),
        ({"input": ["x" * 8, [1, 2]]}, 4),
        ({"messages": [{"role": "user", "content": "x" * 36}]}, 10),
        ({"messages": [{"role": "user", "content": [TEXT, PICTURE]}]}, 10),
        ({"messages": [{"role": "user", "content": None}]}, 1),
        ({"messages": [], "tools": [{"type": "function", "function": {"name": "x" * 12}}]}, 5),
        ({}, 0),
    ],
)
def test_the_text_that_an_engine_reads_is_counted(request_body, tokens):
    assert estimate.usage(orjson.dumps(request_body))["prompt_tokens"] == tokens


def test_deep_nesting_does_no_harm():
    assert estimate.usage(b'{"prompt":' + b"[" * 1000 + b'"four"' + b"]" * 1000 + b"}")["prompt_tokens"] == 1


def test_the_events_are_the_answers_tokens():
    assert estimate.usage(b"{}", 7)["completion_tokens"] == 7
