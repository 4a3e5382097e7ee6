import pytest
from tandem_orchestrator.errors import Malformed
from tandem_orchestrator.retrieval.rerank import MOST_CHARACTERS, MOST_DOCUMENTS, MOST_IN_ALL, Ranked, bounded, read


def results(*scores):
    return {"results": [{"index": index, "relevance_score": score} for index, score in enumerate(scores)]}


def test_the_best_comes_first_and_equals_keep_their_order():
    assert read(results(0.2, 0.9, 0.2), 3) == [Ranked(1, 0.9), Ranked(0, 0.2), Ranked(2, 0.2)]


def test_logits_become_scores_of_0_to_1():
    ranked = read(results(-11.0, 0.0, 8000.0), 3)
    assert [position for position, _ in ranked] == [2, 1, 0]
    assert [score for _, score in ranked] == pytest.approx([1, 0.5, 0.0000167], abs=1e-6)


@pytest.mark.parametrize(
    "answer",
    [
        results(0.1),
        results(0.1, 0.2, 0.3),
        results(0.1, None),
        results(0.1, "0.2"),
        {"results": [{"index": 0, "relevance_score": 0.1}, {"index": 1, "relevance_score": True}]},
        {"results": [{"index": 0, "relevance_score": 0.1}] * 2},
        {"results": [{"index": 0, "relevance_score": 0.1}, {"index": 2, "relevance_score": 0.1}]},
        {"results": [{"relevance_score": 0.1}, {"index": 1, "relevance_score": 0.1}]},
        {"results": ["good", "bad"]},
    ],
)
def test_an_answer_that_leaves_a_text_out_is_none(answer):
    with pytest.raises(Malformed):
        read(answer, 2)


def test_no_request_is_larger_than_an_engine_may_be_asked():
    assert bounded(["a"] * 1000) == ["a"] * MOST_DOCUMENTS
    assert bounded(["x" * MOST_CHARACTERS + "y"]) == ["x" * MOST_CHARACTERS]
    long = bounded(["x" * MOST_CHARACTERS] * MOST_DOCUMENTS)
    assert sum(map(len, long)) == MOST_IN_ALL
    assert bounded(["t\ud800o"]) == ["t?o"]
