"""What engines are told of who comes first."""

import pytest

from tests.engine_double import EngineDouble
from tests.sockets.running import config_for, question

KEYS = {"keys": {"values": ["a:a-key", "b:b-key"]}, "tenants": [{"name": "b", "serviceClass": "batch"}]}


async def told(orchestrator, engine, tenant):
    """The priority that the engine gets of a client who wants to be the first."""
    headers = {"authorization": f"Bearer {tenant}-key"}
    body = question(priority=-1000)
    async with orchestrator.client.post("/v1/chat/completions", json=body, headers=headers) as response:
        assert response.status == 200, await response.text()
    return engine.seen[-1].body.get("priority")


@pytest.mark.parametrize("takes", [True, False])
async def test_batch_comes_last_in_an_engine_that_knows_priorities(serve, engine, takes):
    config = config_for(engine, **KEYS)
    config.upstreams[0].priority = engine.priorities = takes
    orchestrator = await serve(config)
    assert await told(orchestrator, engine, "a") is None
    assert await told(orchestrator, engine, "b") == (1 if takes else None)


async def test_a_fallback_that_knows_no_priorities_is_told_none(serve, engine):
    engine.priorities = True
    async with EngineDouble("other") as other:
        settings = {"models": [{"name": "double", "fallback": "other"}], "hold": {"maxRequests": 0}}
        config = config_for(engine, other, **KEYS, **settings)
        config.upstreams[0].priority = True
        orchestrator = await serve(config)
        engine.stop()
        assert await told(orchestrator, other, "b") is None
