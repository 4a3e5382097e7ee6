import pytest
from hypothesis import given
from hypothesis import strategies as st
from tandem_orchestrator.retrieval.index.terms import LONGEST, LOOKED_FOR, telling, tells, terms, tsvector


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("The quick_brown FOX, v1.2!", ["the", "quick", "brown", "fox", "v1", "2"]),
        ("Café STRAẞE ﬁne", ["cafe", "strasse", "fine"]),
        ("東京都 に", ["東京", "京都", "に"]),
        ("GPU東京abc", ["gpu", "東京", "abc"]),
        ("한국어 문서", ["한국어", "문서"]),
        ("' | & ! <-> \" * ^ : ( )", []),
        ("a" * 100, ["a" * LONGEST]),
    ],
)
def test_terms(text, expected):
    assert terms(text) == expected


@given(st.text())
def test_terms_hold_nothing_that_a_database_reads(text):
    assert all(term.isalnum() or not (term.isascii() or any(map(str.isspace, term))) for term in terms(text))


def test_tsvector_has_positions():
    assert tsvector(["a", "b", "a"]) == "'a':1,3 'b':2"


def test_tsvector_stays_within_what_postgresql_takes():
    many = tsvector(["a"] * 300 + ["b"] * 20_000 + ["c"])
    a, b, c = many.split(" ")
    assert a.count(",") == b.count(",") == 254
    assert c == "'c'"


def test_common_words_are_left_out_unless_nothing_else_is_left():
    shares = {"the": 0.9, "device": 0.3, "reset": 0.015}
    assert telling(["the", "device", "reset", "xylophone"], shares, 0.02) == ["xylophone", "reset"]
    assert telling(["the", "device"], shares, 0.02) == ["device"]
    assert telling([], shares, 0.02) == []


def test_not_too_many_words_are_looked_for():
    assert len(telling([f"w{n}" for n in range(1000)], {}, 1.0)) == LOOKED_FOR


def test_a_rarer_word_tells_more():
    shares = {"the": 1.0, "device": 0.1}
    assert 0 < tells("the", shares) < tells("device", shares) < tells("xylophone", shares)
