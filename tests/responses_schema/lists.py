"""Lists of items, conversations, compactions, and what is told of a deletion."""

from collections.abc import Callable
from typing import Any

from openai.types.conversations import Conversation, ConversationDeletedResource, ConversationItem
from openai.types.responses import CompactedResponse, ResponseItem

from tests.responses_schema import published
from tests.responses_schema.documents import Document, check_item, check_usage


def check_input_items(document: Document) -> None:
    """Check a page of what a response was given."""
    _check_page(document, check_input_item)


def check_conversation_items(document: Document) -> None:
    """Check a page of a conversation."""
    _check_page(document, check_conversation_item)


def check_input_item(item: Document) -> None:
    """Check an item that a response was given."""
    published.check_one_of(ResponseItem, item)


def check_conversation_item(item: Document) -> None:
    """Check an item of a conversation."""
    published.check_one_of(ConversationItem, item)


def check_conversation(document: Document) -> None:
    """Check a conversation."""
    published.check(Conversation, document)
    assert all(isinstance(text, str) for pair in document["metadata"].items() for text in pair), document


def check_conversation_deleted(document: Document) -> None:
    """Check what is told of a conversation's deletion."""
    published.check(ConversationDeletedResource, document)
    assert document["deleted"] is True, document


def check_response_deleted(document: Document) -> None:
    """Check what is told of a response's deletion, for which OpenAI publishes no type."""
    assert document == {"id": document.get("id"), "object": "response", "deleted": True}, document


def check_compaction(document: Document) -> None:
    """Check a `response.compaction`: what is kept as it was, and one item with the rest at its end."""
    published.check(CompactedResponse, document)
    for item in document["output"]:
        check_item(item)
    assert [item["type"] for item in document["output"]].index("compaction") == len(document["output"]) - 1, document
    check_usage(document["usage"])


def _check_page(document: Document, check: Callable[[Any], None]) -> None:
    assert set(document) == {"object", "data", "first_id", "last_id", "has_more"}, document
    assert document["object"] == "list", document
    assert isinstance(document["has_more"], bool), document
    for item in document["data"]:
        check(item)
    ids = [item["id"] for item in document["data"]]
    assert len(set(ids)) == len(ids), document
    assert [document["first_id"], document["last_id"]] == ([ids[0], ids[-1]] if ids else [None, None]), document
