"""Vector stores under one configuration."""

import asyncio
from typing import Any

from tandem_contract.config import Retrieval as Settings

from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.retrieval.creation import Creation
from tandem_orchestrator.retrieval.embedding.embedders import Embedders
from tandem_orchestrator.retrieval.kept import Kept
from tandem_orchestrator.retrieval.question import Question
from tandem_orchestrator.retrieval.rewriting import Rewriter
from tandem_orchestrator.retrieval.search import Search
from tandem_orchestrator.retrieval.store_files import StoreFiles


class Retrieval:
    """What serves vector stores; `stores`, `files`, `creation` and `search` are its parts."""

    def __init__(
        self, kept: Kept, search: Search, embedders: Embedders, rewriter: Rewriter, settings: Settings
    ) -> None:
        self.stores = kept.stores
        self.files = StoreFiles(kept, settings.quota)
        self.creation = Creation(kept, self.files, embedders, settings)
        self.search = search
        self._rewriter = rewriter

    async def answer(self, principal: Principal, record: Record, store_id: str, question: Question) -> dict[str, Any]:
        """Return a page of what a search found, as OpenAI has it. Raises `GatewayError`."""
        if question.rewrite:
            await self.search.check(principal.tenant, [store_id])  # before a model is asked
            rewriting = (self._rewriter.rewritten(query, principal, record) for query in question.queries)
            question = question._replace(queries=tuple(await asyncio.gather(*rewriting)))
        hits = await self.search.search(record, [store_id], question)
        return {
            "object": "vector_store.search_results.page",
            "search_query": list(question.queries),
            "data": [hit.shown() for hit in hits],
            "has_more": False,
            "next_page": None,
        }
