"""What an engine's answers mean to clients."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import orjson
import pytest
from tandem_orchestrator.engines.answers import check_first_events, refusal, whole_answer
from tandem_orchestrator.errors import Cut, EngineError, KeyUnusable, Malformed

HTML = b"<html><body>upstream http://10.0.0.7:8000 is gone</body></html>"


def told(status, raw=b"", headers=None):
    error = refusal(status, headers or {}, raw)
    body = orjson.loads(error.body())["error"]
    assert set(body) == {"message", "type", "param", "code"}
    return error, body


@pytest.mark.parametrize("raw", [b"", HTML, b'{"err', b"null", b"7", b"[]", b"[1]", b'{"error":null}', b'{"error":[]}'])
@pytest.mark.parametrize(
    ("status", "answered"),
    [
        *[(400, 400), (404, 404), (429, 429), (503, 503)],
        *[(status, 502) for status in (204, 206, 301, 307, 500, 502, 504, 529, 999)],
    ],
)
def test_the_engines_own_status_is_named(status, answered, raw):
    error, body = told(status, raw)
    assert error.status == answered
    assert body["message"] == f"the engine answered {status}"
    assert body["code"] == ("engine_failed" if answered == 502 else None)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"error": {"message": "no"}}, "no"),
        ({"error": "no"}, "no"),
        ({"message": "no"}, "no"),
        ({"detail": "no"}, "no"),
        ({"error": {"detail": "no"}}, "no"),
        ({"detail": [{"loc": ["body"], "msg": "no"}, {"msg": "never"}, 7, {"msg": None}]}, "no; never"),
        ("no", "no"),
        ({"error": {"message": "x" * 100_000}}, "x" * 4096),
        ({"error": {"message": {"a": 1}, "type": 7, "param": ["p"], "code": {}}}, "the engine answered 422"),
    ],
)
def test_errors_of_any_shape_become_openais(document, message):
    _, body = told(422, orjson.dumps(document))
    assert body == {"message": message, "type": "engine_error", "param": None, "code": None}


def test_the_engines_fields_are_kept():
    error = {"message": "no", "type": "BadRequestError", "param": "top_p", "code": 400}
    assert told(400, orjson.dumps({"error": error}))[1] == error
    assert told(400, orjson.dumps({"object": "error", **error}))[1] == error


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_not_the_clients(status):
    error, body = told(status, b'{"error":"Unauthorized: Bearer sk-1"}')
    assert isinstance(error, KeyUnusable)
    assert error.status == 502
    assert "sk-1" not in body["message"]


def in_an_hour():
    return format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True).encode()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"7", b"7"),
        (b"0", b"0"),
        (b" 7 ", b"7"),
        (b"0.2", b"1"),
        (b"99999999999", b"86400"),
        (b"9" * 5000, b"86400"),
        (b"inf", b"86400"),
        (b"nan", None),
        (b"-1", None),
        (b"soon", None),
        (b"", None),
        (b"\xff", None),
        (b"Wed, 21 Oct 2015 07:28:00 GMT", None),
        (b"Wed, 21 Oct 2015 07:28:00 -0000", None),
        (b"Wed, 21 Oct 9999 07:28:00 GMT", b"86400"),
    ],
)
@pytest.mark.parametrize("status", [429, 503, 413])
def test_when_to_come_back_is_handed_on_within_bounds(status, value, seconds):
    error, _ = told(status, headers={b"retry-after": value})
    assert error.headers == ([] if seconds is None else [(b"retry-after", seconds)])


def test_a_date_to_come_back_at_becomes_seconds():
    error, _ = told(429, headers={b"retry-after": in_an_hour()})
    assert 3590 <= int(error.headers[0][1]) <= 3600


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b'{"error":{"message":"no","code":400}}', 400, 400),
        (b'{"error":{"message":"no","code":500}}', 502, "engine_failed"),
        (b'{"object":"error","message":"no"}', 502, "engine_failed"),
        (b'{"error":null}', 502, "engine_malformed"),
        (b'{"choices":[]}', 502, "engine_malformed"),
        (b'{"choices":[null]}', 502, "engine_malformed"),
        (b'{"choices":null}', 502, "engine_malformed"),
        (b"[]", 502, "engine_malformed"),
        (b"", 502, "engine_malformed"),
        (b'{"choices":[{"finish_reason":"abort","message":"x"}]}', 502, "engine_cut"),
    ],
)
def test_a_200_that_is_no_answer(raw, status, code):
    with pytest.raises(EngineError) as caught:
        whole_answer(raw, "choices")
    assert (caught.value.status, caught.value.code) == (status, code)


@pytest.mark.parametrize(
    "first",
    [
        b'data: {"error": {"message": "no", "code": 400}}\n\ndata: [DONE]\n\n',
        b'data:{"error": {"message": "no", "code": 400}}\r\n\r\n',
        b'\xef\xbb\xbfevent: error\ndata: {"message": "no", "code": 400}\n\n',
    ],
)
def test_a_stream_that_begins_with_an_error_has_its_status(first):
    end = next(cut for cut in range(len(first)) if b"400}}" in first[:cut] or b"400}\n" in first[:cut])
    for cut in range(end):
        if b"\n\n" not in first[:cut]:
            assert not check_first_events(first[:cut], ended=False)
    with pytest.raises(EngineError) as caught:
        check_first_events(first, ended=False)
    assert (caught.value.status, caught.value.message) == (400, "no")
    with pytest.raises(EngineError, match="no"):
        check_first_events(first.rstrip(b"\r\n"), ended=True)


@pytest.mark.parametrize(("content", "fails"), [("", True), ("Hi", False)])
def test_what_was_said_before_an_error_is_not_said_twice(content, fails):
    first = b'data: {"choices":[{"delta":{"role":"assistant","content":"%b"}}]}\n\n' % content.encode()
    first += b'data: {"error":{"message":"no"}}\n\n'
    if fails:
        with pytest.raises(EngineError):
            check_first_events(first, ended=False)
    else:
        assert check_first_events(first, ended=False)


def test_a_stream_that_begins_aborted_or_empty_may_go_elsewhere():
    aborted = b'data:{"choices":[{"delta":{"content":""},"finish_reason":"abort"}]}\n\n'
    with pytest.raises(Cut):
        check_first_events(aborted, ended=False)
    with pytest.raises(Malformed, match="empty"):
        check_first_events(b"", ended=True)


@pytest.mark.parametrize(
    "first",
    [
        b": ping\n\n",
        b'data: {"choices":[]}\n\n',
        b"data: [DONE]\n\n",
        b'data: {"choices":["abort", {"finish_reason":"abort","text":"x"}]}\n\n',
        b'data: {"choices":[{"delta":{"content":"error"}}]}\n\n',
    ],
)
def test_other_streams_may_begin(first):
    assert check_first_events(first, ended=False)
