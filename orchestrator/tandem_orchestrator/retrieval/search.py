"""Finds the pieces of documents that answer a question, in one or several vector stores of a tenant."""

import asyncio
from collections.abc import Sequence
from typing import Final

import orjson

from tandem_orchestrator.errors import TextRefused
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.retrieval.attributes import Attributes, Filter
from tandem_orchestrator.retrieval.embedding.embedder import Embedder
from tandem_orchestrator.retrieval.embedding.embedders import Embedders
from tandem_orchestrator.retrieval.embedding.vector import numbers
from tandem_orchestrator.retrieval.hit import Hit
from tandem_orchestrator.retrieval.index import Found, Query
from tandem_orchestrator.retrieval.index.chunks import Vector as Floats
from tandem_orchestrator.retrieval.kept import Kept
from tandem_orchestrator.retrieval.question import Question
from tandem_orchestrator.retrieval.rerank import Reranker
from tandem_orchestrator.retrieval.store_files import expired
from tandem_orchestrator.retrieval.stores import UNMADE, Store
from tandem_orchestrator.store.rows import now

SPARE: Final = 10  # that are found beyond those wanted, as some may be of files that are not to be shown
RERANKED: Final = 50
USED_MS: Final = 60_000  # how exactly it is noted when a store was last used
FILES_AT_ONCE: Final = 2000  # whose attributes are compared with a filter before others get their turn


class Search:
    """Searches under one configuration."""

    def __init__(self, kept: Kept, embedders: Embedders, reranker: Reranker | None) -> None:
        self._rows = kept.rows
        self._indexes = kept.indexes
        self._stores = kept.stores
        self._embedders = embedders
        self._reranker = reranker

    async def check(self, tenant: str, store_ids: Sequence[str]) -> list[str]:
        """Return what each store is about. Raises `NotFound`, and `BadRequest` for one that has expired."""
        stores = [await self._usable(tenant, store_id) for store_id in store_ids]
        return [store.description or store.name for store in stores]

    async def search(self, record: Record, store_ids: Sequence[str], question: Question) -> list[Hit]:
        """Return what was found, the best first. Raises `GatewayError`."""
        tenant = record.tenant or ""
        stores = [await self._usable(tenant, store_id) for store_id in dict.fromkeys(store_ids)]
        found = await asyncio.gather(*(self._in_store(tenant, store, question, record) for store in stores))
        hits = sorted((hit for some in found for hit in some), key=lambda hit: -hit.score)
        hits = await self._reranked(hits, question, record)
        return [hit for hit in hits[: question.most] if hit.score >= question.ranking.threshold]

    async def _reranked(self, hits: list[Hit], question: Question, record: Record) -> list[Hit]:
        if self._reranker is None or not question.ranking.rerank:
            return hits
        ranked = await self._reranker.rank(" ".join(question.queries), [hit.text for hit in hits[:RERANKED]], record)
        return hits if ranked is None else [hits[each.position]._replace(score=each.score) for each in ranked]

    async def _usable(self, tenant: str, store_id: str) -> Store:
        store = await self._stores.row(tenant, store_id)
        if store.expired:
            raise expired(store_id)
        return store

    async def _in_store(self, tenant: str, store: Store, question: Question, record: Record) -> list[Hit]:
        if store.used + USED_MS < now():
            await self._rows.write(("HOLD_STORE", [{"tenant": tenant, "id": store.id, "now": now()}]))
        if store.dimension == UNMADE:
            return []
        files = None
        if question.filters is not None and not (files := await self._files(tenant, store.id, question.filters)):
            return []
        most = max(question.most, RERANKED if self._reranker is not None else 0) + SPARE
        by_meaning, by_words = question.ranking.embedding_weight, question.ranking.text_weight
        vectors = await self._vectors(store, question, record)
        asked = [
            Query(most, vector, text, files, by_meaning, by_words)
            for text, vector in zip(question.queries, vectors, strict=True)
        ]
        index = self._indexes.index(store.index_id, store.dimension)
        found = await asyncio.gather(*(index.search(query) for query in asked))
        best: dict[tuple[str, int], Found] = {}
        for each in (each for some in found for each in some):
            before = best.get((each.file_id, each.position))
            if before is None or before.score < each.score:
                best[each.file_id, each.position] = each
        return await self._shown(tenant, store.id, list(best.values()))

    async def _vectors(self, store: Store, question: Question, record: Record) -> Sequence[Floats | None]:
        if store.identity is None or not question.ranking.embedding_weight:
            return [None] * len(question.queries)
        embedder = await self._embedders.of(store.identity)
        return await asyncio.gather(*(_vector(embedder, text, record) for text in question.queries))

    async def _files(self, tenant: str, store_id: str, wanted: Filter) -> list[str]:
        """Return the files whose attributes a filter asks for."""
        found: list[str] = []
        after = ""
        while rows := await self._rows.read(
            "ATTRIBUTES", tenant=tenant, store_id=store_id, after=after, most=FILES_AT_ONCE
        ):
            found += [file_id for file_id, attributes in rows if wanted.matches(orjson.loads(attributes))]
            after = rows[-1][0]
        return found

    async def _shown(self, tenant: str, store_id: str, found: Sequence[Found]) -> list[Hit]:
        """Return what was found in files that may be shown: neither unfinished nor deleted."""
        file_ids = sorted({each.file_id for each in found})
        where = [{"tenant": tenant, "store_id": store_id, "file_id": file_id} for file_id in file_ids]
        rows = await self._rows.read_each("FOUND", where)
        files: dict[str, tuple[str, Attributes]] = {row[0]: (row[1], orjson.loads(row[2])) for row in rows}
        return [
            Hit(
                each.file_id,
                files[each.file_id][0],
                each.position,
                each.text,
                each.page,
                each.heading,
                each.score,
                files[each.file_id][1],
            )
            for each in found
            if each.file_id in files
        ]


async def _vector(embedder: Embedder, text: str, record: Record) -> Floats | None:
    """Return a question's vector; None for one that the model cannot read, which is searched by its words alone."""
    try:
        return numbers(await embedder.query(text, record))
    except TextRefused:
        return None
