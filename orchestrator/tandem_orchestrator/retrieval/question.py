"""What a search asks, checked: `POST /v1/vector_stores/{id}/search` and the tool file_search. Decides; does no I/O.

Fields as in OpenAI's API (openapi 2.3.0); `max_results` and `score_threshold` are older names.
"""

import math
from typing import Any, Final, NamedTuple

from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.retrieval.attributes import Filter, filter_of

DEFAULT_RESULTS: Final = 10
MOST_RESULTS: Final = 50
MOST_QUERIES: Final = 16
LONGEST_QUERY: Final = 16_384  # characters
RANKERS: Final = ("none", "auto", "default-2024-11-15")


class Ranking(NamedTuple):
    """How what was found is put in order."""

    rerank: bool = True
    """Ask the reranker, where there is one."""
    threshold: float = 0.0
    """Least score, 0 to 1."""
    embedding_weight: float = 1.0
    """Weight of the order by meaning, in the fusion with"""
    text_weight: float = 1.0
    """that by words."""


class Question(NamedTuple):
    """One search."""

    queries: tuple[str, ...]
    filters: Filter | None = None
    most: int = DEFAULT_RESULTS
    ranking: Ranking = Ranking()
    rewrite: bool = False
    """Have a model make search queries of what was asked."""


def question_of(body: dict[str, Any]) -> Question:
    """Return the search that a request asks for. Raises `BadRequest`."""
    rewrite = body.get("rewrite_query", False)
    if not isinstance(rewrite, bool):
        raise BadRequest("`rewrite_query` must be true or false", param="rewrite_query")
    return options_of(body)._replace(queries=queries_of(body.get("query")), rewrite=rewrite)


def options_of(body: dict[str, Any], path: str = "") -> Question:
    """Return all of a search but its queries; fields stand under `path`. Raises `BadRequest`."""
    where = f"{path}." if path else ""
    named = "max_num_results" if body.get("max_num_results") is not None else "max_results"
    most = body.get(named)
    if most is None:
        most = DEFAULT_RESULTS
    if not isinstance(most, int) or isinstance(most, bool) or not 1 <= most <= MOST_RESULTS:
        raise BadRequest(f"`{where}{named}` must be a number from 1 to {MOST_RESULTS}", param=f"{where}{named}")
    filters = filter_of(body.get("filters"), f"{where}filters")
    return Question((), filters, most, _ranking(body, where))


def queries_of(value: Any, path: str = "query") -> tuple[str, ...]:
    """Return one or several queries. Raises `BadRequest`."""
    queries = [value] if isinstance(value, str) else value
    if not isinstance(queries, list) or not 0 < len(queries) <= MOST_QUERIES:
        raise BadRequest(f"`{path}` must be a text, or a list of 1 to {MOST_QUERIES} texts", param=path)
    for query in queries:
        if not isinstance(query, str) or not query.strip() or len(query) > LONGEST_QUERY:
            raise BadRequest(f"`{path}` must hold texts of 1 to {LONGEST_QUERY} characters", param=path)
    return tuple(queries)


def _ranking(body: dict[str, Any], where: str) -> Ranking:
    options = body.get("ranking_options")
    if options is None:
        options = {}
    path = f"{where}ranking_options"
    if not isinstance(options, dict):
        raise BadRequest(f"`{path}` must be an object", param=path)
    ranker = options.get("ranker", "auto")
    if ranker not in RANKERS:
        raise BadRequest(f"`{path}.ranker` must be one of {', '.join(RANKERS)}", param=f"{path}.ranker")
    named = f"{path}.score_threshold"
    threshold = options.get("score_threshold")
    if threshold is None:
        named, threshold = f"{where}score_threshold", body.get("score_threshold")
    weights = options.get("hybrid_search")
    if weights is None:
        weights = {}
    if not isinstance(weights, dict):
        raise BadRequest(f"`{path}.hybrid_search` must be an object", param=f"{path}.hybrid_search")
    by_meaning, by_words = (
        _number(weights.get(name), 1.0, math.inf, f"{path}.hybrid_search.{name}")
        for name in ("embedding_weight", "text_weight")
    )
    if by_meaning == by_words == 0:
        raise BadRequest(f"`{path}.hybrid_search` must have a weight above 0", param=f"{path}.hybrid_search")
    return Ranking(ranker != "none", _number(threshold, 0.0, 1.0, named), by_meaning, by_words)


def _number(value: Any, default: float, most: float, path: str) -> float:
    if value is None:
        return default
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most or math.isinf(value):
        limit = "" if math.isinf(most) else f" to {most:g}"
        raise BadRequest(f"`{path}` must be a number from 0{limit}", param=path)
    return float(value)
