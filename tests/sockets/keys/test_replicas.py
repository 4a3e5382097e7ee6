"""Several replicas, their files and their database, while these change and fail."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.sockets.keys.service import ADMIN, admin, ask, make, until_status, with_admin
from tests.sockets.postgres import door_to
from tests.sockets.running import config_for, until


@pytest.fixture(autouse=True)
def looks_often(monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.auth.keys.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("tandem_orchestrator.auth.keys.MOST_SECONDS", 0.2)


async def test_keys_of_one_replica_count_on_the_other(serve, engine, tmp_path, url):
    one, other = [await serve(with_admin(engine, tmp_path, url)) for _ in range(2)]
    key_id, key = await make(one)
    assert await ask(one, key) == 200
    await until_status(other, key, 200)
    await admin(one, "PATCH", f"/{key_id}", json={"requestsPerMinute": 3})
    headers = [(b"x-api-key", key.encode())]
    await until(lambda: other.app.services.keys.identify(headers).limits.requests_per_minute == 3)
    assert (await admin(other, "DELETE", f"/{key_id}"))[0] == 200
    assert await ask(other, key) == 401
    await until_status(one, key, 401)


async def test_replicas_that_start_at_once_on_an_empty_database(serve, engine, tmp_path, url):
    replicas = await asyncio.gather(*(serve(with_admin(engine, tmp_path, url)) for _ in range(4)))
    _, key = await make(replicas[0])
    for replica in replicas:
        await until_status(replica, key, 200)


async def test_more_keys_than_a_page(serve, engine, tmp_path, url, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.auth.stored_keys.PAGE", 2)
    one = await serve(with_admin(engine, tmp_path, url))
    made = [await make(one) for _ in range(5)]
    await admin(one, "DELETE", f"/{made[1][0]}")
    other = await serve(with_admin(engine, tmp_path, url))
    assert [await ask(other, key) for _, key in made] == [200, 401, 200, 200, 200]


async def test_the_first_key_shuts_an_open_door(serve, engine, tmp_path):
    url = f"sqlite:///{tmp_path}/tandem.db"
    service = await serve(config_for(engine, database={"url": url}))
    assert await ask(service, None) == 200
    assert (await service.get("/health"))[1]["authentication"].startswith("none: ")
    elsewhere = await serve(with_admin(engine, tmp_path, url))
    key_id, key = await make(elsewhere)
    await until_status(service, None, 401)
    assert await ask(service, key) == 200
    assert "authentication" not in (await service.get("/health"))[1]
    assert (await service.get("/health", authorization=f"Bearer {key}"))[1]["authentication"] == "keys"
    await admin(elsewhere, "DELETE", f"/{key_id}")
    await until_status(service, key, 401)
    assert await ask(service, None) == 401  # the last key's end does not open it again


async def test_a_database_that_goes_away_and_comes_back(serve, engine, tmp_path, postgres):
    url = await postgres.create()
    async with door_to(url) as door:
        service = await serve(with_admin(engine, tmp_path, door.url))
        elsewhere = await serve(with_admin(engine, tmp_path, url))
        key_id, key = await make(service)
        await door.shut()
        problems = lambda: service.app.services.keys.problems  # noqa: E731
        await until(problems)
        assert await ask(service, key) == 200
        assert await ask(service, "tk-unknown") == 503  # it may have been made meanwhile
        async with service.client.post(
            "/admin/keys", json={"tenant": "t"}, headers={"X-API-Key": "the-admin-key"}
        ) as answer:
            assert (answer.status, answer.headers["retry-after"]) == (503, "5")
            assert (await answer.json())["error"]["code"] == "database_unavailable"
        status, ready = await service.get("/ready", **ADMIN)
        assert (status, ready["status"]) == (200, "ready")
        assert any(line.startswith("database: ") for line in ready["degraded"])
        assert (await service.get("/health"))[1]["status"] == "degraded"
        _, late = await make(elsewhere)
        await admin(elsewhere, "DELETE", f"/{key_id}")
        await door.open()
        await until_status(service, late, 200)
        assert await ask(service, key) == 401
        assert await ask(service, "tk-unknown") == 401
        assert not problems()


async def test_a_database_that_is_down_at_the_start(serve, engine, tmp_path, postgres):
    (tmp_path / "keys.yaml").write_text("- {name: alice, key: tk-of-alice}")
    url = await postgres.create()
    elsewhere = await serve(with_admin(engine, tmp_path, url))
    _, key = await make(elsewhere)
    async with door_to(url) as door:
        await door.shut()
        files = [{"file": str(tmp_path / "keys.yaml")}]
        service = await serve(config_for(engine, keys={"files": files}, database={"url": door.url}))
        assert (await service.get("/ready"))[0] == 200
        assert [await ask(service, each) for each in ("tk-of-alice", key, None)] == [200, 503, 401]
        await door.open()
        await until_status(service, key, 200)


async def test_a_door_whose_keys_are_unknown_stays_shut(serve, engine, postgres):
    async with door_to(await postgres.create()) as door:
        await door.shut()
        service = await serve(config_for(engine, database={"url": door.url}))
        assert await ask(service, None) == 503
        await door.open()
        await until_status(service, None, 200)  # there are none


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)  # as well where others have the file open


async def test_a_database_from_a_backup(serve, engine, tmp_path):
    path, backup = tmp_path / "tandem.db", tmp_path / "backup.db"
    service = await serve(with_admin(engine, tmp_path, f"sqlite:///{path}"))
    _, early = await make(service)
    await asyncio.to_thread(_copy, path, backup)
    _, late = await make(service)
    await asyncio.to_thread(_copy, backup, path)
    await until_status(service, late, 401)
    assert await ask(service, early) == 200


async def test_an_emptied_database_opens_no_door(serve, engine, tmp_path):
    path, empty = tmp_path / "tandem.db", tmp_path / "empty.db"
    await make(await serve(with_admin(engine, tmp_path, f"sqlite:///{path}")))
    service = await serve(config_for(engine, database={"url": f"sqlite:///{path}"}))
    await admin(await serve(with_admin(engine, tmp_path, f"sqlite:///{empty}")), "GET")
    await asyncio.to_thread(_copy, empty, path)
    await until(lambda: not service.app.services.keys._stored.keys)
    assert await ask(service, None) == 401


async def test_a_database_that_is_as_new_and_has_other_keys(serve, engine, tmp_path):
    path, fork = tmp_path / "tandem.db", tmp_path / "fork.db"
    service = await serve(with_admin(engine, tmp_path, f"sqlite:///{path}"))
    _, early = await make(service)
    await asyncio.to_thread(_copy, path, fork)
    other = await serve(with_admin(engine, tmp_path, f"sqlite:///{fork}"))
    (_, lost), (_, new) = await make(service), await make(other)
    await until_status(service, lost, 200)
    await asyncio.to_thread(_copy, fork, path)
    await until_status(service, new, 200)
    assert [await ask(service, key) for key in (early, lost)] == [200, 401]


async def test_another_server_that_lacks_the_last_changes(serve, engine, tmp_path, postgres):
    url = await postgres.create()
    async with door_to(url) as door:
        service = await serve(with_admin(engine, tmp_path, door.url))
        _, early = await make(service)
        await door.shut()
        copy = await postgres.copy(url)
        await door.open()
        _, lost = await make(service)
        other = await serve(with_admin(engine, tmp_path, copy))
        _, new = await make(other)
        await other.stop()
        await door.shut()
        await until(lambda: service.app.services.keys.problems)
        await postgres.swap(url, copy)
        await door.open()
        await until_status(service, new, 200)
        assert [await ask(service, key) for key in (early, lost)] == [200, 401]


async def test_files_change_while_it_serves(serve, engine, tmp_path):
    path = tmp_path / "keys.yaml"
    path.write_text("- {name: alice, key: tk-of-alice}")
    service = await serve(config_for(engine, keys={"files": [{"file": str(path)}]}))
    assert await ask(service, "tk-of-alice") == 200
    path.write_text("- {name: alice, key: tk-of-alice}\n- {name: bob, key: tk-of-bob}")
    await until_status(service, "tk-of-bob", 200)
    path.write_text("- {name: bob, key: ")
    await until(lambda: service.app.services.keys.problems)
    alice = {"authorization": "Bearer tk-of-alice"}
    _, health = await service.get("/health", **alice)
    assert health["status"] == "degraded"
    assert f"{path}: this is not YAML (line 1" in health["problems"][0]
    assert [await ask(service, f"tk-of-{name}") for name in ("alice", "bob")] == [200, 200]
    async with service.client.get("/metrics", headers=alice) as response:
        assert "tandem_key_files_broken 1.0" in await response.text()
    path.write_text("- {name: bob, key: tk-of-bob}")
    await until_status(service, "tk-of-alice", 401)
    assert await ask(service, "tk-of-bob") == 200
    assert (await service.get("/health", authorization="Bearer tk-of-bob"))[1]["problems"] == []
