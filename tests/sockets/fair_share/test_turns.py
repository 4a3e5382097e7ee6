"""Whose request an engine gets next, as tenants see it."""

import asyncio

import aiohttp
import pytest
from tandem_orchestrator.engines.dispatch import Call
from tandem_orchestrator.engines.fair_queue import BATCH_TURN
from tandem_orchestrator.errors import NoEngine
from tandem_orchestrator.observability.record import Record

from tests.engine_double.reply import Reply
from tests.sockets.process import serving
from tests.sockets.running import question, until


async def test_who_floods_gets_every_other_turn(crowd):
    there = await crowd()
    await there.ask("a", 10)
    await there.ask("b", 3)
    await there.let_answer(8)
    assert there.order == "xxabababaa"
    assert set(await there.end()) == {200}


async def test_turns_go_by_weight(crowd):
    there = await crowd(tenants=[{"name": "b", "weight": 2}])
    await there.ask("a", 3)
    await there.ask("b", 5)
    await there.let_answer(6)
    assert there.order == "xxabbabb"


async def test_turns_go_by_what_requests_take(crowd):
    there = await crowd()
    await there.ask("a", 3, max_tokens=400)
    await there.ask("b", 6, max_tokens=120)
    await there.let_answer(6)
    assert there.order == "xxabbbab"


async def test_batch_comes_last_but_for_a_small_part(crowd):
    there = await crowd(tenants=[{"name": "b", "serviceClass": "batch"}])
    await there.ask("b", 3)
    await there.ask("a", BATCH_TURN + 3)
    await there.let_answer(BATCH_TURN + 6)
    assert there.order == "xx" + "a" * (BATCH_TURN - 1) + "b" + "aaaa" + "bb"


async def test_who_has_no_key_is_one_tenant(crowd):
    there = await crowd(tenants=[{"name": "anonymous", "weight": 2}])
    there.orchestrator.app.services.keys._settings.required = False
    await there.ask("anonymous", 4)
    await there.ask("b", 4)
    await there.let_answer(6)
    assert there.order == "xxabaaba"


async def test_without_turns_all_go_to_the_engine_at_once(crowd):
    there = await crowd(routing={"fairShare": False})
    await there.ask("a", 10)
    assert (there.waiting, there.engine.running) == (0, 12)


async def test_where_nobody_may_wait_all_go_to_the_engine_at_once(crowd):
    there = await crowd(hold={"maxRequests": 0})
    await there.ask("a", 10)
    assert (there.waiting, there.engine.running) == (0, 12)


async def test_who_leaves_loses_turns_that_others_get(crowd):
    there = await crowd()
    left = await there.ask("a", 10)
    await there.ask("b", 2)
    for task in left[1:]:
        task.cancel()
    await until(lambda: there.waiting == 3)
    await there.let_answer(3)
    assert there.order == "xxabb"


async def test_who_leaves_the_engine_makes_room(crowd):
    there = await crowd()
    await there.ask("a", 2)
    for task in there.tasks[:2]:
        task.cancel()
    await until(lambda: there.order == "xxaa")


async def test_many_that_come_and_leave_cost_others_nothing(crowd):
    there = await crowd()
    for _ in range(10):
        asking = [asyncio.create_task(there.answer("a")) for _ in range(50)]
        await until(lambda: there.waiting > 25)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    await until(lambda: there.waiting == 0)
    await there.ask("b", 2)
    await there.let_answer(2)
    assert there.order == "xxbb"
    assert await there.end() == [200] * 4
    await until(lambda: there.orchestrator.busy == 0)
    hold = there.orchestrator.app.services.dispatcher._hold
    assert (hold.lines, hold.waiting.count, hold.waiting.bytes, hold._on_free) == ({}, 0, 0, [])


async def test_a_full_queue_makes_room_for_who_has_less_of_it(crowd):
    there = await crowd(hold={"maxRequests": 4})
    *_, youngest = await there.ask("a", 4)
    asking = asyncio.create_task(there.answer("b"))
    status, body = await youngest
    assert (status, body["error"]["code"], body["error"]["type"]) == (429, "queue_share_exceeded", "rate_limit_error")
    status, body = await there.answer("a")
    assert (status, body["error"]["code"]) == (429, "queue_share_exceeded")
    there.tasks.remove(youngest)
    assert await there.end() == [200] * 5
    assert (await asking)[0] == 200


