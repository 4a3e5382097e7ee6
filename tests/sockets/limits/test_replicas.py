"""Limits that hold across replicas, with a real Redis between them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median
from time import perf_counter
from typing import Any

import pytest
from structlog.testing import capture_logs
from tandem_contract.config import Database as DatabaseSettings
from tandem_contract.config import RateLimits, Redis
from tandem_orchestrator.limits import budgets, sharing
from tandem_orchestrator.limits.limiter import Limiter
from tandem_orchestrator.limits.redis_ledger import RedisLedger
from tandem_orchestrator.limits.sharing import Sharing
from tandem_orchestrator.limits.sql_ledger import Ledger
from tandem_orchestrator.limits.upkeep import Upkeep
from tandem_orchestrator.observability.metrics import LIMITS_SHARED
from tandem_orchestrator.store.database import Database
from tandem_orchestrator.store.redis import RedisStore
from tandem_orchestrator.store.script import RedisDown

from tests.sockets.certificate import self_signed
from tests.sockets.redis_server import PASSWORD, running_redis
from tests.sockets.running import until
from tests.unit.orchestrator.limits.clock import admitted, key

ACROSS = "limits hold across replicas"
ALONE = "Redis cannot be used, limits hold for this replica alone"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.store.redis_client.TIMEOUT", 0.2)
    monkeypatch.setattr(sharing, "MOST_BACKOFF", 0.05)
    monkeypatch.setattr(sharing, "SIGN_OF_LIFE", 0.1)
    monkeypatch.setattr(budgets, "WRITE_SECONDS", 0.02)
    monkeypatch.setattr(budgets, "LOAD_SECONDS", 0.02)


@asynccontextmanager
async def replica(redis: dict[str, Any], database: str = "sqlite:////nonexistent/tandem.db") -> AsyncIterator[Limiter]:
    limiter = Limiter(RateLimits())
    store = Database(DatabaseSettings(url=database))
    upkeep = Upkeep(limiter, Redis.model_validate(redis), Ledger(store))
    watching = asyncio.create_task(upkeep.watch())
    try:
        yield limiter
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await upkeep.close()
        await store.close()


def requests(limiter: Limiter, name: str = "a") -> int:
    second = int(limiter._clock())
    return limiter.subjects.get(f"key:{name}", second).requests.at(second)


def shared() -> bool:
    return bool(LIMITS_SHARED._value.get())


def said(logs: list[Any], event: str) -> int:
    return sum(line["event"] == event for line in logs)


async def test_two_replicas_share_a_limit(redis):
    principal = key(requests_per_minute=10, tokens_per_minute=100, concurrent_requests=8)
    async with replica(redis) as one, replica(redis) as two:
        tickets = admitted(one, principal, 4)
        await until(lambda: requests(two) == 4)
        assert len(admitted(two, principal, 9)) == 4  # of eight places
        tickets[0].settle(60)
        await until(lambda: two.subjects.get("key:a", 0).tokens.total == 60)
        assert len(admitted(two, principal, 9)) == 1
        await until(lambda: requests(one) == 9)
        tickets[1].settle(40)
        assert not admitted(one, principal, 9)
        await until(lambda: not admitted(two, principal, 1))


async def test_a_replica_that_comes_later_knows_what_was_counted(redis):
    principal = key(requests_per_minute=10, concurrent_requests=9)
    async with replica(redis) as one:
        admitted(one, principal, 7)
        async with replica(redis) as two:
            await until(lambda: requests(two) == 7)
            assert len(admitted(two, principal, 9)) == 2


async def test_prefixes_keep_services_apart(redis):
    async with replica(redis) as one, replica({**redis, "prefix": "another"}) as two, replica(redis) as three:
        admitted(one, key(requests_per_minute=10), 7)
        await until(lambda: requests(three) == 7)
        assert requests(two) == 0


async def test_a_redis_that_says_nothing_costs_requests_nothing(redis, redis_server):
    principal = key(requests_per_minute=5000, concurrent_requests=5000)
    with capture_logs() as logs:
        async with replica(redis) as one, replica(redis) as two:
            admitted(one, principal, 10)
            await until(lambda: requests(two) == 10)
            redis_server.hold()
            times: list[float] = []
            while said(logs, ALONE) < 2:
                assert len(times) < 3000, logs
                started = perf_counter()
                one.admit(principal).settle(1)
                two.admit(principal).settle(1)
                times.append(perf_counter() - started)
                await asyncio.sleep(0.001)
            assert median(times) < 0.001
            assert not shared()
            mine, theirs = requests(one), requests(two)
            assert mine == theirs == 10 + len(times)
            redis_server.resume()
            await until(lambda: requests(one) == requests(two) == mine + theirs - 10)
            assert shared()
    assert (said(logs, ACROSS), said(logs, ALONE)) == (4, 2)
    assert PASSWORD not in str(logs)


async def test_a_redis_that_is_killed_and_started_again(redis):
    principal = key(requests_per_minute=100, concurrent_requests=50)
    with running_redis() as server:
        mine = {**redis, "url": server.url}
        async with replica(mine) as one, replica(mine) as two:
            admitted(one, principal, 5)
            await until(lambda: requests(two) == 5)
            server.stop()
            await until(lambda: not shared())
            admitted(one, principal, 4)
            admitted(two, principal, 3)
            server.start()
            await until(lambda: requests(one) == requests(two) == 12)
            assert len(admitted(two, principal, 50)) == 38


async def test_a_dead_replicas_places_are_free_again(redis, monkeypatch):
    monkeypatch.setattr(sharing, "SILENCE", 1)
    principal = key(concurrent_requests=2)
    async with replica(redis) as one, replica(redis) as two:
        admitted(one, principal, 2)
        await until(lambda: two.subjects.get("key:a", 0).concurrency.elsewhere == 2)
        assert not admitted(two, principal, 1)
        monkeypatch.setattr(Sharing, "sync", dead(Sharing.sync, one))
        await until(lambda: len(admitted(two, principal, 2)) == 2)


def dead(sync: Any, which: Limiter) -> Any:
    async def syncing(self: Sharing) -> bool:
        return True if self._limiter is which else await sync(self)

    return syncing


async def test_budgets_in_redis_survive_restarts_and_hold_across_replicas(redis):
    principal = key(tokens_per_day=100, tokens_per_month=150)
    async with replica(redis) as one:
        one.admit(principal).settle(60)
    async with replica(redis) as two, replica(redis) as three:
        await until(lambda: not two.spending.batch() and two.spending._totals)
        ticket = two.admit(principal)
        assert dict(ticket.headers)[b"x-ratelimit-remaining-tokens"] == b"40"
        ticket.settle(40)
        await until(lambda: not admitted(three, principal, 1))
        assert admitted(three, key(tokens_per_month=101), 1)


async def test_tokens_are_written_to_redis_once_though_its_answer_was_lost(redis, monkeypatch):
    store = RedisStore(Redis.model_validate(redis))
    ledger, run = RedisLedger(store), store.run
    with monkeypatch.context() as patch:
        patch.setattr(store, "run", lost(run))
        with pytest.raises(RedisDown):
            await ledger.add("2026-11-21", {"a": 60})
    await ledger.add("2026-11-21", {"a": 60})
    await ledger.add("2026-11-21", {"a": 1, "b": 2})
    await RedisLedger(store).add("2026-11-22", {"a": 10})
    assert await RedisLedger(store).load("2026-11-21") == {"a": 61, "b": 2}
    assert await RedisLedger(store).load("2026-11") == {"a": 71, "b": 2}
    await store.close()


def lost(run: Any) -> Any:
    async def running(*arguments: Any) -> None:
        await run(*arguments)
        raise RedisDown("the answer is lost")

    return running


async def test_a_redis_that_lost_its_data_learns_budgets_again(redis):
    principal = key(tokens_per_day=1000)
    with running_redis() as server:
        mine = {**redis, "url": server.url}
        async with replica(mine) as one:
            one.admit(principal).settle(60)
            await until(lambda: one.spending._totals.get(day(one), {}).get("a") == 60)
            server.stop()
            server.start()
            one.admit(principal).settle(5)
            async with replica(mine) as two:
                await until(lambda: two.spending._totals.get(day(two), {}).get("a") == 65)


@pytest.mark.parametrize("with_redis", [False, True])
async def test_budgets_in_a_database_survive_restarts(redis, tmp_path, with_redis):
    database, settings = f"sqlite:///{tmp_path}/tandem.db", redis if with_redis else {}
    await Ledger(store := Database(DatabaseSettings(url=database))).add("2026-01-01", {"a": 1})
    await store.close()
    principal = key(tokens_per_day=100)
    async with replica(settings, database) as one:
        one.admit(principal).settle(99)
        one.admit(principal)
    async with replica(settings, database) as two:
        await until(lambda: two.spending._totals)
        two.admit(principal).settle(1)
        assert not admitted(two, principal, 1)


async def test_a_broken_database_is_said_once_and_budgets_go_on(tmp_path):
    principal = key(tokens_per_day=10)
    with capture_logs() as logs:
        async with replica({}, f"sqlite:///{tmp_path}/missing/tandem.db") as one:
            one.admit(principal).settle(10)
            assert not admitted(one, principal, 1)
            await until(lambda: logs)
            await asyncio.sleep(0.1)
            assert not admitted(one, principal, 1)
    assert [line["event"] for line in logs if "budgets" in line["event"]] == [
        "token budgets cannot be written or read, they go on in memory"
    ]


@pytest.mark.parametrize("url", ["http://:secret-password@nowhere", "redis://:secret-password@127.0.0.1:1/0/x y"])
async def test_an_unusable_url_is_said_without_the_password(redis, url):
    with capture_logs() as logs:
        async with replica({**redis, "url": url}):
            await until(lambda: logs)
    assert not shared()
    assert PASSWORD not in str(logs)


@pytest.fixture
def certificate(tmp_path):
    files = tmp_path / "tls.crt", tmp_path / "tls.key"
    self_signed(*files, "IP:127.0.0.1")
    return files


async def test_redis_is_spoken_to_by_tls(redis, certificate):
    with running_redis(certificate) as server:
        trusting = {**redis, "url": server.url}
        async with replica(trusting) as one, replica(trusting) as two:
            admitted(one, key(requests_per_minute=10), 3)
            await until(lambda: requests(two) == 3)
        with capture_logs() as logs:
            async with replica({**redis, "url": server.url.partition("?")[0]}):
                await until(lambda: said(logs, ALONE))
        assert "CERTIFICATE_VERIFY_FAILED" in str(logs)


async def test_the_url_comes_from_a_file_that_may_change(redis, redis_server, tmp_path):
    file = tmp_path / "url"
    file.write_text(f"redis://:wrong@127.0.0.1:{redis_server.port}/0")
    settings = {"urlFrom": {"file": str(file)}, "prefix": redis["prefix"], "syncSeconds": 0.02}
    with capture_logs() as logs:
        async with replica(settings) as one, replica(redis) as two:
            await until(lambda: said(logs, ALONE))
            admitted(one, key(requests_per_minute=10), 3)
            file.write_text(redis_server.url)
            await until(lambda: requests(two) == 3)


def day(limiter: Limiter) -> str:
    from tandem_orchestrator.limits.spending import periods

    return periods(int(limiter._clock()))[0]
