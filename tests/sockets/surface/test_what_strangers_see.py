"""Health and metrics: the state for everybody, the rest for those who have a key."""

import pytest
from tandem_orchestrator.config import Source
from tandem_orchestrator.process.reload import Reloader

from tests.sockets.keys.service import ADMIN, with_admin
from tests.sockets.running import config_for, until

KEY = {"authorization": "Bearer right"}
READY = {"status": "ready", "degraded": [], "limitations": [], "at_work": []}
FORWARDED = {
    "x-forwarded-for": "127.0.0.1",
    "x-real-ip": "127.0.0.1",
    "forwarded": "for=127.0.0.1",
    "host": "localhost",
}
STRANGERS = [{}, {"authorization": "Bearer wrong"}, {"x-api-key": "wrong"}, {"authorization": "Basic x"}, FORWARDED]


@pytest.fixture
async def locked(serve, engine):
    return await serve(config_for(engine, keys={"values": ["team:right"]}))


@pytest.mark.parametrize("headers", STRANGERS)
async def test_strangers_are_told_the_state(locked, engine, headers):
    assert await locked.get("/ready", **headers) == (200, {"status": "ready"})
    assert await locked.get("/health", **headers) == (200, {"status": "ok"})
    engine.stop()
    locked.upstreams.all[0].replicas[0].doubt()
    await until(lambda: not locked.upstreams.all[0].ready)
    assert await locked.get("/ready", **headers) == (200, {"status": "ready"})
    assert await locked.get("/health", **headers) == (200, {"status": "degraded"})
    locked.app.services.state.draining = True
    async with locked.client.get("/ready", headers=headers) as response:
        assert (response.status, await response.json()) == (503, {"status": "draining"})


@pytest.mark.parametrize("headers", STRANGERS)
async def test_strangers_get_no_metrics(locked, headers):
    async with locked.client.get("/metrics", headers=headers) as response:
        assert (response.status, response.headers["www-authenticate"]) == (401, "Bearer")
        assert "server.metricsPort" in (await response.json())["error"]["message"]


@pytest.mark.parametrize("headers", [KEY, {"x-api-key": "right"}])
async def test_holders_of_a_key_are_told_all(locked, engine, headers):
    _, health = await locked.get("/health", **headers)
    assert (health["backend"], health["upstreams"][0]["ready"]) == (engine.url, True)
    status, ready = await locked.get("/ready", **headers)
    assert [told["upstream"] for told in ready.pop("outcomes")] == ["engine-0"]
    ready.pop("kv_tokens")  # an engine is asked for it once a second
    assert (status, ready) == (200, READY)
    async with locked.client.get("/metrics", headers=headers) as response:
        assert "tandem_upstream_ready" in await response.text()


async def test_the_admin_key_is_a_key(serve, engine, tmp_path):
    service = await serve(with_admin(engine, tmp_path, f"sqlite:///{tmp_path}/tandem.db"))
    assert "upstreams" not in (await service.get("/health"))[1]
    assert "upstreams" in (await service.get("/health", **ADMIN))[1]
    (tmp_path / "admin").unlink()
    assert await service.get("/health", **ADMIN) == (200, {"status": "degraded"})


async def test_asking_without_a_key_is_no_failed_attempt(locked):
    async def failures():
        async with locked.client.get("/metrics", headers=KEY) as response:
            return [line for line in (await response.text()).splitlines() if "tandem_auth_failures_total{" in line]

    before = await failures()
    for path in ("/ready", "/health", "/live"):
        await locked.get(path)
    assert await failures() == before


async def test_a_broken_file_shows_nothing_of_itself(serve, engine, tmp_path, capsys):
    file = tmp_path / "config.yaml"
    good = f"upstreams: [{{name: a, url: '{engine.url}'}}]\n"
    file.write_text(good)
    source = Source(file, {})
    config = source.load()
    orchestrator = await serve(config)
    reloader = Reloader(source, config, orchestrator.app.services.state, orchestrator.app.reload)
    for text in ('redis: {url: "redis://:hush-hush@r:6379/0', "redis: redis://:hush/hush@r:6379/0"):
        file.write_text(good + text)
        reloader._reload()
        for path in ("/ready", "/health"):
            async with orchestrator.client.get(path) as response:
                told = await response.text()
            assert "configuration: " in told
            assert "hush" not in told
    assert "hush" not in capsys.readouterr().out
