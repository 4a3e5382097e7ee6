"""The admin API over sockets, on SQLite and PostgreSQL."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import openai
import pytest
import structlog
from sqlalchemy import text

from tests.sockets.keys.service import ADMIN, admin, ask, make, with_admin
from tests.sockets.running import config_for


@pytest.fixture
async def service(serve, engine, tmp_path, url):
    return await serve(with_admin(engine, tmp_path, url, values=["team-b:an-ordinary-key"]))


@pytest.fixture
async def on_sqlite(serve, engine, tmp_path):
    return await serve(with_admin(engine, tmp_path, f"sqlite:///{tmp_path}/tandem.db", values=["an-ordinary-key"]))


async def test_a_key_from_its_making_to_its_end(service):
    terms = {
        "tenant": "team-a",
        "name": "alice",
        "models": ["double"],
        "tools": [],
        "requestsPerMinute": 60,
        "tokensPerMinute": 100_000,
        "concurrentRequests": 4,
        "tokensPerDay": 1_000_000,
        "tokensPerMonth": 10_000_000,
        "expires": "2999-01-01T00:00:00Z",
    }
    status, made = await admin(service, "POST", json=terms)
    assert status == 201
    key, key_id = made.pop("key"), made["id"]
    assert re.fullmatch(r"tk-[\w-]{43}", key)
    assert made["prefix"] == key[:10]
    assert {**made, **terms} == made
    assert made["revoked"] is None

    assert await ask(service, key) == 200
    principal = service.app.services.keys.identify([(b"x-api-key", key.encode())])
    assert (principal.key_id, principal.tenant, principal.models) == (key_id, "team-a", frozenset({"double"}))
    assert (principal.limits.requests_per_minute, principal.limits.tokens_per_month) == (60, 10_000_000)

    assert await admin(service, "GET", f"/{key_id}") == (200, made)
    assert await admin(service, "GET") == (200, {"keys": [made], "next": None})

    status, revoked = await admin(service, "DELETE", f"/{key_id}")
    assert status == 200
    assert revoked["revoked"] is not None
    assert await ask(service, key) == 401
    assert await admin(service, "DELETE", f"/{key_id}") == (200, revoked)
    assert await admin(service, "GET", f"/{key_id}") == (200, revoked)


async def test_the_openai_client_works_with_a_key(on_sqlite):
    _, key = await make(on_sqlite)
    async with openai.AsyncOpenAI(base_url=f"{on_sqlite.url}/v1", api_key=key, max_retries=0) as client:
        await client.chat.completions.create(model="double", messages=[{"role": "user", "content": "Hello"}])
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.with_options(api_key=f"{key}x").models.list()
    assert caught.value.response.headers["www-authenticate"] == "Bearer"
    assert key not in caught.value.response.text


async def test_lists_have_pages_and_tenants(service):
    made = [(await make(service, tenant=tenant, name=f"n{n}"))[0] for n, tenant in enumerate(["a", "b", "a", "a", "b"])]
    _, first = await admin(service, "GET", "?limit=2")
    assert ([key["id"] for key in first["keys"]], first["next"]) == (made[:2], made[1])
    _, second = await admin(service, "GET", f"?limit=2&after={first['next']}")
    _, third = await admin(service, "GET", f"?limit=2&after={second['next']}")
    assert ([key["id"] for key in third["keys"]], third["next"]) == (made[4:], None)
    _, of_a = await admin(service, "GET", "?tenant=a&limit=3")
    assert ([key["name"] for key in of_a["keys"]], of_a["next"]) == (["n0", "n2", "n3"], None)


async def test_terms_change_at_once(service):
    key_id, key = await make(service, requestsPerMinute=5, tokensPerDay=7, models=["double"])
    status, changed = await admin(service, "PATCH", f"/{key_id}", json={"requestsPerMinute": 9, "models": None})
    assert (status, changed["requestsPerMinute"], changed["tokensPerDay"], changed["models"]) == (200, 9, 7, None)
    principal = service.app.services.keys.identify([(b"x-api-key", key.encode())])
    assert (principal.limits.requests_per_minute, principal.limits.tokens_per_day, principal.models) == (9, 7, None)
    await admin(service, "PATCH", f"/{key_id}", json={"expires": "2020-01-01T00:00:00Z"})
    assert await ask(service, key) == 401
    assert (await admin(service, "PATCH", "/key-unknown", json={"name": "x"}))[0] == 404
    assert (await admin(service, "PATCH", f"/{key_id}", json={"tenant": "x"}))[0] == 422


async def test_a_lifetime_counts_from_now(on_sqlite):
    _, made = await admin(on_sqlite, "POST", json={"tenant": "t", "expiresIn": "30d"})
    left = datetime.fromisoformat(made["expires"]) - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < left <= timedelta(days=30)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "invalid_api_key"),
        ({"Authorization": "Bearer wrong"}, 401, "invalid_api_key"),
        ({"X-API-Key": "' OR 1=1 --"}, 401, "invalid_api_key"),
        ({"Authorization": "Bearer an-ordinary-key"}, 403, "not_allowed"),
    ],
)
async def test_only_the_admin_key_opens_it(on_sqlite, headers, status, code):
    for method, path, body in (("POST", "", b"not json"), ("GET", "", None), ("DELETE", "/key-1", None)):
        answered, error = await admin(on_sqlite, method, path, headers=headers, data=body)
        assert (answered, set(error["error"])) == (status, {"message", "type", "param", "code"})
        assert error["error"]["code"] == code


async def test_without_an_admin_key_there_is_no_admin_api(serve, engine, tmp_path):
    orchestrator = await serve(config_for(engine, database={"url": f"sqlite:///{tmp_path}/tandem.db"}))
    for method in ("GET", "POST"):
        status, error = await admin(orchestrator, method, json={"tenant": "t"})
        assert (status, error["error"]["code"]) == (404, "not_found")
    assert not list(tmp_path.glob("tandem.db*"))
    assert await ask(orchestrator, None) == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "tenant"),
        ({"tenant": "a b"}, "tenant"),
        ({"tenant": "t", "requestsPerMinute": 0}, "requestsPerMinute"),
        ({"tenant": "t", "requestPerMinute": 5}, "requestPerMinute"),
        ({"tenant": "t", "expiresIn": "soon"}, "expiresIn"),
        ({"tenant": "t", "expires": "soon"}, "expires"),
        ({"tenant": "t", "expires": "9999-12-31T23:59:59-14:00"}, "expires"),
        ({"tenant": "t", "expires": "0001-01-01T00:00:00+14:00"}, "expires"),
        ({"tenant": "t", "expires": "10000-01-01T00:00:00Z"}, "expires"),
        ({"tenant": "t", "expires": 10**20}, "expires"),
        ({"tenant": "t", "expires": -(10**20)}, "expires"),
    ],
)
async def test_wrong_terms_are_named(service, body, field):
    status, error = await admin(service, "POST", json=body)
    assert (status, error["error"]["param"]) == (422, field)
    assert error["error"]["message"].startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("expires", "told", "status"),
    [
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z", 200),
        ("9999-12-31T23:59:59+14:00", "9999-12-31T09:59:59Z", 200),
        ("2999-01-01T00:00:00", "2999-01-01T00:00:00Z", 200),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", 401),
        ("0001-01-01T00:00:00-14:00", "0001-01-01T14:00:00Z", 401),
    ],
)
async def test_a_key_may_end_at_any_moment_that_there_is(service, expires, told, status):
    key_id, key = await make(service, expires=expires)
    assert (await admin(service, "GET", f"/{key_id}"))[1]["expires"] == told
    assert (await admin(service, "PATCH", f"/{key_id}", json={"expires": expires}))[1]["expires"] == told
    assert await ask(service, key) == status
    wrong, _ = await admin(service, "PATCH", f"/{key_id}", json={"expires": "0001-01-01T00:00:00+00:01"})
    assert wrong == 422


@pytest.mark.parametrize(("method", "path"), [("GET", "/key-none"), ("DELETE", "/key-none")])
async def test_an_unknown_key_is_not_found(on_sqlite, method, path):
    assert (await admin(on_sqlite, method, path))[0] == 404


@pytest.mark.parametrize("path", ["/%00", "/'%20OR%20'1'='1", "?limit=0", "?limit=1001", "?after=%00", "?tenant=%27"])
async def test_odd_ids_never_reach_the_database(service, path):
    assert (await admin(service, "GET", path))[0] == 422
    if "?" not in path:
        assert (await admin(service, "PATCH", path, json={"requestsPerMinute": 1}))[0] == 422
        assert (await admin(service, "DELETE", path))[0] == 422


async def test_many_keys_at_once(service):
    made = await asyncio.gather(*(make(service, name=f"n{n}") for n in range(12)))
    assert len({key_id for key_id, _ in made}) == 12
    assert await asyncio.gather(*(ask(service, key) for _, key in made)) == [200] * 12
    await asyncio.gather(*(admin(service, "DELETE", f"/{key_id}") for key_id, _ in made[::2]))
    assert await asyncio.gather(*(ask(service, key) for _, key in made)) == [401, 200] * 6


async def test_the_key_is_nowhere_but_in_its_holders_hands(service, capsys, caplog):
    with structlog.testing.capture_logs() as logged:
        key_id, key = await make(service, name="alice")
        await ask(service, key)
        await ask(service, f"{key}x")
        async with service.app.services.keys.database.transaction() as connection:
            rows = (await connection.execute(text("SELECT * FROM tandem_keys"))).all()
        _, listed = await admin(service, "GET")
        async with service.client.get("/metrics", headers=ADMIN) as response:
            metrics = await response.text()
        _, health = await service.get("/health", **ADMIN)
    told = f"{logged} {capsys.readouterr()} {caplog.text} {rows} {listed} {metrics} {health} {vars(service.app)}"
    assert key_id in told
    assert key not in told
    assert ADMIN["Authorization"].split()[1] not in told


async def test_metrics_count_keys_and_failures(on_sqlite):
    async def metrics():
        async with on_sqlite.client.get("/metrics", headers=ADMIN) as response:
            lines = [line.rpartition(" ") for line in (await response.text()).splitlines() if line[0] != "#"]
        return {name: float(value) for name, _, value in lines}

    before = await metrics()
    await make(on_sqlite)
    await ask(on_sqlite, None)
    await ask(on_sqlite, "wrong")
    after = await metrics()
    assert after['tandem_keys{source="database"}'] == before['tandem_keys{source="database"}'] + 1
    assert after['tandem_keys{source="values"}'] == 1
    for reason in ("missing", "unknown"):
        name = f'tandem_auth_failures_total{{reason="{reason}"}}'
        assert after[name] == before.get(name, 0) + 1
