"""Some replicas take the old key alone, and others the new one."""

import asyncio

import pytest

from tests.engine_double import EngineDouble, Reply
from tests.sockets.routing.crowd import asking
from tests.sockets.running import config_for, until


@pytest.fixture
async def twin(engine):
    async with EngineDouble(host="127.0.0.2", port=engine.port) as double:
        yield double


@pytest.fixture
def keys(tmp_path, monkeypatch):
    """The files of both keys; `write` replaces them as Kubernetes does, at once."""
    monkeypatch.setattr("tandem_orchestrator.engines.credentials.LOOK_EVERY", 0.05)

    async def resolved(host, port):
        return ["127.0.0.1", "127.0.0.2"]

    monkeypatch.setattr("tandem_orchestrator.engines.upstream.resolve", resolved)

    def write(now, before):
        for name, key in (("now", now), ("before", before)):
            if key is None:
                (tmp_path / name).unlink(missing_ok=True)
            else:
                (tmp_path / "fresh").write_text(key)
                (tmp_path / "fresh").replace(tmp_path / name)
        return {"api_key_file": str(tmp_path / "now"), "previous_api_key_file": str(tmp_path / "before")}

    return write


def locked(engine, keys, **settings):
    url = f"http://engine.test:{engine.port}"
    upstream = {"name": "engine", "url": url, "model": "double", "discovery": "dns", **keys}
    return config_for(upstreams=[upstream], **{"routing": {"prefixAffinity": False}, **settings})


def all_ready(orchestrator):
    return all(replica.ready for replica in orchestrator.upstreams.all[0].replicas)


async def restart(engine, key):
    """As its pod is replaced by one with another key."""
    await engine.drain()
    engine.api_key = key
    await engine.start()


async def test_a_rotation_under_load_fails_nobody(serve, engine, twin, keys):
    engine.api_key = twin.api_key = "old"
    orchestrator = await serve(locked(engine, keys("old", None)))
    engine.rule = twin.rule = lambda _: Reply(before_first_byte=0.005)
    async with asking(orchestrator) as crowd:
        await crowd.answers(60)
        keys("new", "old")
        await crowd.answers(60)
        for each in (engine, twin):
            await restart(each, "new")
            await until(lambda: all_ready(orchestrator))
            await crowd.answers(60)
        keys("new", None)
        await crowd.answers(60)
        keys("newest", "new")
        await restart(twin, "newest")
        await until(lambda: all_ready(orchestrator))
        await crowd.answers(60)


async def test_which_key_it_takes_is_remembered(serve, engine, twin, keys):
    twin.api_key = engine.api_key = "old"
    orchestrator = await serve(locked(engine, keys("new", "old")))
    assert all_ready(orchestrator)
    for _ in range(6):
        assert (await orchestrator.chat())[0] == 200
    asked = [seen.headers["authorization"] for seen in engine.seen + twin.seen]
    assert asked == ["Bearer old"] * 6, "the checks have found it out already"
    engine.api_key = "new"
    orchestrator.upstreams.all[0].replicas[0].doubt()
    engine.seen.clear()
    for _ in range(6):
        assert (await orchestrator.chat())[0] == 200
    asked = [seen.headers["authorization"] for seen in engine.seen]
    assert asked[-1] == "Bearer new"
    assert asked.count("Bearer old") <= 1


@pytest.mark.parametrize("before", ["old", None, "two words"])
async def test_an_engine_that_takes_neither_is_down(serve, engine, keys, before, capsys):
    engine.api_key = "secret"
    orchestrator = await serve(locked(engine, keys("new", before)))
    assert not orchestrator.upstreams.all[0].ready
    status, answer = await orchestrator.chat()
    assert (status, answer["error"]["code"]) == (502, "engine_key_refused")
    assert not engine.seen
    assert "old" not in capsys.readouterr().out


async def test_requests_wait_for_a_key_that_a_new_replica_has_before_us(serve, engine, twin, keys, monkeypatch):
    """As a pod's successor is ready before the kubelet has written the Secret's new key into its file."""
    pods = ["127.0.0.1"]

    async def resolved(host, port):
        return list(pods)

    monkeypatch.setattr("tandem_orchestrator.engines.upstream.resolve", resolved)
    engine.api_key, twin.api_key = "old", "new"
    orchestrator = await serve(locked(engine, keys("old", None)))
    assert (await orchestrator.chat())[0] == 200
    pods[:] = ["127.0.0.2"]
    await engine.drain()
    await until(lambda: "401" in str(orchestrator.upstreams.all[0].replicas[0].problem))
    asking = asyncio.ensure_future(orchestrator.chat())
    await until(lambda: orchestrator.app.services.dispatcher._hold.waiting.count == 1 or asking.done())
    keys("new", None)
    assert (await asking)[0] == 200


async def test_a_request_is_asked_twice_at_most(serve, engine, twin, keys, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.engines.probe.CHECK_SECONDS", 60)
    engine.api_key = twin.api_key = "new"
    settings = {"routing": {"retries": 0, "prefixAffinity": False}, "hold": {"maxRequests": 0}}
    orchestrator = await serve(locked(engine, keys("new", "old"), **settings))
    engine.api_key = twin.api_key = "another"
    assert (await orchestrator.chat())[0] == 502
    asked = [seen.headers["authorization"] for seen in engine.seen + twin.seen]
    assert asked == ["Bearer new", "Bearer old"]


async def test_a_previous_key_comes_without_a_new_connection(serve, engine, twin, keys):
    engine.api_key = twin.api_key = "old"
    config = locked(engine, {**keys("old", None), "previous_api_key_file": None})
    orchestrator = await serve(config)
    replicas = orchestrator.upstreams.all[0].replicas
    orchestrator.app.reload(locked(engine, keys("new", "old")))
    assert orchestrator.upstreams.all[0].replicas == replicas
    for _ in range(4):
        assert (await orchestrator.chat())[0] == 200
