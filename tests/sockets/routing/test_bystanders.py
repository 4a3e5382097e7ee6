"""What one client's bad requests do to others: nothing."""

import asyncio
from time import monotonic

import pytest

from tests.engine_double import EngineDouble, Reply
from tests.sockets.running import config_for, until

LAST_WORDS = {"error": {"message": "EngineCore encountered an issue.", "code": 500}}
BAD = [
    Reply(status=500),
    Reply(status=502),
    Reply(status=503),
    Reply(status=504),
    Reply(status=403),
    Reply(status=500, error=LAST_WORDS),
    Reply(fault="close"),
    Reply(fault="not_http"),
    Reply(fault="wrong_type"),
    Reply(fault="malformed_json"),
    Reply(before_first_byte=30),
]
AT_ONCE = 3.0  # seconds, which is far from those of a rest and enough for a busy machine
HARSH = {"routing": {"breakerFailures": 1, "breakerSeconds": 60}, "timeouts": {"firstByteSeconds": 0.5}}


def rule(bad):
    return lambda request: bad if request.get("user") == "bad" else Reply()


async def slowest_bystander(orchestrator, attacks=8):
    """Seconds, while another client's requests fail one after the other."""

    async def attack():
        for _ in range(attacks):
            await orchestrator.chat(user="bad")

    attacking = [asyncio.create_task(attack()) for _ in range(2)]
    slowest = 0.0
    while not all(task.done() for task in attacking):
        began = monotonic()
        assert (await orchestrator.chat())[0] == 200
        slowest = max(slowest, monotonic() - began)
        await asyncio.sleep(0.005)
    return slowest


@pytest.mark.parametrize("hold", [{}, {"maxRequests": 0}])
@pytest.mark.parametrize("bad", BAD)
async def test_the_only_replica_stays(serve, engine, bad, hold, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.engines.replica.STOP_SECONDS", 0.05)
    engine.rule = rule(bad)
    orchestrator = await serve(config_for(engine, hold=hold, **HARSH))
    assert await slowest_bystander(orchestrator) < AT_ONCE
    replica = orchestrator.upstreams.all[0].replicas[0]
    assert (replica.ready, replica.breaker.state) == (True, "closed")


@pytest.mark.parametrize("bad", BAD)
async def test_no_replica_rests_for_what_all_fail_at(serve, engine, bad, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.engines.replica.STOP_SECONDS", 0.05)
    async with EngineDouble() as other:
        engine.rule = other.rule = rule(bad)
        orchestrator = await serve(config_for(engine, other, **HARSH))
        assert await slowest_bystander(orchestrator) < AT_ONCE
        assert [one.replicas[0].breaker.state for one in orchestrator.upstreams.all] == ["closed", "closed"]


async def test_clients_that_leave_do_no_harm(serve, engine):
    engine.rule = rule(Reply(before_first_byte=30))
    orchestrator = await serve(config_for(engine, routing=HARSH["routing"]))
    for _ in range(10):
        asking = asyncio.create_task(orchestrator.chat(user="bad"))
        await until(lambda: engine.running == 1)
        asking.cancel()
        await until(lambda: orchestrator.busy == 0)
    assert (await orchestrator.chat())[0] == 200
    assert orchestrator.upstreams.all[0].replicas[0].breaker.state == "closed"


async def test_the_last_one_is_asked_though_it_should_rest(serve, engine):
    """What both serve, one fails at; what only that one serves goes to it all the same."""
    async with EngineDouble() as other:
        other.adapters, engine.adapters = ["both"], ["both", "mine"]
        engine.rule = rule(Reply(status=500))
        routing = {"breakerFailures": 1, "breakerSeconds": 60, "prefixAffinity": False}
        upstreams = [{"name": "a", "url": engine.url}, {"name": "b", "url": other.url}]
        orchestrator = await serve(config_for(upstreams=upstreams, routing=routing))
        replica = orchestrator.upstreams.all[0].replicas[0]
        while replica.breaker.state == "closed":
            assert (await orchestrator.chat(model="both", user="bad"))[0] == 200
        async with asyncio.timeout(5):
            assert (await orchestrator.chat(model="mine"))[0] == 200
        assert replica.breaker.state == "open"


async def test_an_engine_that_refuses_our_key_for_one_request_is_asked_no_more_than_configured(serve, engine):
    engine.rule = rule(Reply(status=401))
    orchestrator = await serve(config_for(engine, routing={"retries": 1}))
    status, body = await orchestrator.chat(user="bad")
    assert (status, body["error"]["code"], len(engine.seen)) == (502, "engine_key_refused", 2)
