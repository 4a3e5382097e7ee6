import asyncio

import pytest
from tandem_contract.config import OrchestratorConfig
from tandem_orchestrator.app import App
from tandem_orchestrator.retrieval.embedding.engine_embedder import EngineEmbedder
from tandem_orchestrator.retrieval.embedding.static_embedder import StaticEmbedder

from tests import static_model
from tests.sockets.running import until


def config(**embedding):
    upstreams = [{"name": "engine", "url": "http://127.0.0.1:1", "model": "m"}]
    return OrchestratorConfig.model_validate({"upstreams": upstreams, "retrieval": {"embedding": embedding}})


@pytest.fixture
async def embedders():
    made = App(config()).embedders
    watching = asyncio.create_task(made.watch())
    yield made
    watching.cancel()
    await asyncio.wait([watching])
    await made.close()


async def test_it_follows_the_settings(embedders):
    assert embedders.now is None
    assert embedders.problems == []
    embedders.update(config(model="m"))
    assert isinstance(embedders.now, EngineEmbedder)
    before = embedders.now
    embedders.update(config(model="m"))
    assert embedders.now is before
    embedders.update(config(path=str(static_model.folder())))
    assert isinstance(embedders.now, StaticEmbedder)
    await until(lambda: embedders.now.identity.fingerprint, 30)
    embedders.update(config())
    assert embedders.now is None


async def test_a_model_that_is_not_there_shows(embedders, tmp_path):
    embedders.update(config(path=str(tmp_path)))
    (problem,) = embedders.problems
    assert problem.startswith(f"embedding: retrieval.embedding.path: {tmp_path} has no model.safetensors")
