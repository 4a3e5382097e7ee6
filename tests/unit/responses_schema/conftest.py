from copy import deepcopy
from typing import Any

import orjson
import pytest

RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "completed_at": 2,
    "status": "completed",
    "model": "double",
    "previous_response_id": None,
    "instructions": None,
    "output": [],
    "error": None,
    "incomplete_details": None,
    "tools": [{"type": "function", "name": "f", "description": None, "parameters": None, "strict": None}],
    "tool_choice": "auto",
    "truncation": "disabled",
    "parallel_tool_calls": True,
    "text": {"format": {"type": "text"}},
    "top_p": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "top_logprobs": 0,
    "temperature": 1.0,
    "reasoning": None,
    "usage": {
        "input_tokens": 1,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 1,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 2,
    },
    "max_output_tokens": None,
    "max_tool_calls": None,
    "store": True,
    "background": False,
    "service_tier": "default",
    "metadata": {},
    "safety_identifier": None,
    "prompt_cache_key": None,
}
PART: dict[str, Any] = {"type": "output_text", "text": "Hi you", "annotations": [], "logprobs": []}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "content": [PART],
    "status": "completed",
}


@pytest.fixture
def response() -> dict[str, Any]:
    """A response without a fault, to be spoilt."""
    return deepcopy({**RESPONSE, "output": [MESSAGE]})


@pytest.fixture
def events() -> list[dict[str, Any]]:
    """The same as the events of a stream, without their numbers."""
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    begun = {**RESPONSE, "status": "in_progress", "completed_at": None, "usage": None}
    done = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**MESSAGE, "content": [], "status": "in_progress"},
        },
        {"type": "response.content_part.added", **place, "part": {**PART, "text": ""}},
        {"type": "response.output_text.delta", **place, "delta": "Hi", "logprobs": []},
        {"type": "response.output_text.delta", **place, "delta": " you", "logprobs": []},
        {"type": "response.output_text.done", **place, "text": "Hi you", "logprobs": []},
        {"type": "response.content_part.done", **place, "part": PART},
        {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE},
        {"type": "response.completed", "response": {**RESPONSE, "output": [MESSAGE]}},
    ]
    copied: list[dict[str, Any]] = orjson.loads(orjson.dumps(done))  # so that no two events share what is spoilt
    return copied
