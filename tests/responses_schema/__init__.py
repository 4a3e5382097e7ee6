"""What /v1/responses and /v1/conversations may answer: OpenAI's published types, and Open Responses (2026-04-24).

Every check is a function that takes a document and raises `AssertionError`, which names what is wrong.
"""

from tests.responses_schema.documents import check_error, check_item, check_response
from tests.responses_schema.lists import (
    check_compaction,
    check_conversation,
    check_conversation_deleted,
    check_conversation_items,
    check_input_items,
    check_response_deleted,
)
from tests.responses_schema.sse import Event, read_events
from tests.responses_schema.stream import STANDARD_REASONING, Stream, check_stream

__all__ = [
    "STANDARD_REASONING",
    "Event",
    "Stream",
    "check_compaction",
    "check_conversation",
    "check_conversation_deleted",
    "check_conversation_items",
    "check_error",
    "check_input_items",
    "check_item",
    "check_response",
    "check_response_deleted",
    "check_stream",
    "read_events",
]