async def test_who_is_alone_may_have_all_of_the_queue(crowd):
    there = await crowd(hold={"maxRequests": 4})
    await there.ask("a", 4)
    status, body = await there.answer("a")
    assert (status, body["error"]["code"]) == (503, "no_engine")
    assert "too many requests" in body["error"]["message"]


async def test_a_stream_gets_signs_of_life_while_it_has_no_turn(crowd):
    there = await crowd(hold={"heartbeatSeconds": 0.02})
    headers = {"authorization": "Bearer a-key"}
    async with there.orchestrator.client.post(
        "/v1/chat/completions", json=question(who="a", stream=True), headers=headers
    ) as response:
        assert await response.content.readuntil(b"\n\n") == b": waiting for an engine\n\n"
        await there.let_answer(1)
        await there.end()
        assert (await response.text()).endswith("data: [DONE]\n\n")


async def test_turns_outlive_the_engine(crowd):
    there = await crowd()
    await there.ask("a", 6)
    await there.ask("b", 3)
    there.engine.stop()
    await until(lambda: there.waiting == 11)
    before = len(there.order)
    await there.engine.start()
    await there.let_answer(9)
    assert there.order[before : before + 2] == "xx", "they keep their turns"
    assert sorted(there.order[before + 2 : before + 8]) == list("aaabbb")
    assert set(await there.end()) == {200}


async def test_a_line_of_a_batch_does_not_queue(crowd):
    there = await crowd()
    await there.ask("a")
    services = there.orchestrator.app.services
    record = Record("line")
    record.yields = True
    with pytest.raises(NoEngine):
        await services.dispatcher.complete(
            Call("/v1/chat/completions", services.catalogue.find("double"), record), b"{}"
        )
    assert there.waiting == 1


async def test_what_an_engine_can_run_is_learned(crowd, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.engines.probe.LOAD_SECONDS", 0.02)
    there = await crowd(concurrency=None)
    there.engine.slots = asyncio.Semaphore(4)
    flood = [asyncio.create_task(there.answer("a")) for _ in range(60)]
    there.tasks += flood
    await until(lambda: there.waiting + len(there.engine.seen) == len(flood))
    backlog = there.orchestrator.upstreams.all[0].replicas[0].backlog
    await until(lambda: backlog.waiting > 0)
    gate = there.engine.gate
    while there.engine.waiting > 2:  # those that came before anybody knew
        gate.release()
        await asyncio.sleep(0.01)
    asking = asyncio.create_task(there.answer("b"))
    await until(lambda: there.waiting > 0)
    for _ in range(30):
        assert there.engine.running <= 4
        if "b" in there.order:
            break
        gate.release()
        await asyncio.sleep(0.01)
    assert len(there.order) < 60, "most of the flood waits still"
    await there.end()
    assert (await asking)[0] == 200


async def _asked(url: str, tenant: str) -> int:
    connector = aiohttp.TCPConnector(force_close=True)
    headers = {"authorization": f"Bearer {tenant}-key"}
    async with (
        aiohttp.ClientSession(connector=connector) as client,
        client.post(f"{url}/v1/chat/completions", json=question(who=tenant), headers=headers) as response,
    ):
        return response.status


async def test_worker_processes_leave_each_other_room(engine):
    engine.slots, engine.rule = asyncio.Semaphore(4), lambda _: Reply(before_first_byte=0.06)
    keys = {"API_KEYS": "a:a-key,b:b-key"}
    async with serving("--workers", "2", VLLM_URL=engine.url, **keys) as running:
        flood = [asyncio.create_task(_asked(running.url, "a")) for _ in range(400)]
        await until(lambda: len(engine.seen) > 20)
        for _ in range(3):
            assert await _asked(running.url, "b") == 200
        last = max(place for place, seen in enumerate(engine.seen) if seen.body["who"] == "b")
        assert last < 300, "a burst fills the engine before anybody hears of it, and what comes then takes turns"
        assert set(await asyncio.gather(*flood)) == {200}
