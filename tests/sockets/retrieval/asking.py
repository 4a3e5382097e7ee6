"""Embedders and rerankers as the orchestrator has them, without its HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tandem_contract.config import OrchestratorConfig
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.retrieval.embedding.embedder import Embedder

from tests.engine_double import EngineDouble
from tests.engine_double.embedding import vector_of
from tests.sockets.running import Orchestrator, config_for

QUICK = {"routing": {"retries": 0}, "hold": {"maxRequests": 0}}  # a first failure shows
TEXTS = [f"piece {number}" for number in range(10)]


def config(*engines: EngineDouble, embedding: dict[str, Any] | None = None, **settings: Any) -> OrchestratorConfig:
    retrieval = {"embedding": {"model": "double", **(embedding or {})}}
    return config_for(*engines, retrieval=retrieval, **{**QUICK, **settings})


@asynccontextmanager
async def embedding(config: OrchestratorConfig) -> AsyncIterator[Embedder]:
    orchestrator = Orchestrator(config)
    await orchestrator.start()
    try:
        yield embedder_of(orchestrator)
    finally:
        await orchestrator.stop()


def embedder_of(orchestrator: Orchestrator) -> Embedder:
    embedder = orchestrator.app.embedders.now
    assert embedder is not None
    return embedder


def record(tenant: str = "acme") -> Record:
    made = Record("file-1")
    made.tenant = tenant
    return made


def expected(text: str, dimension: int = 8) -> list[float]:
    return vector_of(text, dimension)
