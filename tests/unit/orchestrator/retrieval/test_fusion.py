import pytest
from tandem_orchestrator.retrieval.fusion import Ranking, fused


def ranking(weight, found):
    return Ranking(weight, [(key, 1.0) for key in found])


def test_first_everywhere_is_one():
    ((key, score), *_) = fused([ranking(0.3, "ab"), ranking(0.7, "ac")], 10)
    assert key == "a"
    assert score == pytest.approx(1.0)


def test_scores_by_hand():
    found = dict(fused([ranking(1, "ab"), ranking(3, "bc")], 10))
    best = 4 / 61
    assert found == pytest.approx({"b": (1 / 62 + 3 / 61) / best, "c": 3 / 62 / best, "a": 1 / 61 / best})


def test_what_counts_less_in_a_ranking():
    found = dict(fused([Ranking(1, [("a", 0.5), ("b", 1.0)]), ranking(1, "ba")], 10))
    best = 2 / 61
    assert found == pytest.approx({"a": (0.5 / 61 + 1 / 62) / best, "b": (1 / 62 + 1 / 61) / best})


def test_order_is_by_score_and_then_by_the_first_ranking():
    assert [key for key, _ in fused([ranking(1, "ab"), ranking(1, "cd")], 3)] == ["a", "c", "b"]


def test_ranking_without_weight_does_not_count():
    assert dict(fused([ranking(1, "a"), ranking(0, "b")], 10)) == pytest.approx({"a": 1.0})
    assert fused([ranking(0, "a")], 10) == []


def test_nothing_of_nothing():
    assert fused([], 10) == []
    assert fused([ranking(1, "")], 10) == []
