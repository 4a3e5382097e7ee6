import pytest
from tandem_orchestrator.retrieval.fusion import Ranking, fused


def test_first_everywhere_is_one():
    ((key, score), *_) = fused([Ranking(0.3, "ab"), Ranking(0.7, "ac")], 10)
    assert key == "a"
    assert score == pytest.approx(1.0)


def test_scores_by_hand():
    found = dict(fused([Ranking(1, "ab"), Ranking(3, "bc")], 10))
    best = 4 / 61
    assert found == pytest.approx({"b": (1 / 62 + 3 / 61) / best, "c": 3 / 62 / best, "a": 1 / 61 / best})


def test_order_is_by_score_and_then_by_the_first_ranking():
    assert [key for key, _ in fused([Ranking(1, "ab"), Ranking(1, "cd")], 3)] == ["a", "c", "b"]


def test_ranking_without_weight_does_not_count():
    assert dict(fused([Ranking(1, "a"), Ranking(0, "b")], 10)) == pytest.approx({"a": 1.0})
    assert fused([Ranking(0, "a")], 10) == []


def test_nothing_of_nothing():
    assert fused([], 10) == []
    assert fused([Ranking(1, "")], 10) == []
