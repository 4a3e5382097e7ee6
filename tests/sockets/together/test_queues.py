"""Queues, adapters, tokens and endpoints together: whose turn it is, and that no place is lost."""

import asyncio
from typing import Any

import pytest
from tandem_contract.config import Adapter, Tenant

from tests.sockets.running import QUESTION, config_for, question, until

POEMS, SONGS = {"name": "poems", "path": "/p"}, {"name": "songs", "path": "/s"}
OTHERS = ("poems", "songs", "verse")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.engines.adapters.LEAST_PAUSE", 0.01)


@pytest.fixture
async def there(crowd, engine):
    """A crowd before a model with two adapters, one of which has another name too."""
    engine.adapters, engine.roots = ["poems", "songs"], {"poems": "/p", "songs": "/s"}
    there = await crowd(models=[{"name": "poems", "aliases": ["verse"]}])
    await until(lambda: "songs" in there.orchestrator.upstreams.all[0].listed)
    return there


def held(there) -> tuple[Any, ...]:
    hold = there.orchestrator.app.services.dispatcher._hold
    return hold.lines, hold.waiting.count, hold.waiting.bytes, hold._on_free


async def metrics(there) -> dict[str, float]:
    headers = {"authorization": "Bearer a-key"}
    async with there.orchestrator.client.get("/metrics", headers=headers) as response:
        lines = (await response.text()).splitlines()
    found = (line.rpartition(" ") for line in lines if line.startswith("tandem_held_requests{"))
    return {name: float(value) for name, _, value in found}


async def test_who_asks_for_several_adapters_gets_no_more_turns(there):
    for model in ("double", *OTHERS):
        await there.ask("a", 3, model=model)
    await there.ask("b", 4, model="double")
    assert len(there.orchestrator.app.services.dispatcher._hold.lines) == 1
    await there.let_answer(8)
    assert there.order == "xxabababab"
    assert set(await there.end()) == {200}


def with_adapters(there, *adapters: dict[str, str]) -> Any:
    config = there.orchestrator.config.model_copy(deep=True)
    config.upstreams[0].adapters = [Adapter.model_validate(adapter) for adapter in adapters]
    return config


async def test_an_adapter_that_no_engine_has_yet_holds_up_nobody(there, engine):
    config = with_adapters(there, POEMS, SONGS, {"name": "late", "path": "/l"})
    engine.broken["/l"] = "not there yet"
    there.orchestrator.app.reload(config)
    await there.ask("a", 3, model="late")
    await there.ask("b", 2)
    await there.let_answer(2)
    assert there.order == "xxbb"
    engine.broken.clear()
    await there.let_answer(2)
    assert there.order == "xxbbaa"
    assert set(await there.end()) == {200}


async def test_who_waits_for_an_adapter_that_its_engine_has_lost_waits_apart(there, engine):
    there.orchestrator.app.reload(with_adapters(there, POEMS))
    replica, hold = there.orchestrator.upstreams.all[0].replicas[0], there.orchestrator.app.services.dispatcher._hold
    await there.ask("a", 2, model="poems")
    engine.broken["/p"] = "it is gone"
    engine.adapters.clear()
    replica.doubt()
    await until(lambda: "poems" not in replica.names)
    await there.ask("b", 2)
    await there.let_answer(2)
    assert there.order == "xxbb"
    await until(lambda: "poems" in hold.lines)
    assert len(hold.lines["poems"].queue) == there.waiting == 2
    engine.broken.clear()
    assert set(await there.end()) == {200}


async def test_who_waits_for_an_adapter_that_is_taken_out_takes_no_turn(there, engine):
    there.orchestrator.app.reload(with_adapters(there, POEMS, SONGS))
    gone = await there.ask("a", 3, model="poems")
    await there.ask("b", 2)
    there.orchestrator.app.reload(with_adapters(there, SONGS))
    await there.let_answer(2)
    assert there.order == "xxbb"
    there.engine.gate.release()
    assert {status for status, _ in await asyncio.gather(*gone)} == {404}
    await there.end()
    await until(lambda: held(there) == ({}, 0, 0, []))


