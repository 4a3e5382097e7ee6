"""Several replicas of an engine: found by name, chosen by load and by prefix, full."""

import asyncio
import ssl

import pytest
from tandem_contract.config import Timeouts
from tandem_orchestrator.engines.upstream import resolve
from tandem_orchestrator.errors import Unreachable
from tandem_orchestrator.transport.pool import Pool

from tests.engine_double import EngineDouble, Reply
from tests.sockets.certificate import self_signed
from tests.sockets.running import config_for, question, until


@pytest.fixture
async def twin(engine):
    """A second server on the same port of another address."""
    async with EngineDouble(host="127.0.0.2", port=engine.port) as double:
        yield double


@pytest.fixture
def addresses(monkeypatch):
    """What the name service says of any host; an exception is raised."""
    found = ["127.0.0.1", "127.0.0.2"]

    async def scripted(host, port):
        assert host == "engine.test"
        if found and isinstance(found[0], Exception):
            raise found[0]
        return list(found)

    monkeypatch.setattr("tandem_orchestrator.engines.upstream.resolve", scripted)
    return found


def named(engine, **settings):
    url = f"http://engine.test:{engine.port}"
    return config_for(
        upstreams=[{"name": "engine", "url": url, "model": "double", "discovery": "dns"}],
        **{"routing": {"prefixAffinity": False}, **settings},
    )


def replicas(orchestrator):
    return [replica.address for replica in orchestrator.upstreams.all[0].replicas]


async def test_every_address_is_a_replica(serve, engine, twin, addresses):
    orchestrator = await serve(named(engine))
    for _ in range(20):
        assert (await orchestrator.chat())[0] == 200
    assert len(engine.seen) > 4
    assert len(twin.seen) > 4
    assert {seen.headers["host"] for seen in engine.seen + twin.seen} == {f"engine.test:{engine.port}"}
    assert [state["address"] for state in (await orchestrator.get("/health"))[1]["upstreams"][0]["replicas"]] == [
        f"127.0.0.1:{engine.port}",
        f"127.0.0.2:{engine.port}",
    ]


async def test_a_replica_that_vanishes_finishes_its_requests(serve, engine, twin, addresses):
    addresses.remove("127.0.0.2")
    orchestrator = await serve(named(engine))
    words = " ".join(["word"] * 10)
    engine.replies.append(Reply(words, between_pieces=0.02))
    async with orchestrator.client.post("/v1/chat/completions", json=question(stream=True)) as response:
        await response.content.readline()
        addresses[:] = ["127.0.0.2"]
        await until(lambda: replicas(orchestrator) == ["127.0.0.2"])
        assert (await orchestrator.chat())[0] == 200
        assert (await response.text()).endswith("data: [DONE]\n\n")
    assert (len(engine.seen), len(twin.seen)) == (1, 1)
    await engine.until(lambda: engine.connections == 0)


async def test_no_address_is_like_no_engine(serve, engine, addresses):
    addresses.clear()
    orchestrator = await serve(named(engine))
    assert (await orchestrator.get("/v1/models"))[1]["data"][0]["ready"] is False
    assert "no address" in (await orchestrator.get("/health"))[1]["upstreams"][0]["problem"]
    asking = asyncio.create_task(orchestrator.chat())
    await until(lambda: "double" in orchestrator.app.services.dispatcher._hold.lines)
    addresses.append("127.0.0.1")
    assert (await asking)[0] == 200


async def test_a_name_service_that_fails_changes_nothing(serve, engine, addresses):
    addresses.remove("127.0.0.2")
    orchestrator = await serve(named(engine))
    addresses.insert(0, OSError("try again"))
    await until(lambda: orchestrator.upstreams.all[0]._unresolved)
    assert (await orchestrator.chat())[0] == 200
    assert replicas(orchestrator) == ["127.0.0.1"]


async def test_a_dead_replica_is_avoided(serve, engine, twin, addresses):
    orchestrator = await serve(named(engine))
    twin.stop()
    assert [(await orchestrator.chat())[0] for _ in range(10)] == [200] * 10
    _, health = await orchestrator.get("/health")
    assert health["status"] == "ok", "the engine as a whole answers"
    assert [state["ready"] for state in health["upstreams"][0]["replicas"]] == [True, False]


@pytest.fixture
def certificate(tmp_path):
    """A context that serves as engine.test, and nobody else."""
    file, key = tmp_path / "crt", tmp_path / "key"
    self_signed(file, key, "DNS:engine.test")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file, key)
    return file, context


async def test_tls_asks_for_the_name_at_every_address(certificate, monkeypatch):
    file, context = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(file))

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        pool = Pool(f"https://engine.test:{port}", Timeouts(), "127.0.0.1")
        response = await pool.send(b"GET / HTTP/1.1\r\n\r\n", b"")
        assert response.status == 200
        response.close()
        pool.close()
        with pytest.raises(Unreachable) as caught:
            await Pool(f"https://elsewhere.test:{port}", Timeouts(), "127.0.0.1").send(b"GET / HTTP/1.1\r\n\r\n", b"")
        assert "certificate" in caught.value.problem


