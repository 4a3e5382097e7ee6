"""A response, its items, and an error."""

from typing import Any, Final

from openai.types.responses import Response, ResponseOutputItem

from tests.responses_schema import published

Document = dict[str, Any]

VALUES: Final = (
    "id",
    "object",
    "created_at",
    "status",
    "model",
    "output",
    "tools",
    "tool_choice",
    "truncation",
    "parallel_tool_calls",
    "text",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "top_logprobs",
    "temperature",
    "store",
    "background",
    "service_tier",
    "metadata",
)
"""What the standard wants of a response, and never null."""
NULLABLE: Final = (
    "completed_at",
    "incomplete_details",
    "previous_response_id",
    "instructions",
    "error",
    "reasoning",
    "usage",
    "max_output_tokens",
    "max_tool_calls",
    "safety_identifier",
    "prompt_cache_key",
)
FUNCTION: Final = ("name", "description", "parameters", "strict")
ITEMS: Final = {
    "message": ("status", "role", "content"),
    "function_call": ("call_id", "name", "arguments", "status"),
    "function_call_output": ("call_id", "output", "status"),
    "reasoning": ("summary",),
    "compaction": ("encrypted_content",),
}
"""What the standard wants of its own items, beside `type` and `id`."""
RUNNING: Final = ("queued", "in_progress")
ERROR: Final = {"message", "type", "param", "code"}


def check_response(document: Document) -> None:
    """Check a response, of any status."""
    missing = [name for name in (*VALUES, *NULLABLE) if name not in document]
    assert not missing, f"the standard demands {missing}: {document}"
    nulls = [name for name in VALUES if document[name] is None]
    assert not nulls, f"the standard has no null in {nulls}: {document}"
    _check_output(document)
    published.check(Response, _without_interruption(document))
    for tool in document["tools"]:
        assert tool["type"] != "function" or all(name in tool for name in FUNCTION), tool
    _check_status(document)


def check_item(item: Document) -> None:
    """Check an item of a response's output."""
    published.check_one_of(ResponseOutputItem, item)
    missing = [name for name in ("id", *ITEMS.get(item["type"], ())) if item.get(name) is None]
    assert not missing, f"the standard demands {missing}: {item}"


def check_usage(usage: Document) -> None:
    """Check what tokens are counted."""
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"], usage
    assert usage["input_tokens_details"]["cached_tokens"] <= usage["input_tokens"], usage
    assert usage["output_tokens_details"]["reasoning_tokens"] <= usage["output_tokens"], usage


def check_error(document: Document) -> None:
    """Check the answer to a request that was refused."""
    error = document["error"]
    assert set(error) == ERROR, document
    assert isinstance(error["message"], str) and error["message"], document  # noqa: PT018 # one thing
    assert isinstance(error["type"], str), document
    assert error["param"] is None or isinstance(error["param"], str), document


def _without_interruption(document: Document) -> Document:
    """The same with a published reason in the place of ours, which the standard allows: there it is any text."""
    if document.get("incomplete_details") == {"reason": "interrupted"}:
        return {**document, "incomplete_details": {"reason": "max_output_tokens"}}
    return document


def _check_status(document: Document) -> None:
    status = document["status"]
    assert (document["completed_at"] is not None) == (status == "completed"), document
    assert (document["error"] is not None) == (status == "failed"), document
    assert (document["incomplete_details"] is not None) == (status == "incomplete"), document
    if status == "incomplete":
        assert document["incomplete_details"]["reason"], document
    assert document["usage"] is not None or status in (*RUNNING, "cancelled"), document
    if document["usage"] is not None:
        check_usage(document["usage"])


def _check_output(document: Document) -> None:
    output = document["output"]
    for item in output:
        check_item(item)
    assert len({item["id"] for item in output}) == len(output), output
    cut = [n for n, item in enumerate(output) if item.get("status") == "incomplete"]
    if document["status"] == "completed":
        assert not cut, document
    if document["status"] not in RUNNING:
        assert all(item.get("status") != "in_progress" for item in output), document
        assert cut in ([], [len(output) - 1]), f"what is incomplete comes last: {document}"
