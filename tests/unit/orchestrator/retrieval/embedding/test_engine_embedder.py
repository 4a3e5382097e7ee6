import pytest
from tandem_orchestrator.errors import TextRefused, WrongVectors
from tandem_orchestrator.retrieval.embedding.embedder import clean
from tandem_orchestrator.retrieval.embedding.engine_embedder import in_order


def entry(index, name):
    return {"index": index, "embedding": name}


@pytest.mark.parametrize(
    "data",
    [
        [entry(0, "a"), entry(1, "b"), entry(2, "c")],
        [entry(2, "c"), entry(0, "a"), entry(1, "b")],
        [entry(None, "a"), entry(None, "b"), entry(None, "c")],
    ],
)
def test_entries_come_in_the_order_of_their_texts(data):
    assert [found["embedding"] for found in in_order(data, 3)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "data",
    [
        [entry(0, "a")],
        [entry(0, "a"), entry(1, "b"), entry(2, "c")],
        [entry(0, "a"), entry(0, "b")],
        [entry(1, "a"), entry(2, "b")],
        [entry(0, "a"), entry(None, "b")],
        [{"index": False, "embedding": "a"}, {"index": True, "embedding": "b"}],
        [entry("0", "a"), entry("1", "b")],
        [entry([0], "a"), entry(1, "b")],
        [entry(0, "a"), "b"],
    ],
)
def test_other_entries_are_refused(data):
    with pytest.raises(WrongVectors):
        in_order(data, 2)


@pytest.mark.parametrize("text", ["", "  \n\t"])
def test_an_empty_text_is_named(text):
    with pytest.raises(TextRefused, match="empty") as caught:
        clean(["one", text, "three"], "passage: ")
    assert caught.value.position == 1


def test_prompts_stand_in_front_and_halves_of_characters_are_replaced():
    assert clean(["one", "t\ud800o"], "passage: ") == ["passage: one", "passage: t?o"]
