"""A changed configuration in a serving orchestrator."""

import asyncio

import pytest
import yaml
from tandem_contract.config import OrchestratorConfig
from tandem_orchestrator.config import Source
from tandem_orchestrator.process.reload import Reloader

from tests.engine_double import EngineDouble, Reply
from tests.sockets.running import QUESTION, question, until
from tests.sockets.runtime.collector import Collector

CHAT = "/v1/chat/completions"
ORDER = {
    "name": "order",
    "description": "Looks an order up.",
    "url": "https://shop.example/",
    "parameters": {"properties": {"id": {"type": "nothing"}}},
}


@pytest.fixture(autouse=True)
def looks_often(monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.process.reload.POLL_SECONDS", 0.01)


class File:
    """A configuration file as Kubernetes mounts it: replaced through a symbolic link, never written."""

    def __init__(self, folder):
        self.path = folder / "config.yaml"
        self._folder = folder
        self._written = 0

    def write(self, **settings):
        self._written += 1
        version = self._folder / f"..{self._written}"
        version.mkdir()
        (version / "config.yaml").write_text(yaml.safe_dump(settings))
        link = self._folder / "..new"
        link.symlink_to(version)
        link.replace(self._folder / "..data")
        if not self.path.is_symlink():
            self.path.symlink_to(self._folder / "..data" / "config.yaml")


@pytest.fixture
async def running(serve, engine, tmp_path):
    """Serves from a file; `running.file.write(…)` changes it."""
    file = File(tmp_path)
    file.write(upstreams=[upstream(engine)])
    source = Source(file.path, {})
    config = source.load()
    orchestrator = await serve(config)
    reloader = Reloader(source, config, orchestrator.app.services.state, orchestrator.app.reload)
    watching = asyncio.create_task(reloader.watch())
    orchestrator.file, orchestrator.reloader = file, reloader
    yield orchestrator
    watching.cancel()


def upstream(engine, **fields):
    return {"name": engine.model, "url": engine.url, "model": engine.model, **fields}


async def metric(orchestrator, name):
    async with orchestrator.client.get("/metrics") as response:
        lines = (await response.text()).splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))


async def until_status(orchestrator, status, **fields):
    async with asyncio.timeout(20):
        while (await orchestrator.chat(**fields))[0] != status:
            pass


async def test_models_limits_and_origins_change_while_serving(running, engine):
    models = [{"name": "double", "aliases": ["other-name"]}]
    cors = {"cors": {"allowOrigins": ["https://chat.example.com"]}}
    assert (await running.chat(model="other-name"))[0] == 404
    running.file.write(
        upstreams=[upstream(engine)], models=models, server=cors, limits={"maxBodyBytes": 2000}, tools={"enabled": []}
    )
    await until_status(running, 200, model="other-name")
    assert (await running.chat(padding="x" * 3000))[0] == 413
    async with running.client.get("/live", headers={"origin": "https://chat.example.com"}) as response:
        assert response.headers["access-control-allow-origin"] == "https://chat.example.com"
    assert (await running.get("/health"))[1]["tools"] == []


async def test_keys_prompts_and_what_spans_say_change_too(serve, engine):
    async with Collector() as collector:
        settings = {"upstreams": [upstream(engine)], "tracing": {"endpoint": collector.url}}
        orchestrator = await serve(OrchestratorConfig.model_validate(settings))
        assert (await orchestrator.chat())[0] == 200
        settings |= {"upstreams": [upstream(engine, type="openai")], "keys": {"values": ["k"]}}
        settings["logging"] = {"prompts": True}
        orchestrator.app.reload(OrchestratorConfig.model_validate(settings))
        assert (await orchestrator.chat())[0] == 401
        assert orchestrator.app.asgi.log_prompts
        assert orchestrator.app.parts[-1]._providers == {"double": "openai"}
        await orchestrator.stop()


async def test_a_stream_goes_on_at_an_engine_that_is_taken_out(running, engine):
    engine.replies.append(Reply(" ".join(["word"] * 20), between_pieces=0.02))
    async with EngineDouble("large") as large:
        async with running.client.post(CHAT, json=question(stream=True)) as response:
            await response.content.readline()
            running.file.write(upstreams=[upstream(large)])
            await until_status(running, 200, model="large")
            assert (await running.chat(model="double"))[0] == 404
            text = await response.text()
        assert text.count(" word") == 19
        assert text.endswith("data: [DONE]\n\n")
    await until(lambda: engine.connections == 0)


async def test_a_refused_file_changes_nothing_and_shows(running, engine):
    before = await metric(running, "tandem_config_reload_timestamp_seconds")
    running.file.write(upstreams=[upstream(engine)], limits={"maxBodyBytes": "many"}, models=[{"nome": "x"}])
    await until(lambda: running.app.services.state.refused)
    assert (await running.chat())[0] == 200
    _, health = await running.get("/health")
    assert health["status"] == "degraded"
    assert [problem.split(":")[1].strip() for problem in health["problems"] if "configuration" in problem] == [
        "limits.maxBodyBytes",
        "models.0.name",
        "models.0.nome",
    ]
    assert (await running.get("/ready"))[0] == 200
    assert await metric(running, "tandem_config_reload_success") == 0
    assert await metric(running, "tandem_config_reload_timestamp_seconds") == before

    running.file.write(upstreams=[upstream(engine)], models=[{"name": "double", "aliases": ["x"]}])
    await until_status(running, 200, model="x")
    assert (await running.get("/health"))[1]["status"] == "ok"
    assert await metric(running, "tandem_config_reload_success") == 1


async def test_a_tool_that_cannot_be_is_refused(running, engine):
    running.file.write(upstreams=[upstream(engine)], tools={"http": [ORDER]})
    await until(lambda: running.app.services.state.refused)
    (problem,) = (await running.get("/health"))[1]["problems"]
    assert "tools.http.0.parameters.properties.id.type: no JSON schema" in problem
    assert (await running.chat())[0] == 200


async def test_a_tool_that_is_not_there_is_absent_and_the_rest_of_the_file_counts(running, engine):
    models = [{"name": "double", "aliases": ["x"]}]
    running.file.write(upstreams=[upstream(engine)], models=models, tools={"python": [{"name": "nowhere:nothing"}]})
    await until_status(running, 200, model="x")
    toolbox = running.app.services.toolbox
    await until(lambda: "not reached yet" not in toolbox.degraded()[0])
    (problem,) = (await running.get("/health"))[1]["problems"]
    assert problem.startswith("tools of python nowhere:nothing: tools.python.0: the image does not have it")


async def test_what_needs_a_restart_is_said_and_the_rest_counts(running, engine):
    models = [{"name": "double", "aliases": ["x"]}]
    running.file.write(upstreams=[upstream(engine)], models=models, server={"workers": 4}, redis={"url": "redis://r"})
    await until_status(running, 200, model="x")
    assert (await running.get("/health"))[1]["needs_restart"] == ["redis", "server.workers"]
    running.file.write(upstreams=[upstream(engine)])
    await until(lambda: not running.app.services.state.needs_restart)


async def test_asked_for_it_reads_an_unchanged_file_again(running, monkeypatch):
    taken = running.app.services
    running.reloader.ask()
    await until(lambda: running.app.services is not taken)
    taken = running.app.services
    for _ in range(5):
        await running.chat(messages=QUESTION)
    assert running.app.services is taken, "nobody asked"
