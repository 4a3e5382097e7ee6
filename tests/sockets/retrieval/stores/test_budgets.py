"""Searches are paid by the key that asks."""

import pytest

from tests.engine_double import Call, Reply
from tests.engine_double.embedding import Embedding
from tests.sockets.retrieval.stores.documents import RIVERS
from tests.sockets.running import question

BEARER = {"authorization": "Bearer key-a"}
LIMITS = {"defaults": {"tokensPerDay": 1_000_000}}
QUERY = "Where does the Rhine rise, and where does it end?"


@pytest.fixture
async def orchestrator(start, engine):
    embeds = Embedding()

    def rule(request):
        if "input" in request:
            return embeds(request)
        if request["messages"][-1]["role"] == "tool":
            return Reply("In the Alps.")
        return Reply(calls=(Call("file_search", '{"queries":["Where does the Rhine rise?"]}'),))

    engine.rule = rule
    return await start(rateLimits=LIMITS)


async def left(orchestrator, path, body):
    """The tokens that are left when a request comes."""
    async with orchestrator.client.post(path, json=body, headers=BEARER) as response:
        assert response.status == 200, await response.text()
        return int(response.headers["x-ratelimit-remaining-tokens"])


async def test_a_search_counts_as_its_key_tokens(orchestrator, documents):
    store = await documents.store(RIVERS)
    path = f"/v1/vector_stores/{store.id}/search"
    by_words = {"hybrid_search": {"embedding_weight": 0, "text_weight": 1}}
    first = await left(orchestrator, path, {"query": QUERY})
    second = await left(orchestrator, path, {"query": QUERY, "ranking_options": by_words})
    assert first == 1_000_000, "what reading the file took is nobody's"
    assert second < first
    assert await left(orchestrator, path, {"query": QUERY}) == second, "no engine was asked for words"


async def test_a_search_of_a_tool_counts_as_its_key_tokens(orchestrator, documents):
    store = await documents.store(RIVERS)
    tool = orchestrator.app.services.toolbox.bindings["file_search"]
    charged = []
    charge = tool.charge

    def counted(principal, tokens):
        charged.append((principal.tenant, tokens))
        charge(principal, tokens)

    tool.charge = counted
    asked = question(tools=[{"type": "file_search", "vector_store_ids": [store.id]}])
    async with orchestrator.client.post("/v1/chat/completions", json=asked, headers=BEARER) as response:
        usage = (await response.json())["usage"]
    ((tenant, tokens),) = charged
    assert tenant == "team-a"
    assert tokens > 0
    spent = 1_000_000 - await left(orchestrator, f"/v1/vector_stores/{store.id}/search", {"query": QUERY})
    assert spent == usage["total_tokens"] + tokens
