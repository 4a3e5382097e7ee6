import pytest
from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.retrieval.question import Question, Ranking, options_of, question_of


def test_a_query_alone():
    assert question_of({"query": "who?"}) == Question(("who?",), None, 10, Ranking(), rewrite=False)


def test_all_of_it():
    asked = {
        "query": ["who?", "when?"],
        "max_num_results": 50,
        "rewrite_query": True,
        "filters": {"type": "eq", "key": "a", "value": 1},
        "ranking_options": {
            "ranker": "none",
            "score_threshold": 0.25,
            "hybrid_search": {"embedding_weight": 2, "text_weight": 0},
        },
    }
    question = question_of(asked)
    assert (question.queries, question.most, question.rewrite) == (("who?", "when?"), 50, True)
    assert question.ranking == Ranking(rerank=False, threshold=0.25, embedding_weight=2.0, text_weight=0.0)
    assert question.filters is not None
    assert question.filters.matches({"a": 1})


def test_older_names():
    question = question_of({"query": "who?", "max_results": 5, "score_threshold": 0.7})
    assert (question.most, question.ranking.threshold) == (5, 0.7)


def test_the_standard_names_win():
    asked = {"query": "x", "max_results": 5, "max_num_results": 6, "score_threshold": 0.7}
    question = question_of(asked | {"ranking_options": {"score_threshold": 0.1}})
    assert (question.most, question.ranking.threshold) == (6, 0.1)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"query": None}, "query"),
        ({"query": []}, "query"),
        ({"query": " "}, "query"),
        ({"query": ["a"] * 17}, "query"),
        ({"query": ["a", 1]}, "query"),
        ({"query": "x" * 16_385}, "query"),
        ({"max_num_results": 0}, "max_num_results"),
        ({"max_num_results": 51}, "max_num_results"),
        ({"max_num_results": True}, "max_num_results"),
        ({"max_num_results": 1.5}, "max_num_results"),
        ({"max_results": 51}, "max_results"),
        ({"rewrite_query": "yes"}, "rewrite_query"),
        ({"filters": "a"}, "filters"),
        ({"score_threshold": 1.1}, "score_threshold"),
        ({"ranking_options": []}, "ranking_options"),
        ({"ranking_options": {"ranker": "best"}}, "ranking_options.ranker"),
        ({"ranking_options": {"score_threshold": -0.1}}, "ranking_options.score_threshold"),
        ({"ranking_options": {"score_threshold": float("nan")}}, "ranking_options.score_threshold"),
        ({"ranking_options": {"hybrid_search": 1}}, "ranking_options.hybrid_search"),
        (
            {"ranking_options": {"hybrid_search": {"embedding_weight": 0, "text_weight": 0}}},
            "ranking_options.hybrid_search",
        ),
        (
            {"ranking_options": {"hybrid_search": {"text_weight": float("inf")}}},
            "ranking_options.hybrid_search.text_weight",
        ),
    ],
)
def test_what_is_no_question(fields, param):
    with pytest.raises(BadRequest) as refused:
        question_of({"query": "who?"} | fields)
    assert refused.value.param == param


def test_options_of_a_tool_name_their_place():
    with pytest.raises(BadRequest) as refused:
        options_of({"max_num_results": 0}, "tools.0")
    assert refused.value.param == "tools.0.max_num_results"
