"""Search results in a better order, by an engine's /v1/rerank; or in the order that they had."""

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from tandem_orchestrator.retrieval import rerank
from tandem_orchestrator.retrieval.rerank import Ranked, Reranker

from tests.engine_double import Reply
from tests.sockets.retrieval.asking import config, record

QUESTION = "where do whales sleep"
FOUND = ["Cats sleep on sofas", "where whales sleep", "Nothing of that"]


@pytest.fixture
async def reranker(serve, engine) -> Reranker:
    orchestrator = await serve(config(engine))
    return Reranker("double", orchestrator.app.services.catalogue, orchestrator.app.services.dispatcher)


def counted(result):
    return REGISTRY.get_sample_value("tandem_reranks_total", {"result": result}) or 0


async def test_the_engines_order_is_taken(reranker, engine):
    done = counted("done")
    asker = record()
    assert await reranker.rank(QUESTION, FOUND, asker) == [Ranked(1, 0.75), Ranked(0, 0.25), Ranked(2, 0.0)]
    (seen,) = engine.seen
    assert seen.path == "/v1/rerank"
    assert seen.body == {"model": "double", "query": QUESTION, "documents": FOUND, "top_n": 3}
    assert counted("done") - done == 1
    assert asker.prompt_tokens == 21


async def test_nothing_found_is_no_request(reranker, engine):
    assert await reranker.rank(QUESTION, [], record()) == []
    assert engine.seen == []


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(status=400), "scripted"),
        (Reply(status=503), "scripted"),
        (Reply(fault="cut"), ""),
        (Reply(fault="malformed_json"), "not JSON"),
        (Reply(entries=[]), "results"),
        (Reply(entries=[{"index": 7, "relevance_score": 1}]), "index"),
        (Reply(fault="hang", fault_after=0), "no answer within"),
    ],
    ids=["refused", "busy", "cut", "no JSON", "empty", "wrong", "silent"],
)
async def test_results_stay_as_they_are_where_it_fails(reranker, engine, reply, said, monkeypatch):
    monkeypatch.setattr(rerank, "SECONDS", 0.2)
    engine.rule = lambda _: reply
    failed = counted("failed")
    with capture_logs() as logs:
        assert await reranker.rank(QUESTION, FOUND, record()) is None
    (warning,) = [line for line in logs if line["event"] == "search results stay in their order"]
    assert said in warning["problem"]
    assert counted("failed") - failed == 1