async def test_a_reload_loses_nobody_who_queues(there, engine):
    await there.ask("a", 3, model="verse")
    await there.ask("b", 3, model="songs", stream=False)
    assert sum((await metrics(there)).values()) == 6
    config = there.orchestrator.config.model_copy(deep=True)
    config.tenants = [Tenant(name="b", weight=5)]
    config.models = []
    there.orchestrator.app.reload(config)
    await there.ask("b", 1)
    gone = await there.ask("a", 2, model="poems")
    for task in gone:
        task.cancel()
    await until(lambda: there.waiting == 7)
    there.tasks = [task for task in there.tasks if task not in gone]
    assert set(await there.end()) == {200}
    await until(lambda: there.orchestrator.busy == 0)
    assert held(there) == ({}, 0, 0, [])
    assert set((await metrics(there)).values()) == {0.0}


async def test_what_ends_while_the_queue_is_full_is_told_in_each_apis_words(crowd):
    there = await crowd(hold={"maxRequests": 2, "seconds": 30})
    message = {"model": "double", "max_tokens": 9, "messages": QUESTION}
    client = there.orchestrator.client

    async def ask(path, body, tenant):
        async with client.post(path, json=body, headers={"x-api-key": f"{tenant}-key"}) as response:
            return response.status, await response.json(), response.headers

    waiting = [
        asyncio.create_task(ask("/v1/messages", message, "a")),
        asyncio.create_task(ask("/v1/chat/completions", question(), "a")),
    ]
    await until(lambda: there.waiting == 2)
    status, body, headers = await ask("/v1/messages", message, "a")
    assert (status, body["error"]["type"], body["type"]) == (529, "overloaded_error", "error")
    assert int(headers["retry-after"]) > 0
    assert (await ask("/v1/chat/completions", question(), "a"))[1]["error"]["code"] == "no_engine"
    coming = asyncio.create_task(ask("/v1/messages/count_tokens", {**message}, "b"))
    await until(lambda: any(task.done() for task in waiting))
    there.orchestrator.app.services.dispatcher.drain(0)
    ended = [await task for task in (*waiting, coming)]
    assert min(status for status, _, _ in ended) in (429, 503)
    for (_, body, headers), anthropic in zip(ended, (True, False, True), strict=True):
        assert ("request_id" in body) is anthropic
        assert "retry-after" in headers
    await there.end()
    assert held(there) == ({}, 0, 0, [])


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens", "/v1/messages/batches"])
async def test_errors_before_a_message_is_read_have_its_shape(serve, engine, path):
    settings = {"keys": {"values": ["a:a-key"]}, "server": {"trustedHosts": ["127.0.0.1"]}}
    orchestrator = await serve(
        config_for(engine, limits={"maxBodyBytes": 1024}, rateLimits={"defaults": {"requestsPerMinute": 3}}, **settings)
    )
    good = {"x-api-key": "a-key"}
    small, big = b'{"model":"double","max_tokens":1,"messages":[{"role":"user","content":"?"}]}', b"x" * 2000
    there = path != "/v1/messages/batches"

    async def told(method="POST", data=small, headers=good):
        async with orchestrator.client.request(method, path, data=data, headers=headers) as response:
            body = await response.json()
            assert (body["type"], body["request_id"]) == ("error", response.headers["request-id"])
            assert body["error"].keys() == {"type", "message"}
            return response.status, body["error"]["type"], response.headers

    assert (await told(headers={"host": "elsewhere"}))[1] == "invalid_request_error"
    if not there:
        assert (await told())[:2] == (404, "not_found_error")
        return
    assert (await told(headers={"x-api-key": "no"}))[:2] == (401, "authentication_error")
    assert (await told(headers={**good, "authorization": "Bearer other"}))[:2] == (401, "authentication_error")
    assert (await told("GET"))[:2] == (405, "invalid_request_error")
    assert (await told(data=big))[:2] == (413, "request_too_large")
    assert (await told(data=small.replace(b"double", b"other")))[:2] == (404, "not_found_error")
    assert (await told(data=b"{"))[:2] == (400, "invalid_request_error")
    status, kind, headers = await told()
    assert (status, kind, int(headers["retry-after"]) > 0) == (429, "rate_limit_error", True)
