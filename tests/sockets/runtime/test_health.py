"""/health and /ready while something is amiss."""

import asyncio
from importlib.metadata import version

from tandem_orchestrator.retrieval import extras
from tandem_orchestrator.retrieval.parsing import kinds

from tests.sockets.process import free_port
from tests.sockets.running import config_for

NOBODY = f"127.0.0.1:{free_port()}"


async def until_problem(orchestrator, word, **headers):
    async with asyncio.timeout(20):
        while True:
            _, health = await orchestrator.get("/health", **headers)
            if found := [problem for problem in health["problems"] if word in problem]:
                return health, found[0]


async def test_a_service_in_order(serve, engine):
    orchestrator = await serve(config_for(engine, keys={"values": ["k"]}))
    status, health = await orchestrator.get("/health", authorization="Bearer k")
    assert (status, health["status"], health["problems"]) == (200, "ok", [])
    assert (health["version"], health["authentication"]) == (version("tandem-orchestrator"), "keys")


async def test_redis_that_is_away_degrades_and_fails_nobody(serve, engine):
    settings = {"redis": {"url": f"redis://{NOBODY}", "syncSeconds": 0.02}}
    orchestrator = await serve(config_for(engine, **settings))
    health, _ = await until_problem(orchestrator, "limits across replicas: ")
    assert health["status"] == "degraded"
    assert (await orchestrator.get("/ready"))[0] == 200
    assert (await orchestrator.chat())[0] == 200


async def test_tools_that_cannot_be_had_degrade_and_fail_nobody(serve, engine, tmp_path):
    (tmp_path / "empty").write_text("")
    empty = {"file": str(tmp_path / "empty")}
    order = {"name": "order", "description": "x", "url": "https://shop.example/"}
    tools = {
        "python": [{"name": "missing"}],
        "openapi": [{"name": "shop", "document": empty}],
        "queryDatabase": {"urlFrom": empty},
        "http": [{**order, "secretHeaders": [{"name": "authorization", "value": empty}]}],
    }
    orchestrator = await serve(config_for(engine, tools=tools))
    status, ready = await orchestrator.get("/ready")
    assert (status, ready["status"]) == (200, "ready")
    assert [line.partition(": ")[0] for line in ready["degraded"]] == [
        "tools of openapi shop",
        "tools of python missing",
        "tools of query_database",
        "tools.queryDatabase.urlFrom",
        "tools.http.0.secretHeaders.0.value",
        "tools.openapi.0.document",
    ]
    assert (await orchestrator.chat())[0] == 200
    assert 'tandem_tool_sources_absent{source="python missing"} 1.0' in await text(orchestrator, "/metrics")
    (tmp_path / "empty").write_text(f"sqlite:///{tmp_path}/shop.db")
    assert "tools.http.0.secretHeaders.0.value" not in await text(orchestrator, "/ready")


async def text(orchestrator, path):
    async with orchestrator.client.get(path) as response:
        return await response.text()


async def test_a_database_that_is_away_degrades_and_fails_nobody(serve, engine):
    database = {"url": f"postgresql://me:hush@{NOBODY}/keys"}
    orchestrator = await serve(config_for(engine, database=database, keys={"values": ["k"], "required": False}))
    key = {"authorization": "Bearer k"}
    health, problem = await until_problem(orchestrator, "database: ", **key)
    assert health["status"] == "degraded"
    assert "hush" not in problem
    async with orchestrator.client.get("/metrics", headers=key) as response:
        assert "\ntandem_database_down 1.0\n" in await response.text()
    assert (await orchestrator.get("/ready"))[0] == 200
    assert (await orchestrator.chat())[0] == 200


async def test_what_cannot_be_read_for_want_of_a_library_degrades_nobody(serve, engine, tmp_path, monkeypatch):
    monkeypatch.setitem(kinds.LIBRARIES, "pdf", "no_such_library")
    settings = config_for(engine, files={"folder": str(tmp_path)})
    orchestrator = await serve(settings)
    _, health = await orchestrator.get("/health")
    assert (health["status"], health["problems"]) == ("ok", [])
    assert any(line.startswith("pdf files are not read: ") for line in health["limitations"])
    status, ready = await orchestrator.get("/ready")
    assert (status, ready["degraded"], ready["limitations"]) == (200, [], health["limitations"])
    orchestrator.app.reload(config_for(engine, files={"enabled": False}))
    assert (await orchestrator.get("/ready"))[1]["limitations"] == []


async def test_vectors_that_sqlite_cannot_keep_are_a_problem(serve, engine, tmp_path, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    files = {"folder": str(tmp_path)}
    orchestrator = await serve(config_for(engine, files=files, retrieval={"embedding": {"model": "double"}}))
    _, line = await until_problem(orchestrator, "NumPy")
    assert line.startswith("retrieval: vector stores on SQLite need NumPy")
    orchestrator.app.reload(config_for(engine, files=files))
    assert (await orchestrator.get("/health"))[1]["problems"] == []
