"""Puts what a search has found in a better order, by a model that reads question and text together."""

import asyncio
import math
from collections.abc import Sequence
from itertools import accumulate, takewhile
from typing import Any, Final, NamedTuple

import structlog

from tandem_orchestrator.engines.catalogue import Catalogue
from tandem_orchestrator.engines.dispatch import Call, Dispatcher
from tandem_orchestrator.engines.endpoints import ENDPOINTS, RERANK
from tandem_orchestrator.errors import GatewayError, Malformed
from tandem_orchestrator.gateway import rewrite
from tandem_orchestrator.gateway.request import Request
from tandem_orchestrator.observability.metrics import RERANKS
from tandem_orchestrator.observability.record import Record

MOST_DOCUMENTS: Final = 100
MOST_CHARACTERS: Final = 16_384  # of a document: more than any piece of 4,096 tokens of English has
MOST_IN_ALL: Final = 1_048_576  # characters
SECONDS: Final = 10.0
"""For which a search waits for a better order."""

log = structlog.get_logger()


class Ranked(NamedTuple):
    """A text by its position among those that were given, and how well it answers, 0 to 1."""

    position: int
    score: float


class Reranker:
    """Asks `/v1/rerank` of a model's engine, in the form that vLLM, Jina and Cohere share."""

    def __init__(self, model: str, catalogue: Catalogue, dispatcher: Dispatcher) -> None:
        self._name = model
        self._catalogue = catalogue
        self._dispatcher = dispatcher

    async def rank(self, question: str, texts: Sequence[str], record: Record) -> list[Ranked] | None:
        """Return the texts, the best first; None where the order that they have has to do, which is logged and counted.

        Only so many as one request may hold, from the first on: who searches adds the rest as it was.
        """
        if not texts:
            return []
        asked = bounded(texts)
        try:
            async with asyncio.timeout(SECONDS):
                ranking = read(await self._answer(question, asked, record), len(asked))
        except (GatewayError, TimeoutError) as error:
            problem = error.message if isinstance(error, GatewayError) else f"no answer within {SECONDS:g} s"
            log.warning("search results stay in their order", reranker=self._name, problem=problem)
            RERANKS.labels("failed").inc()
            return None
        RERANKS.labels("done").inc()
        return ranking

    async def _answer(self, question: str, texts: list[str], record: Record) -> dict[str, Any]:
        model = self._catalogue.find(self._name)
        payload = {"query": _whole(question)[:MOST_CHARACTERS], "documents": texts, "top_n": len(texts)}
        request = Request(ENDPOINTS[RERANK], payload, model.name, stream=False)
        rewrite.apply(request, model, record.tenant, 1)
        own = Record(record.request_id)  # what is known of the search is not to change
        own.route, own.model, own.tenant, own.trace = RERANK, model.name, record.tenant, record.trace
        try:
            _, answer = await self._dispatcher.complete(Call(RERANK, model, own), request.body())
            return answer
        finally:
            record.count_tokens(own.prompt_tokens, own.completion_tokens)
            record.engine_seconds += own.engine_seconds


def bounded(texts: Sequence[str]) -> list[str]:
    """Return the first of these texts, each cut, as many as one request may hold."""
    cut = [_whole(text)[:MOST_CHARACTERS] for text in texts[:MOST_DOCUMENTS]]
    sizes = takewhile(lambda size: size <= MOST_IN_ALL, accumulate(map(len, cut)))
    return cut[: max(1, sum(1 for _ in sizes))]


def read(answer: dict[str, Any], number: int) -> list[Ranked]:
    """Return what the engine answered about so many texts, the best first. Raises `Malformed`.

    Scores that are not within 0 to 1 are logits, of which the sigmoid is taken.
    """
    ranked: list[Ranked] = []
    for result in answer["results"]:
        index = result.get("index") if isinstance(result, dict) else None
        score = result.get("relevance_score") if isinstance(result, dict) else None
        if type(index) is not int or not 0 <= index < number:
            raise Malformed(f"the reranker's answer has an `index` which is not one of the {number} texts")
        if isinstance(score, bool) or not isinstance(score, int | float):
            raise Malformed("the reranker's answer has a `relevance_score` that is no number")
        ranked.append(Ranked(index, float(score)))
    if len({index for index, _ in ranked}) != number or len(ranked) != number:
        raise Malformed(f"the reranker's answer has {len(ranked)} results for {number} texts")
    if any(not 0 <= score <= 1 for _, score in ranked):
        ranked = [Ranked(index, _sigmoid(score)) for index, score in ranked]
    return sorted(ranked, key=lambda text: (-text.score, text.position))


def _sigmoid(value: float) -> float:
    return (1 + math.tanh(value / 2)) / 2


def _whole(text: str) -> str:
    """Return it without halves of characters, which no JSON can hold."""
    return text.encode(errors="replace").decode()
