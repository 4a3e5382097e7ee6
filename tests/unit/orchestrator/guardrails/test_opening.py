"""A finder tells at which place a text can be parted, whatever follows: else a stream would say a part of a hit."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tandem_contract.config import Guardrail, Topic
from tandem_contract.text_pattern import TextPattern
from tandem_orchestrator.guardrails import injections, personal_data, secrets
from tandem_orchestrator.guardrails.beginnings import beginnings
from tandem_orchestrator.guardrails.finders import finder
from tandem_orchestrator.guardrails.found import Telling
from tandem_orchestrator.guardrails.looked_at import plain, unfinished, visible
from tandem_orchestrator.guardrails.opening import parted
from tandem_orchestrator.guardrails.scan import INNOCENT, RuleFinder, always
from tandem_orchestrator.guardrails.words import TopicFinder, WordFinder

from tests.corpus import guardrails as corpus

MOST_IN_PROSE = 64  # characters: what is open where nothing is found
RULES = [
    *(("secrets", rule) for rule in (*secrets.KNOWN, *secrets.ASSIGNED)),
    *(("personal_data", rule) for rule in personal_data.RULES),
    *(("injections", rule) for rule in injections.rules()),
]
AROUND = st.text(alphabet="aZ7 .,:@+-/\n=é\u0301\u200b<", max_size=4)


def python(pattern: str) -> re.Pattern[str]:
    """The same in the syntax of Python's re; letters and digits are ASCII's in both."""
    codes = re.sub(r"\\x\{(\w+)\}", lambda code: re.escape(chr(int(code[1], 16))), pattern)
    return re.compile(("(?i)" if codes.startswith("(?i)") else "") + codes.removeprefix("(?i)"), re.ASCII)


def holds_at_every_cut(looks: Telling, text: str) -> None:
    hits = looks.find(text)
    for cut in range(len(text) + 1):
        opened = looks.open(text[:cut])
        assert 0 <= opened <= cut
        known = [hit for hit in hits if hit.start < opened]
        assert [hit for hit in looks.find(text[:cut]) if hit.start < opened] == known, text[:cut]
        assert all(hit.end <= opened for hit in known), text[:cut]
        assert [*known, *looks.find(text, opened)] == hits, text[:cut]


@pytest.mark.parametrize(("family", "rule"), RULES, ids=[f"{family}-{n}" for n, (family, _) in enumerate(RULES)])
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_what_a_rule_finds_is_open_until_it_is_whole(family, rule, data):
    wanted = rule._replace(kind="hit" if rule.kind == INNOCENT else rule.kind, holds=always)
    looks = RuleFinder([[wanted]], 512, plain if family == "injections" else visible)
    form = st.from_regex(python(rule.pattern), fullmatch=True)
    holds_at_every_cut(looks, data.draw(AROUND) + data.draw(form)[:160] + data.draw(AROUND))


@pytest.mark.parametrize("family", corpus.FAMILIES)
def test_the_corpus_at_every_cut(family):
    looks = finder(Guardrail.model_validate({"name": "all", family: {}}))
    assert isinstance(looks, Telling)
    for sample in corpus.samples(family)[::6]:
        holds_at_every_cut(looks, f"Zuvor:  {sample.text[:200]} und so…")


PIECES = ["bomb", "a  plan", "b", "omb ", "Übu", "U\u0308bung", "ng", " ", "foo", "12", "-", "\u200b", "é", "."]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_words_and_patterns_at_every_cut(text):
    holds_at_every_cut(WordFinder(["bomb", "a plan", "Übung", "+b"], []), text)
    holds_at_every_cut(WordFinder(["bomb", "omb b"], [r"fo+\d{2,3}", r"(?i)\bB\b", "[\\x{200b}]b"]), text)
    topics = TopicFinder([Topic.model_validate({"name": "t", "words": ["bomb", "a plan"]})])
    assert all(
        hit.start >= topics.open(text[:cut]) or hit in topics.find(text[:cut])
        for cut in range(len(text) + 1)
        for hit in topics.find(text)
    )


def test_little_of_prose_is_open():
    """Sentences in which nothing is found."""
    for family in corpus.FAMILIES:
        looks = finder(Guardrail.model_validate({"name": "all", family: {}}))
        assert isinstance(looks, Telling)
        text = "The lamp was lit, and nobody said more about the weather than was needed. " * 4
        assert max(cut - looks.open(text[:cut]) for cut in range(1, len(text))) <= MOST_IN_PROSE


@pytest.mark.parametrize(
    "pattern", [r"\Qa.b\E", "(" * 500 + "a" + ")" * 500, "(?i)" * 500 + "a", "(?:" * 90 + "a" + "b?)*" * 90]
)
def test_what_cannot_be_told_is_open(pattern):
    looks = WordFinder([], [pattern])
    assert looks.open("a text", 2) == 2


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"ab{2}(c|\b)", "abbc"),
        (r"(?i)x(?:yz)*?[^\]a#]{2,}$", "XyzYZ__b"),
        (r"(?P<name>\x{1F600}|\pL\d{1,3}?)+\.", "q12😀."),
        (r"a(?i:b|cd){2}|\[[[:alpha:]]]", "abCD"),
        (r"a(?i)b|cd", "aB"),
        (r"[]a]{3}?", "]a]"),
        (r"a{,2}\*(?:b{0}c)?(?:de){0}", "a{,2}*c"),
        (r"(ab){3}", "ababab"),
    ],
)
def test_beginnings(pattern, text):
    begun, whole = TextPattern(rf"\A(?:{beginnings(pattern)})\z"), TextPattern(rf"\A(?:{pattern})\z")
    assert whole.matches(text)
    assert all(begun.matches(text[:end]) for end in range(len(text) + 1))
    assert not begun.matches(text + "#~")


@pytest.mark.parametrize("pattern", ["(", "a)", "*a", r"\Qa\E", r"\1", "[a", r"\C", "(?#a)"])
def test_patterns_whose_beginnings_are_not_known(pattern):
    with pytest.raises(ValueError, match=r"."):
        beginnings(pattern)


def test_a_text_is_parted_where_nothing_is_across():
    assert parted([], 5) == 5
    assert parted([(1, 5), (5, 7)], 5) == 5
    assert parted([(4, 6), (2, 5), (0, 2)], 5) == 2
    assert parted([(0, 9), (1, 2)], 5) == 0


def test_what_follows_may_change_the_last_character():
    assert unfinished("abc") == 2
    assert unfinished("abe\u0301\u200b") == 2
    assert unfinished("a가\u11a8") == 1
    assert unfinished("\u0301") == unfinished("") == 0
