"""A text in pieces is judged as the whole text is, wherever it is cut."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tandem_contract.config import GuardedText, Guardrail, GuardrailAction, Topic
from tandem_orchestrator.guardrails.finders import finder
from tandem_orchestrator.guardrails.found import Finder, Span
from tandem_orchestrator.guardrails.looked_at import INVISIBLE
from tandem_orchestrator.guardrails.rail import Rail
from tandem_orchestrator.guardrails.reader import MOST_KEPT
from tandem_orchestrator.guardrails.secrets import SecretFinder
from tandem_orchestrator.guardrails.window import Window
from tandem_orchestrator.guardrails.words import LengthFinder, TopicFinder

from tests.corpus import guardrails as corpus

OUTPUT = frozenset({GuardedText.OUTPUT})
TEXTS = [
    "the key is AKIAXYZ0123, and the mail ada@example.org",
    "AKIAXYZ0123",
    "AKIAXYZ0123AKIAXYZ0123 ada@example.orgAKIA",
    "nothing but words, and secretary, a secret",
    "ada@example.org" * 3 + " ünï😀cöde AKIAXYZ9999😀 secret",
    "",
]


class Pattern:
    """Finds by a pattern, and counts the characters that it is shown."""

    def __init__(self, kind: str, pattern: str, longest: int | None) -> None:
        self.kind = kind
        self.pattern = re.compile(pattern)
        self.longest = longest
        self.shown = 0

    def find(self, text: str) -> Sequence[Span]:
        self.shown += len(text)
        return [Span(*match.span(), self.kind) for match in self.pattern.finditer(text)]


def key() -> Pattern:
    return Pattern("key", r"AKIA[A-Z]{3}[0-9]{4}", 11)


def mail() -> Pattern:
    return Pattern("mail", r"\b[a-z]{1,8}@[a-z]{1,9}\.(org|com)\b", 22)


def word() -> Pattern:
    return Pattern("word", r"\bsecret\b", 6)


def rail(finder: Finder | None, action: str = "mask", window: int = 32, judge: object = None) -> Rail:
    return Rail("r", OUTPUT, GuardrailAction(action), window, open=False, finder=finder, judge=judge)  # type: ignore[arg-type]


def streamed(pieces: Sequence[str], rails: Sequence[Rail]) -> tuple[str, set[str], int]:
    """What is seen of a text, the kinds that were found, and how many characters waited at most."""
    kinds: set[str] = set()
    window = Window(rails, lambda _, kind: kinds.add(kind))
    out, waiting, at, most = [], list(pieces), 0, 0
    sent = 0
    for number, piece in enumerate(pieces):
        window.take(piece)
        if number == len(pieces) - 1:
            window.settle()
        while sent <= number and at + len(waiting[sent]) <= window.clear and window.cut is None:
            text = waiting[sent]
            shown = window.shown(at, text)
            out.append(text if shown is None else shown)
            at, sent = at + len(text), sent + 1
        most = max(most, window.length - at)
    if window.cut is not None:
        rest = "".join(waiting[sent:])[: window.cut - at]
        shown = window.shown(at, rest)
        out.append(rest if shown is None else shown)
    return "".join(out), kinds, most


def whole(text: str, finders: Sequence[Finder]) -> str:
    """What the same finders make of the text in one piece."""
    spans = sorted(span for finder in finders for span in finder.find(text))
    pieces, end = [], 0
    for span in spans:
        if span.start >= end:
            pieces += [text[end : span.start], f"[{span.kind.upper()}]"]
        end = max(end, span.end)
    return "".join([*pieces, text[end:]])


@pytest.mark.parametrize("text", TEXTS)
def test_cut_at_every_place(text):
    wanted = whole(text, (key(), mail(), word()))
    for at in range(len(text) + 1):
        assert streamed([text[:at], text[at:]], [rail(key()), rail(mail()), rail(word())])[0] == wanted
    assert streamed(list(text) or [""], [rail(key()), rail(mail()), rail(word())])[0] == wanted


WORDS = st.sampled_from([*TEXTS, " ", "a", "AKIA", "0123", "@", ".org", "secret", "sec", "ret", "\n", "😀", "ada"])


@st.composite
def pieces(draw: st.DrawFn) -> list[str]:
    text = "".join(draw(st.lists(st.one_of(WORDS, st.text(max_size=20)), max_size=20)))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=30)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@given(pieces(), st.integers(16, 64))
@example(["AKIAXYZ", "0123"], 16)
@settings(max_examples=150, deadline=None)
def test_any_text_in_any_pieces(pieces, size):
    text = "".join(pieces)
    rails = [rail(key(), window=size), rail(mail(), window=size), rail(word(), window=size)]
    seen, kinds, most = streamed(pieces, rails)
    assert seen == whole(text, (key(), mail(), word()))
    assert kinds == {span.kind for finder in (key(), mail(), word()) for span in finder.find(text)}
    unseen = sum(map(len, INVISIBLE.findall(text)))
    assert most <= max(size, 23 + 16) + max(map(len, pieces), default=0) + unseen


@given(pieces())
@settings(max_examples=80, deadline=None)
def test_what_blocks_ends_the_text_where_it_begins(pieces):
    text = "".join(pieces)
    first = min((span.start for finder in (key(), word()) for span in finder.find(text)), default=len(text))
    assert streamed(pieces, [rail(key(), "block"), rail(word(), "block")])[0] == text[:first]


def test_what_is_only_told_waits_for_nothing():
    text = "a secret " * 40
    seen, kinds, most = streamed(list(text), [rail(word(), "flag")])
    assert (seen, kinds, most) == (text, {"word"}, 0)


def test_each_character_is_looked_at_a_few_times():
    for window in (16, 128, 4096):
        finder = word()
        streamed(list("all quiet here " * 2000), [rail(finder, window=window)])
        assert finder.shown < 30_000 * 5


def test_a_hit_without_end_is_hidden_in_bounded_work():
    finder = Pattern("run", "x+", 8)
    text = "a" * 50 + "x" * (2 * MOST_KEPT) + "b" * 50
    seen, _, _ = streamed([text[at : at + 3] for at in range(0, len(text), 3)], [rail(finder)])
    assert seen == "a" * 50 + "[RUN]" + "b" * 50
    assert finder.shown < 8 * len(text)


def test_of_a_finder_that_does_not_know_its_longest_hit_the_window_bounds_it():
    finder = Pattern("pair", "<[^>]*>", None)
    text = "see <" + "z" * 18 + "> there, and more words behind it"
    assert streamed(list(text), [rail(finder, window=32)])[0] == whole(text, [finder])


@pytest.mark.parametrize("hidden", ["\u200b", "\u200b\U000e0041" * 60])
def test_what_nobody_sees_makes_a_hit_no_longer(hidden):
    key = "ghp" + "_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    text = f"see {hidden.join(key)} there" + " and so on" * 60
    finder = SecretFinder([])
    assert len(finder.find(text)) == 1
    assert streamed(list(text), [rail(finder)])[0] == whole(text, [finder])


def test_what_nobody_sees_does_not_wait_for_ever():
    text = "a" * 50 + "\u200b" * (2 * MOST_KEPT) + "b"
    _, _, most = streamed([text[at : at + 500] for at in range(0, len(text), 500)], [rail(word())])
    assert most < MOST_KEPT * 2


@pytest.mark.parametrize("most", [0, 1, 40, 300])
def test_the_length_of_a_text_in_pieces(most):
    text = "word " * 60
    assert streamed(list(text), [rail(LengthFinder(most), "block")])[0] == text[:most]
    masked = text[:most] + ("[LENGTH]" if len(text) > most else "")
    assert streamed(list(text), [rail(LengthFinder(most))])[0] == masked


def test_a_topic_is_known_by_words_far_apart():
    topic = Topic.model_validate({"name": "war", "words": ["tank", "army", "treaty"], "minMatches": 2})
    text = "a tank, a tanker " + "and so on " * 60 + "an army " + "and so on " * 60 + "treaty"
    seen, kinds, _ = streamed(list(text), [rail(TopicFinder([topic]), "block")])
    assert (seen, kinds) == (text[: text.index("army")], {"war"})
    assert streamed(list(text[:600]), [rail(TopicFinder([topic]), "block")])[1] == set()


@pytest.mark.parametrize("step", [1, 3, 16])
def test_a_part_of_a_word_is_none_of_a_topic(step):
    topic = Topic.model_validate({"name": "war", "words": ["a tank", "mer", "ker", "er", "r"], "minMatches": 2})
    text = "alarm, farmer and a tanker; " * 30 + "a tank"
    pieces = [text[at : at + step] for at in range(0, len(text), step)]
    assert streamed(pieces, [rail(TopicFinder([topic]), "block")])[:2] == (text, set())


def test_what_had_to_go_on_is_remembered():
    window = Window([rail(key(), "block")], lambda *_: None)
    window.take("the AKIA")
    window.settle()
    assert (window.clear, window.cut) == (8, None)
    window.take("XYZ0123")
    window.settle()
    assert window.cut == 8


def test_judges_are_asked_once_a_window_with_what_came_before():
    window = Window([rail(None, "block", 16, judge=object())], lambda *_: None)
    asked, clear = [], []
    for letter in "abcdefghij" * 5:
        window.take(letter)
        if (text := window.due()) is not None:
            asked.append(text)
            window.judged(blocks=False)
        clear.append(window.length - window.clear)
    assert (window.clear, window.due()) == (48, None)
    window.settle()
    assert window.clear == 48
    asked.append(window.due() or "")
    text = "abcdefghij" * 5
    assert asked == [text[:16], text[:32], text[16:48], text[32:]]
    window.judged(blocks=True)
    assert window.cut == 48
    assert max(clear) < 16


@pytest.mark.parametrize("family", corpus.FAMILIES)
def test_the_corpus_wherever_windows_end(family):
    """All texts one after the other, moved on by a few characters each time."""
    looks = finder(Guardrail.model_validate({"name": "all", family: {}}))
    assert looks is not None
    text = " … and then\n\n".join(sample.text for sample in corpus.samples(family)[::3])
    for shift in range(0, 128, 43):
        moved = "-" * shift + " " + text
        pieces = [moved[at : at + 5] for at in range(0, len(moved), 5)]
        assert streamed(pieces, [rail(looks)])[0] == whole(moved, [looks])


@pytest.mark.parametrize("family", corpus.FAMILIES)
def test_prose_waits_for_little_and_what_may_be_a_hit_as_long_as_that(family):
    looks = finder(Guardrail.model_validate({"name": "all", family: {}}))
    prose = "The lamp was lit, and nobody said more about the weather than was needed. " * 8
    assert streamed(list(prose), [rail(looks)])[2] <= 64
    begun = {
        "secrets": "https://hooks.slack.com/services/T" + "Q" * 1600,
        "personal_data": "ada@" + ("-" * 60 + ".") * 9,
        "injections": "<!-- " + "and so on, " * 200,
    }[family]
    assert 200 < streamed([*prose, *begun], [rail(looks)])[2] <= Window([rail(looks)], lambda *_: None).size
