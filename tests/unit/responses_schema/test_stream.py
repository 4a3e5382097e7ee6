"""What the check of a stream finds."""

from typing import Any

import pytest

from tests.responses_schema import Event, check_stream
from tests.responses_schema.stream import Stream

DELTA, ADDED, PART, END = 4, 2, 3, -1
FAILURE = {"type": "error", "code": "c", "message": "m", "param": None}


def check(events: list[dict[str, Any]], start: int = 0, *, standard: bool = False) -> Stream:
    """Checks events that are numbered in their order."""
    numbered = [{"sequence_number": start + n, **event} for n, event in enumerate(events)]
    return check_stream((Event(event["type"], event) for event in numbered), start=start, standard=standard)


def test_a_stream_without_fault(events):
    stream = check(events)
    assert (stream.text(), stream.response["status"]) == ("Hi you", "completed")


def test_the_name_is_not_the_type(events):
    with pytest.raises(AssertionError, match="is the event's name"):
        check_stream([Event("response.updated", {**events[0], "sequence_number": 0})])


@pytest.mark.parametrize("number", [0, 3, 5])
def test_a_gap_in_the_numbers(events, number):
    events[DELTA]["sequence_number"] = number
    with pytest.raises(AssertionError, match=f"{number} in the place of 4"):
        check(events)


def test_a_stream_that_is_taken_up_again(events):
    assert check(events[DELTA + 1 :], DELTA + 1).text() == " you"
    with pytest.raises(AssertionError, match="in the place of"):
        check_stream([Event(events[END]["type"], {**events[END], "sequence_number": 9})], start=8)


@pytest.mark.parametrize("name", ["item_id", "output_index", "content_index", "delta", "logprobs"])
def test_a_delta_lacks_a_field(events, name):
    del events[DELTA][name]
    with pytest.raises(AssertionError, match=name):
        check(events)


@pytest.mark.parametrize(
    ("place", "change", "complaint"),
    [
        (DELTA, {"delta": "Ho"}, "Hi you"),
        (DELTA, {"item_id": "msg_2"}, "msg_2"),
        (DELTA, {"output_index": 1}, "no such item is open"),
        (DELTA, {"content_index": 1}, "no such part is open"),
        (ADDED, {"output_index": 1}, "not the next place"),
        (PART, {"content_index": 1}, "content_index"),
        (6, {"text": "Hi"}, "other than Hi you"),
        (0, {"type": "response.started"}, "no known type"),
    ],
)
def test_an_event_with_a_fault(events, place, change, complaint):
    events[place].update(change)
    with pytest.raises(AssertionError, match=complaint):
        check(events)


@pytest.mark.parametrize(
    ("place", "complaint"),
    [
        (0, "response.in_progress"),
        (ADDED, "no such item is open"),
        (8, "never done"),
        (END, "response.output_item.done"),
    ],
)
def test_an_event_is_missing(events, place, complaint):
    del events[place]
    with pytest.raises(AssertionError, match=complaint):
        check(events)


def test_the_end_has_another_output(events):
    events[END]["response"]["output"][0]["content"][0]["text"] = "Hi"
    with pytest.raises(AssertionError, match="done were"):
        check(events)


def test_an_item_is_done_with_another_text(events):
    events[8]["item"]["content"][0]["text"] = "Hi"
    with pytest.raises(AssertionError, match="parts were"):
        check(events)


def test_nothing_comes_after_the_end(events):
    with pytest.raises(AssertionError, match="after the end"):
        check([*events, events[DELTA]])


def test_an_error_is_followed_by_the_failure(events):
    with pytest.raises(AssertionError, match="follows on an error"):
        check([*events[:-1], FAILURE, events[END]])
    failed = {"status": "failed", "completed_at": None, "error": {"code": "server_error", "message": "m"}}
    end = {"type": "response.failed", "response": {**events[END]["response"], **failed}}
    assert check([*events[:-1], FAILURE, end]).names[-2:] == ["error", "response.failed"]


def test_the_standards_names_are_for_who_asks_for_them(events):
    place = {"item_id": "rs_1", "output_index": 0, "content_index": 0}
    delta = {**place, "delta": "Hm."}
    for name, standard in (("reasoning", False), ("reasoning_text", True)):
        with pytest.raises(AssertionError, match=f"response.{name}.delta is not"):
            check([*events[:2], {"type": f"response.{name}.delta", **delta}], standard=standard)
