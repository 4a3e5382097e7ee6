"""What the corpus must be, for its hit rates to mean something."""

from collections import Counter

import pytest

from tests.retrieval_corpus import files, hit_rate, passages, questions


def test_each_question_has_a_passage_of_its_own():
    assert len(questions()) >= 60
    asked = Counter(question.passage for question in questions())
    assert set(asked.values()) == {1}
    assert len(passages()) == len(asked)


def test_questions_of_all_kinds():
    kinds = Counter(question.kind for question in questions())
    assert kinds["meaning"] >= 40
    assert kinds["word"] >= 20
    assert {question.language for question in questions()} == {"en", "de", "fr", "ja"}


def test_a_question_of_a_word_has_it_from_its_passage():
    for question in questions():
        if question.kind == "word":
            here = f"{question.passage.heading} {question.passage.text}".lower()
            assert any(word.strip("?").lower() in here for word in question.text.split()), question.text


def test_no_passage_begins_as_another():
    for passage in passages():
        found = [other for other in passages() if passage.in_chunk(other.file, other.text)]
        assert found == [passage]
        (file,) = [file for file in files() if file.name == passage.file]
        assert passage.in_chunk(passage.file, file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("k", "rate"), [(1, 0.25), (2, 0.5), (3, 0.75), (5, 0.75)])
def test_hit_rate(k, rate):
    found = [["a", "b", "c"], ["b", "a"], ["d", "e", "c"], []]
    wanted = [{"a"}, {"a"}, {"b", "c"}, {"a"}]
    assert hit_rate(found, wanted, k) == rate
