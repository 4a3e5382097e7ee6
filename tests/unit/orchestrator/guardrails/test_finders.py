import json
import unicodedata
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tandem_contract.config import Guardrail, PersonalDataKind, SecretKind
from tandem_orchestrator.guardrails.finders import finder
from tandem_orchestrator.guardrails.looked_at import LookedAt, plain, visible


def looking_for(**wanted):
    return _made(json.dumps(wanted))


@cache
def _made(wanted):
    return finder(Guardrail.model_validate({"name": "rail", **json.loads(wanted)}))


def built_in():
    return looking_for(secrets={}), looking_for(personalData={}), looking_for(injections={})


def found(text, **wanted):
    return [(text[span.start : span.end], str(span.kind)) for span in looking_for(**wanted).find(text)]


KEY = "AKIA" + "Q7ZJ2MTRXWVK5LNP"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"a {KEY} b", KEY),
        (f"\U0001d401\U0001d41e \ufb01 {KEY} …", KEY),
        ("é" * 50 + f" {KEY}", KEY),
        (f"x{KEY[:6]}", None),
        (KEY[:6] + "\u200b\u2060" + KEY[6:], KEY[:6] + "\u200b\u2060" + KEY[6:]),
        ("".join(chr(ord(each) + 0xFEE0) for each in KEY), "".join(chr(ord(each) + 0xFEE0) for each in KEY)),
        (f"\ud800 {KEY} \udfff", KEY),
        (f"\0 {KEY}", KEY),
    ],
)
def test_what_is_found_is_told_by_its_place_in_the_text_as_it_came(text, masked):
    assert found(text, secrets={}) == ([] if masked is None else [(masked, "aws_access_key")])


@settings(deadline=None)
@given(st.text(alphabet=st.characters() | st.sampled_from("Aeé\u0301\u200bﬁ…ＡＫＩ½\ud800가ᄀ\u1161")))
def test_each_character_that_is_looked_at_has_a_place(text):
    for fold in (visible, plain):
        looked = LookedAt(text, fold)
        ends = [len(looked.folded[:at].encode(errors="replace")) for at in range(len(looked.folded) + 1)]
        spans = looked.spans((start, end, "k") for start, end in pairwise(ends))
        assert all(0 <= span.start < span.end <= len(text) for span in spans)
        assert [span.start for span in spans] == sorted(span.start for span in spans)
    assert LookedAt(text).folded.isascii() or unicodedata.is_normalized("NFC", LookedAt(text).folded[:1])


@settings(deadline=None)
@given(st.text())
def test_any_text_can_be_looked_at(text):
    for looks in (*built_in(), looking_for(words=["ß"], patterns=[".x"])):
        spans = looks.find(text)
        assert all(0 <= span.start < span.end <= len(text) for span in spans)


def test_only_the_kinds_that_are_asked_for():
    text = f"{KEY} and password = hunter2!X, jane@example.com at 203.0.113.9"
    assert found(text, secrets={"kinds": ["password"]}) == [("hunter2!X", "password")]
    assert found(text, personalData={"kinds": ["ip_address"]}) == [("203.0.113.9", "ip_address")]


def test_an_unknown_kind_is_refused_with_those_that_there_are():
    for family, kinds in (("secrets", SecretKind), ("personalData", PersonalDataKind)):
        with pytest.raises(ValidationError) as refused:
            looking_for(**{family: {"kinds": ["api_kee"]}})
        assert all(kind in str(refused.value) for kind in kinds)


def test_what_is_found_twice_is_one_hit_over_both():
    token = "ghp_" + "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA1bC2"
    assert found(f"token = {token}/rest", secrets={}) == [(f"{token}/rest", "github_token")]


def test_words_are_whole_and_in_any_case():
    words = ["bomb", "C++", "secret  plan", "Übung", "炸弹"]
    for text, hit in {
        "A BOMB, two": "BOMB",
        "I like c++!": "c++",
        "the secret\n plan": "secret\n plan",
        "eine übung": "übung",
        "U\u0308bung": "U\u0308bung",
        "我有炸弹吗": "炸弹",
        "bo\u00admb": "bo\u00admb",
    }.items():
        assert found(text, words=words) == [(hit, "word")]
    for text in ("bombs", "a bomb_", "Ausübung", "übungen", "secretplan"):
        assert found(text, words=words) == []
    assert [hit for hit, _ in found("bomb bomb bomb", words=["bomb"])] == ["bomb"] * 3


def test_patterns_see_the_text_as_it_is_and_as_it_is_read():
    patterns = ["(foo|ba)r+", "[\\x{200b}]", "ab"]
    assert found("xfoorr", patterns=patterns) == [("foorr", "pattern")]
    assert found("a\u200bb", patterns=patterns) == [("a\u200bb", "pattern")]
    assert found("x\u200by", patterns=patterns) == [("\u200b", "pattern")]
    assert found("x*", patterns=["x*"]) == [("x", "pattern")]


@pytest.mark.parametrize("pattern", ["(?=a)", "(", "a{1001}", "\\1", "[z-a]", "((a{100}){100}){100}"])
def test_a_pattern_that_cannot_be_used_is_refused(pattern):
    with pytest.raises(ValidationError, match="is no regular expression in RE2's syntax"):
        looking_for(patterns=[pattern])


def test_a_topic_is_told_by_different_words():
    topics = [{"name": "gambling", "words": ["casino", "roulette", "poker"], "minMatches": 2}]
    assert found("Casino CASINO casino", topics=topics) == []
    assert found("a casino with poker", topics=topics) == [("casino", "gambling"), ("poker", "gambling")]


def test_a_text_that_is_too_long():
    assert found("12345", maxCharacters=5) == []
    assert found("123456", maxCharacters=5) == [("6", "length")]


def test_judges_are_no_finders():
    assert looking_for(model={"name": "guard"}) is None


def test_who_reads_pieces_is_told_how_much_is_needed():
    assert looking_for(words=["abc", "a phrase of some length"]).longest == 19 + 4 * 8 + 2
    assert looking_for(patterns=["abc"]).longest is None
    assert looking_for(maxCharacters=5).longest == 1
    assert looking_for(topics=[{"name": "t", "words": ["abc"]}]).longest == 5
    assert looking_for(topics=[{"name": "t", "words": ["abc"], "minMatches": 2}]).longest == 5
    assert all(looks.longest <= 512 for looks in built_in())


def test_a_long_secret_is_known_by_its_beginning():
    token = "eyJhbGciOiJIUzI1NiJ9.eyJ" + "b2" * 2000
    for text in (token, token[:64]):
        assert found(text, secrets={}) == [(text, "jwt")]
    key = "-----BEGIN RSA PRIVATE KEY-----\n" + ("q7Zk" * 16 + "\n") * 50
    for text in (key, key[:80]):
        assert found(text, secrets={}) == [(text, "private_key")]
