"""/health and /ready while something is amiss."""

import asyncio
from importlib.metadata import version

from tests.orchestrator.process import free_port
from tests.orchestrator.running import config_for

NOBODY = f"127.0.0.1:{free_port()}"


async def until_problem(orchestrator, word):
    async with asyncio.timeout(5):
        while True:
            _, health = await orchestrator.get("/health")
            if found := [problem for problem in health["problems"] if word in problem]:
                return health, found[0]


async def test_a_service_in_order(serve, engine):
    orchestrator = await serve(config_for(engine, keys={"values": ["k"]}))
    status, health = await orchestrator.get("/health")
    assert (status, health["status"], health["problems"]) == (200, "ok", [])
    assert (health["version"], health["authentication"]) == (version("tandem-orchestrator"), "keys")


async def test_redis_that_is_away_degrades_and_fails_nobody(serve, engine):
    settings = {"redis": {"url": f"redis://{NOBODY}", "syncSeconds": 0.02}}
    orchestrator = await serve(config_for(engine, **settings))
    health, _ = await until_problem(orchestrator, "limits across replicas: ")
    assert health["status"] == "degraded"
    assert (await orchestrator.get("/ready"))[0] == 200
    assert (await orchestrator.chat())[0] == 200


async def test_a_database_that_is_away_degrades_and_fails_nobody(serve, engine):
    settings = {"database": {"url": f"postgresql://me:hush@{NOBODY}/keys"}, "keys": {"required": False}}
    orchestrator = await serve(config_for(engine, **settings))
    health, problem = await until_problem(orchestrator, "database: ")
    assert health["status"] == "degraded"
    assert "hush" not in problem
    async with orchestrator.client.get("/metrics") as response:
        assert "\ntandem_database_down 1.0\n" in await response.text()
    assert (await orchestrator.get("/ready"))[0] == 200
    assert (await orchestrator.chat())[0] == 200
