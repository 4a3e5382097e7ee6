"""What refusals mean; tests/sockets/model_store has those that people meet most."""

import pytest
from tandem_operator.api.source import HuggingFace
from tandem_operator.model_store import refusal
from tandem_operator.model_store.errors import PassingError, PermanentError

SOURCE = HuggingFace("org/name", None)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "60"}, 60),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"Retry-After": "-1"}, None),
        ({"RateLimit": '"api";r=0;t=55'}, 55),
        ({"RateLimit": '"api";r=12;t=55'}, None),
        ({"RateLimit": '"api";r=0;t=55', "Retry-After": "1"}, 55),
        ({}, None),
    ],
)
def test_what_the_hub_asks_to_wait_is_understood(headers, seconds) -> None:
    error = refusal.of(SOURCE, 429, headers, has_token=False)
    assert isinstance(error, PassingError)
    assert error.after == seconds


@pytest.mark.parametrize("status", [408, 416, 425, 429, 500, 502, 503, 504])
def test_some_statuses_pass(status) -> None:
    assert isinstance(refusal.of(SOURCE, status, {}, has_token=True), PassingError)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 451])
def test_others_do_not(status) -> None:
    assert isinstance(refusal.of(SOURCE, status, {}, has_token=True), PermanentError)


def test_foreign_words_are_masked() -> None:
    said = refusal.of(SOURCE, 451, {"X-Error-Message": "not for hf_0123456789abcdef"}, has_token=True)
    assert str(said) == "the hub answered 451 for org/name: not for ***"


def test_errors_are_shown_without_what_signs_a_url() -> None:
    error = OSError("GET https://cdn.example/a/b?Expires=1&Signature=abc&Key-Pair-Id=K, 'http://x.example/?q=1' failed")
    assert refusal.shown(error) == "OSError: GET https://cdn.example/a/b?… 'http://x.example/?…' failed"