async def test_names_are_resolved():
    assert "127.0.0.1" in await resolve("localhost", 80)


async def test_the_least_busy_replica_is_chosen(serve, engine, twin, addresses):
    orchestrator = await serve(named(engine))
    engine.rule = twin.rule = lambda _: Reply(before_first_byte=30)
    asking = [asyncio.create_task(orchestrator.chat()) for _ in range(10)]
    await until(lambda: engine.running + twin.running == 10)
    assert (engine.running, twin.running) == (5, 5)
    for task in asking:
        task.cancel()
    await until(lambda: orchestrator.busy == 0)


async def test_checks_do_not_count_as_load(serve, engine):
    orchestrator = await serve(config_for(engine))
    replica = orchestrator.upstreams.all[0].replicas[0]
    checking = asyncio.create_task(replica.list_models())
    await until(lambda: replica.pool.busy)
    assert replica.in_flight == 0
    await checking


def about(topic):
    return [{"role": "system", "content": f"You know all about {topic}"}, {"role": "user", "content": "Tell me"}]


async def test_requests_that_begin_alike_meet_the_same_replica(serve, engine, twin, addresses):
    orchestrator = await serve(named(engine, routing={}))
    for n in range(20):
        for _ in range(3):
            await orchestrator.chat(messages=about(n))
    met = [{seen.body["messages"][0]["content"] for seen in double.seen} for double in (engine, twin)]
    assert not met[0] & met[1]
    assert min(len(topics) for topics in met) > 2


async def test_a_busy_favourite_gets_help(serve, engine, twin, addresses):
    orchestrator = await serve(named(engine, routing={}))
    engine.rule = twin.rule = lambda _: Reply(before_first_byte=30)
    asking = []
    for n in range(8):
        asking.append(asyncio.create_task(orchestrator.chat(messages=about("cats"))))
        await until(lambda n=n: engine.running + twin.running == n + 1)
    assert sorted((engine.running, twin.running)) == [1, 7]
    for task in asking:
        task.cancel()
    await until(lambda: orchestrator.busy == 0)


async def until_counted(orchestrator, *waiting):
    loads = [replica.backlog for replica in orchestrator.upstreams.all[0].replicas]
    await until(lambda: tuple(load.waiting for load in loads) == waiting)


async def test_full_engines_refuse_early(serve, engine, twin, addresses):
    orchestrator = await serve(named(engine, routing={"maxWaiting": 3}))
    engine.waiting = twin.waiting = 4
    await until_counted(orchestrator, 4, 4)
    async with orchestrator.client.post("/v1/chat/completions", json=question()) as response:
        assert response.status == 429
        assert int(response.headers["retry-after"]) > 0
        assert (await response.json())["error"]["code"] == "engine_saturated"
    twin.waiting = 3
    await until_counted(orchestrator, 4, 3)
    assert (await orchestrator.chat())[0] == 200
    assert (len(engine.seen), len(twin.seen)) == (0, 1)


async def test_what_was_sent_since_the_engine_counted_waits_too(serve, engine, addresses):
    addresses.remove("127.0.0.2")
    orchestrator = await serve(named(engine, routing={"maxWaiting": 4, "fairShare": False}))
    engine.waiting = 3
    engine.rule = lambda _: Reply(before_first_byte=0.1)
    await until_counted(orchestrator, 3)
    statuses = [status for status, _ in await asyncio.gather(*(orchestrator.chat() for _ in range(20)))]
    assert set(statuses) == {200, 429}


async def test_who_waited_already_waits_for_room(serve, engine, addresses):
    engine.stop()
    orchestrator = await serve(named(engine, routing={"maxWaiting": 3}))
    asking = asyncio.create_task(orchestrator.chat())
    await until(lambda: "double" in orchestrator.app.services.dispatcher._hold.lines)
    replica = orchestrator.upstreams.all[0].replicas[0]
    replica.backlog.seen(4, 0, 0)
    replica._recount()
    engine.waiting = 4
    await engine.start()
    await until(lambda: orchestrator.upstreams.all[0].ready)
    assert not engine.seen
    engine.waiting = 0
    assert (await asking)[0] == 200


async def test_an_engine_that_fails_to_count_is_taken_to_be_full(serve, engine, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.engines.replica.MAX_METRICS", 1000)
    monkeypatch.setattr(engine, "_metrics", lambda: b" " * 1001)
    orchestrator = await serve(config_for(engine))
    await until(lambda: orchestrator.upstreams.all[0].replicas[0].backlog._room == 0)


async def test_an_engine_that_tells_no_load_is_never_full(serve, engine):
    upstream = {"name": "e", "url": engine.url, "model": "double", "type": "openai"}
    orchestrator = await serve(config_for(upstreams=[upstream], routing={"maxWaiting": 1}))
    engine.waiting = 50
    assert [status for status, _ in await asyncio.gather(*(orchestrator.chat() for _ in range(20)))] == [200] * 20
