"""Names, purposes and ends of files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.files.terms import BATCH_SECONDS, checked, cleaned


@given(st.text())
def test_no_name_is_a_path_or_too_long(name):
    found = cleaned(name)
    assert found.strip(".")
    assert not set(found) & set("/\\\0\n\r")
    assert len(found.encode()) <= 255
    assert cleaned(found) == found


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a/b/c.txt", "c.txt"), ("..\\x", "x"), (".", "file"), ("a\nb", "ab"), ("x" * 300 + ".pdf", "x" * 251 + ".pdf")],
)
def test_names(name, expected):
    assert cleaned(name) == expected


def test_ends():
    assert checked("a", "user_data", None).expires(1000) is None
    assert checked("a", "user_data", {"anchor": "created_at", "seconds": "3600"}).expires(1000) == 3_601_000
    assert checked("a.jsonl", "batch", None).seconds == BATCH_SECONDS


@pytest.mark.parametrize(
    "expires_after",
    [
        1,
        {},
        {"anchor": "x", "seconds": 3600},
        *({"anchor": "created_at", "seconds": n} for n in (0, True, "x", "²", 1e4)),
    ],
)
def test_ends_that_cannot_be(expires_after):
    with pytest.raises(BadRequest):
        checked("a", "user_data", expires_after)
