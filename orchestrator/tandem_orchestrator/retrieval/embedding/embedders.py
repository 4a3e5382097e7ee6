"""The embedder of the configuration that is in force."""

import asyncio
from typing import Final

from tandem_contract.config import Embedding, OrchestratorConfig, Redis

from tandem_orchestrator.engines.catalogue import Catalogue
from tandem_orchestrator.engines.dispatch import Dispatcher
from tandem_orchestrator.errors import Clash, GatewayError
from tandem_orchestrator.part import Part
from tandem_orchestrator.retrieval.embedding.cache import VectorCache
from tandem_orchestrator.retrieval.embedding.embedder import Embedder
from tandem_orchestrator.retrieval.embedding.engine_embedder import EngineEmbedder
from tandem_orchestrator.retrieval.embedding.identity import Identity
from tandem_orchestrator.retrieval.embedding.static_embedder import StaticEmbedder
from tandem_orchestrator.store.redis import RedisStore

WHAT: Final = "embedding"


class Embedders(Part):
    """Makes another embedder when its settings change; the one before goes on for who has it."""

    def __init__(self, config: OrchestratorConfig, catalogue: Catalogue, dispatcher: Dispatcher) -> None:
        self._catalogue = catalogue
        self._dispatcher = dispatcher
        self._redis = config.redis
        self._settings = Embedding()
        self._former: list[Embedder] = []
        self._others: dict[str, Embedder | None] = {}
        self._changed = asyncio.Event()
        self.now: Embedder | None = None
        """None where texts are only searched by their words."""
        self.update(config)

    def update(self, config: OrchestratorConfig) -> None:
        """Take changed settings."""
        settings = config.retrieval.embedding
        if settings == self._settings:
            return
        if self.now is not None:
            self._former.append(self.now)
        self._settings = settings
        self.now = self._embedder(settings)
        self._changed.set()

    async def watch(self) -> None:
        """Read a model in this process before the first text comes; run until cancelled."""
        while True:
            self._changed.clear()
            if self.now is not None:
                await self.now.prepare()
            await self._changed.wait()

    @property
    def problems(self) -> list[str]:
        """Why no vectors are made."""
        problem = self.now.problem if self.now is not None else None
        return [] if problem is None else [f"{WHAT}: {problem}"]

    async def close(self) -> None:
        """Close this embedder and those before it."""
        for embedder in filter(None, (*self._former, *self._others.values(), self.now)):
            await embedder.close()

    async def of(self, remembered: Identity) -> Embedder:
        """Return what makes vectors that can be compared with those of an index. Raises `Clash`."""
        if self.now is not None:
            await self.now.prepare()
        for embedder in filter(None, (self.now, *self._former, self._other(remembered))):
            if not remembered.difference(embedder.identity):
                return embedder
        found = "none is configured" if self.now is None else remembered.difference(self.now.identity)
        raise Clash(
            f"the vector store cannot be used as it was made with the embedding model {remembered.model!r}: {found}; "
            "configure that model, or have the store indexed anew (POST …/reindex)",
            code="embedding_mismatch",
        )

    def _other(self, remembered: Identity) -> Embedder | None:
        """Return one that is not configured any more and can be had: while stores are indexed anew, both are needed."""
        if remembered.fingerprint or not self._is_served(remembered.model):
            return None
        settings = Embedding(
            model=remembered.model, document_prompt=remembered.document_prompt, query_prompt=remembered.query_prompt
        )
        key = settings.model_dump_json()
        if key not in self._others:
            self._others[key] = self._embedder(settings)
        return self._others[key]

    def _is_served(self, model: str) -> bool:
        """Return whether an upstream has the model still, while stores are being indexed anew for another one."""
        try:
            return self._catalogue.find(model).known
        except GatewayError:
            return False

    def _embedder(self, settings: Embedding) -> Embedder | None:
        if settings.path is not None:
            return StaticEmbedder(settings)
        if settings.model is None:
            return None
        return EngineEmbedder(settings, self._catalogue, self._dispatcher, _cache(self._redis, settings))


def _cache(redis: Redis, settings: Embedding) -> VectorCache | None:
    if redis.url is None and redis.url_from is None:
        return None
    return VectorCache(RedisStore(redis), f"{settings.model} {settings.dimensions}")
