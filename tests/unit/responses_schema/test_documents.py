"""What the checks of documents find."""

import pytest

from tests.responses_schema import (
    check_compaction,
    check_conversation,
    check_conversation_items,
    check_error,
    check_response,
    check_response_deleted,
)
from tests.responses_schema.documents import NULLABLE, VALUES


def test_a_response_without_fault(response):
    check_response(response)


def test_the_standard_demands_31_fields():
    assert len({*VALUES, *NULLABLE}) == 31


@pytest.mark.parametrize("name", [*VALUES, *NULLABLE])
def test_a_field_is_missing(response, name):
    del response[name]
    with pytest.raises(AssertionError, match=f"demands.*{name}"):
        check_response(response)


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_null(response, name):
    response[name] = None
    with pytest.raises(AssertionError, match=f"no null in.*{name}"):
        check_response(response)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"surprise": 1}, "has no surprise"),
        ({"temperature": "1"}, "temperature"),
        ({"status": "failed"}, "resp_1"),
        ({"status": "failed", "completed_at": None, "error": {"code": "oops", "message": "m"}}, "error.code"),
        ({"status": "incomplete", "completed_at": None}, "resp_1"),
        ({"completed_at": None}, "resp_1"),
        ({"usage": None}, "resp_1"),
        ({"tools": [{"type": "function", "name": "f", "parameters": None, "strict": None}]}, "'name': 'f'"),
        ({"output": [{"type": "unheard_of", "id": "x"}]}, "no known type"),
    ],
)
def test_a_response_with_a_fault(response, change, complaint):
    with pytest.raises(AssertionError, match=complaint):
        check_response({**response, **change})


@pytest.mark.parametrize("path", ["input_tokens_details", "output_tokens_details"])
def test_usage_without_details(response, path):
    del response["usage"][path]
    with pytest.raises(AssertionError, match=path):
        check_response(response)


def test_usage_that_does_not_add_up(response):
    response["usage"]["total_tokens"] = 3
    with pytest.raises(AssertionError, match="total_tokens"):
        check_response(response)


@pytest.mark.parametrize("name", ["id", "status", "role", "content"])
def test_an_item_lacks_what_the_standard_demands(response, name):
    del response["output"][0][name]
    with pytest.raises(AssertionError, match=name):
        check_response(response)


def test_a_text_without_annotations(response):
    del response["output"][0]["content"][0]["annotations"]
    with pytest.raises(AssertionError, match="annotations"):
        check_response(response)


def test_what_is_incomplete_is_not_last(response):
    (message,) = response["output"]
    output = [{**message, "status": "incomplete"}, {**message, "id": "msg_2"}]
    ended = {"status": "incomplete", "completed_at": None, "incomplete_details": {"reason": "max_output_tokens"}}
    with pytest.raises(AssertionError, match="comes last"):
        check_response({**response, **ended, "output": output})
    check_response({**response, **ended, "output": output[::-1]})


def test_two_items_with_one_id(response):
    response["output"] *= 2
    with pytest.raises(AssertionError, match="msg_1"):
        check_response(response)


def test_an_error():
    error = {"message": "m", "type": "t", "param": None, "code": None}
    check_error({"error": error})
    for change in ({"message": ""}, {"param": 5}, {"more": 1}):
        with pytest.raises(AssertionError):
            check_error({"error": {**error, **change}})


def test_a_page(response):
    items = response["output"]
    page = {"object": "list", "data": items, "first_id": "msg_1", "last_id": "msg_1", "has_more": False}
    check_conversation_items(page)
    check_conversation_items({**page, "data": [], "first_id": None, "last_id": None})
    for change in ({"last_id": "x"}, {"has_more": None}, {"data": items * 2}, {"data": [{**items[0], "status": None}]}):
        with pytest.raises(AssertionError):
            check_conversation_items({**page, **change})


def test_a_conversation():
    conversation = {"id": "conv_1", "object": "conversation", "created_at": 1, "metadata": {"a": "b"}}
    check_conversation(conversation)
    for change in ({"object": "talk"}, {"metadata": {"a": 1}}, {"created_at": "now"}):
        with pytest.raises(AssertionError):
            check_conversation({**conversation, **change})


def test_a_deletion():
    check_response_deleted({"id": "resp_1", "object": "response", "deleted": True})
    with pytest.raises(AssertionError):
        check_response_deleted({"id": "resp_1", "object": "response", "deleted": False})


def test_a_compaction(response):
    kept = {"id": "cmp_1", "type": "compaction", "encrypted_content": "x"}
    compaction = {
        "id": "resp_2",
        "object": "response.compaction",
        "created_at": 1,
        "output": [*response["output"], kept],
        "usage": response["usage"],
    }
    check_compaction(compaction)
    for output in ([kept, *response["output"]], [{**kept, "encrypted_content": None}]):
        with pytest.raises(AssertionError):
            check_compaction({**compaction, "output": output})
