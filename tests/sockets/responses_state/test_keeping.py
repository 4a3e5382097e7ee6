"""How much and how long is kept, and what only its own tenant opens."""

import asyncio
import base64

import pytest
from tandem_orchestrator.responses.retention import LEASE, LEASE_MS, Retention
from tandem_orchestrator.store.rows import now

from tests.engine_double import Reply
from tests.sockets.responses_state.asking import ask, made, respond, show, streamed
from tests.sockets.responses_state.kept import another, counts, query, stored, told, true_counts
from tests.sockets.running import AT_ONCE, config_for

pytestmark = pytest.mark.usefixtures("brisk")
KEYS = {"values": [f"{tenant}:key-of-{tenant}" for tenant in ("a", "b")]}
DAY = 86_400_000
UPSTREAM = {"name": "engine", "url": "http://127.0.0.1:9", "model": "double"}
REASONING = ["reasoning.encrypted_content"]


def config(engine, url, **responses):
    return config_for(engine, database={"url": url}, keys=KEYS, responses=responses, **AT_ONCE)


async def test_a_tenant_keeps_as_many_as_it_may(serve, engine, url, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.responses.quota.FRESH_MS", -1)
    server = await serve(config(engine, url, quota={"responses": 2}))
    kept = [await made(server, "key-of-a") for _ in range(2)]
    engine.seen.clear()
    for fields in ({}, {"stream": True}, {"background": True}):
        refused = await respond(server, "key-of-a", **fields)
        assert (refused.status, refused.code) == (403, "storage_quota_exceeded")
    assert not engine.seen
    await made(server, "key-of-a", store=False)
    await made(server, "key-of-b")
    assert (await ask(server, "DELETE", f"responses/{kept[0]['id']}", "key-of-a")).status == 200
    await made(server, "key-of-a")
    assert (await respond(server, "key-of-a")).status == 403


async def test_a_tenant_keeps_as_many_bytes_as_it_may(serve, engine, url, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.responses.quota.FRESH_MS", -1)
    server = await serve(config(engine, url, quota={"bytes": 20_000}))
    items = [{"role": "user", "content": "x" * 30_000}]
    conversation = (await ask(server, "POST", "conversations", "key-of-a", items=items)).body["id"]
    refused = await respond(server, "key-of-a")
    assert (refused.status, refused.code) == (403, "storage_quota_exceeded")
    assert (await ask(server, "DELETE", f"conversations/{conversation}", "key-of-a")).status == 200
    await made(server, "key-of-a")


async def aged(database, table, column, number, days):
    await query(database, f"UPDATE {table} SET {column} = {column} - {round(days * DAY)} WHERE {number}")


def retention(process, days=1.0):
    settings = config_for(upstreams=[UPSTREAM], responses={"retentionDays": days})
    return Retention(settings, process)


async def ids_in(database):
    return {row[0] for row in await query(database, "SELECT id FROM tandem_responses")}


async def test_what_is_old_is_deleted(kept, database):
    """But for what younger ones continue, and what is still made."""
    old, middle = stored("a"), stored("b")
    young = stored("a", previous_id=old.id)
    waiting = stored("a", status="queued", background=True)
    for response in (old, middle, young):
        await kept.responses.add(response)
    await kept.queue.enqueue(waiting, "double", "{}", 10, None)
    conversations = [(await kept.conversations.create("a", {}))["id"] for _ in range(2)]
    for conversation in conversations:
        await kept.conversations.add_items("a", conversation, {"items": [{"role": "user", "content": "x"}]})
    gone = f"id IN ('{old.id}', '{middle.id}', '{waiting.id}', '{conversations[0]}')"
    await aged(database, "tandem_responses", "created", gone, 2)
    await aged(database, "tandem_conversations", "used", gone, 2)
    swept = await retention(kept).sweep()
    assert await ids_in(database) == {old.id, young.id, waiting.id}
    assert await query(database, "SELECT conversation_id FROM tandem_conversation_items") == [(conversations[1],)]
    assert swept["conversations"] == 1
    assert len(await kept.responses.chain("a", young.id)) == 4
    for response in (old, middle):
        with pytest.raises(Exception, match="there is no response"):
            await kept.responses.get(response.tenant, response.id)
    assert await counts(database) == await true_counts(database)
    await kept.responses.delete("a", young.id)
    assert await ids_in(database) == {waiting.id}
    assert await retention(kept).sweep() == {"events": 0, "responses": 0, "conversations": 0}


async def test_a_long_chain_goes_from_its_end(kept, database):
    previous = None
    for _ in range(12):
        response = stored("a", previous_id=previous)
        await kept.responses.add(response)
        previous = response.id
    await aged(database, "tandem_responses", "created", "1 = 1", 2)
    await retention(kept).sweep()
    assert await query(database, "SELECT id FROM tandem_responses") == []
    assert await counts(database) == {}


async def test_events_are_kept_for_an_hour(serve, engine, url, database, kept):
    server = await serve(config_for(engine, database={"url": url}, **AT_ONCE))
    response_id = (await streamed(server))[0]["response"]["id"]
    await aged(database, "tandem_response_events", "made", "1 = 1", 61 / 1440)
    await retention(kept, None).sweep()
    assert not await query(database, "SELECT 1 FROM tandem_response_events")
    again = await server.client.get(f"/v1/responses/{response_id}?stream=true")
    assert again.status == 400
    assert "more than an hour ago" in (await again.json())["error"]["message"]
    assert (await show(server, response_id))["status"] == "completed"


async def test_events_of_what_is_still_made_are_kept(kept, database):
    waiting = stored("a", status="queued", background=True)
    await kept.queue.enqueue(waiting, "double", "{}", 10, told(0, 2))
    await aged(database, "tandem_response_events", "made", "1 = 1", 2)
    await retention(kept).sweep()
    assert await kept.runs.last_event("a", waiting.id) == 1


async def test_one_of_two_servers_sweeps(kept, url, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.responses.retention.SWEEP_SECONDS", 0.01)
    await kept.responses.add(stored("a"))
    async with another(url) as other:
        swept = dict.fromkeys((kept, other), 0)
        watching = []
        for process in (kept, other):
            sweeper = retention(process)

            async def sweep(process=process):
                swept[process] += 1

            monkeypatch.setattr(sweeper, "sweep", sweep)
            watching.append(asyncio.create_task(sweeper.watch()))
        async with asyncio.timeout(10):
            while max(swept.values()) < 10:  # noqa: ASYNC110 # tasks of others
                await asyncio.sleep(0.01)
        assert min(swept.values()) == 0
        for task in watching:
            task.cancel()
        await asyncio.wait(watching)
        idle = next(process for process in swept if not swept[process])
        moment = now()
        monkeypatch.setattr("time.time_ns", lambda: (moment + LEASE_MS + 1) * 1_000_000)
        assert await idle.leases.hold(LEASE, LEASE_MS), "who is gone has given it up"


async def sealed(server, key):
    response = await made(server, key, store=False, include=REASONING)
    reasoning = response["output"][0]
    assert reasoning["type"] == "reasoning"
    return {name: reasoning[name] for name in ("type", "id", "summary", "encrypted_content")}


async def opened(server, item, key):
    question = {"role": "user", "content": "go on"}
    return await respond(
        server, key, store=False, input=[question, item, {"role": "assistant", "content": "done"}, question]
    )


async def test_what_is_sealed_is_one_tenants(serve, engine, url):
    engine.rule = lambda _: Reply("done", reasoning="a secret thought")
    one, other = [await serve(config(engine, url)) for _ in range(2)]
    item = await sealed(one, "key-of-a")
    assert (await opened(other, item, "key-of-a")).status == 200
    assert "a secret thought" in str(engine.seen[-1].body["messages"])
    asked = len(engine.seen)
    refused = await opened(one, item, "key-of-b")
    assert (refused.status, refused.code) == (400, "invalid_encrypted_content")
    raw = base64.urlsafe_b64decode(item["encrypted_content"])
    for n in (0, 3, 12, 25, len(raw) - 1):
        changed = base64.urlsafe_b64encode(raw[:n] + bytes([raw[n] ^ 1]) + raw[n + 1 :]).decode()
        refused = await opened(one, item | {"encrypted_content": changed}, "key-of-a")
        assert (refused.status, refused.code) == (400, "invalid_encrypted_content"), n
    for broken in ("x", "AA==", "\N{SNOWMAN}", item["encrypted_content"][:40]):
        refused = await opened(one, item | {"encrypted_content": broken}, "key-of-a")
        assert (refused.status, refused.code) == (400, "invalid_encrypted_content"), broken
    assert len(engine.seen) == asked


async def test_keys_from_files_and_their_successors(serve, engine, url, tmp_path):
    engine.rule = lambda _: Reply("done", reasoning="a secret thought")
    (tmp_path / "old").write_text("the old secret")
    (tmp_path / "new").write_text("the new secret")
    old, new = ({"file": str(tmp_path / name)} for name in ("old", "new"))
    item = await sealed(await serve(config(engine, url, encryptionKeys=[old])), "key-of-a")
    both = await serve(config(engine, url, encryptionKeys=[new, old]))
    assert (await opened(both, item, "key-of-a")).status == 200
    newer = await sealed(both, "key-of-a")
    only = await serve(config(engine, url, encryptionKeys=[new]))
    assert (await opened(only, newer, "key-of-a")).status == 200
    refused = await opened(only, item, "key-of-a")
    assert (refused.status, refused.code) == (400, "invalid_encrypted_content")


async def test_a_new_key_in_the_database_leaves_the_old_ones(serve, engine, url, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.responses.seals.REREAD_MS", -1)
    engine.rule = lambda _: Reply("done", reasoning="a secret thought")
    server = await serve(config(engine, url))
    item = await sealed(server, "key-of-a")
    await server.app.services.stores.seals.rotate()
    newer = await sealed(server, "key-of-a")
    names = [base64.urlsafe_b64decode(each["encrypted_content"])[1:9] for each in (item, newer)]
    assert names[0] != names[1]
    for each in (item, newer):
        assert (await opened(server, each, "key-of-a")).status == 200


async def test_ids_that_no_row_can_have(serve, engine, url):
    server = await serve(config_for(engine, database={"url": url}, **AT_ONCE))
    paths = ("responses/resp_%00", "conversations/conv_%00", "conversations/conv_%00/items", "responses/" + "x" * 999)
    for path in paths:
        assert (await ask(server, "GET", path)).status == 404, path
    response_id = (await streamed(server))[0]["response"]["id"]
    async with server.client.get(f"/v1/responses/{response_id}?stream=true&starting_after={10**30}") as again:
        assert again.status in (200, 422)
    assert (await respond(server, previous_response_id="resp_\0")).status == 404
    assert (await respond(server, conversation="conv_\0")).status == 404
    assert (await ask(server, "DELETE", "responses/resp_%00")).status == 404
    assert (await ask(server, "DELETE", "conversations/conv_%00")).status == 404
