import orjson
import pytest
from tandem_orchestrator.errors import LimitExceeded, NotFound
from tandem_orchestrator.responses.events import DONE, Events
from tandem_orchestrator.responses.messages import MOST_WAITING, Waiting, envelope, frames, is_foreign, parent_of

PAGE = "https://page.example.com"


def test_each_event_is_a_frame_whatever_its_text():
    events = Events()
    texts = ["plain", "\n\ndata: [DONE]\n\n", "\r\n", "ü\u2028"]
    for text in texts:
        events.add("response.output_text.delta", {"delta": text})
    found = [orjson.loads(frame) for frame in frames(events.take() + DONE)]
    assert [event["delta"] for event in found] == texts
    assert [event["sequence_number"] for event in found] == [0, 1, 2, 3]
    assert list(frames(DONE)) == list(frames(b"")) == []


def test_what_waits_is_bounded_but_for_the_first():
    waiting = Waiting()
    assert waiting.add(b"x" * 100, 10)
    assert not waiting.add(None, 10)
    assert waiting.take() == b"x" * 100
    assert [waiting.add(b"x", 100) for _ in range(MOST_WAITING + 1)] == [True] * MOST_WAITING + [False]


def test_an_error_has_its_status_and_tells_when_to_come_again():
    limited = orjson.loads(envelope(LimitExceeded("later", retry_after=2.5), "r"))
    assert (limited["status"], limited["headers"], limited["request_id"]) == (429, {"retry-after": "3"}, "r")
    gone = orjson.loads(envelope(NotFound("gone", code="previous_response_not_found"), "r"))
    assert (gone["status"], "headers" in gone) == (400, False)


@pytest.mark.parametrize(
    ("origin", "allowed", "foreign"),
    [
        (None, [], False),
        ("https://api.example.com", [], False),
        ("http://API.example.com", [], False),
        ("https://api.example.com:8443", [], True),
        ("https://api.example.com.evil.org", [], True),
        ("https://evil.org/api.example.com", [], True),
        ("null", [], True),
        ("", [], True),
        (PAGE, [], True),
        (PAGE, [PAGE], False),
        (PAGE, ["*"], False),
        ("http://page.example.com", [PAGE], True),
    ],
)
def test_a_page_of_another_origin(origin, allowed, foreign):
    headers = [(b"host", b"api.example.com")]
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    assert is_foreign(headers, allowed) is foreign


def test_the_parent_of_a_message_that_was_not_checked():
    assert [parent_of({"previous_response_id": each}) for each in ("resp_1", None, 3)] == ["resp_1", None, None]
