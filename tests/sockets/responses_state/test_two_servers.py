"""Two servers on one database: what one has queued the other may make, and what one leaves behind the other ends."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager

import orjson
import pytest

from tests.engine_double import Call, Reply
from tests.sockets.process import serving
from tests.sockets.responses_state.asking import Reading, ask, each_ended, ended, made, read_again, respond, show
from tests.sockets.responses_state.kept import counts, query, true_counts, until_true
from tests.sockets.running import AT_ONCE, config_for, until
from tests.sockets.tools.service import Says, Service

pytestmark = pytest.mark.usefixtures("brisk")


@pytest.fixture
async def service():
    async with Service() as running:
        yield running


def config(engine, url, **settings):
    return config_for(engine, database={"url": url}, **AT_ONCE, **settings)


@pytest.fixture
def elsewhere(engine, url, tmp_path):
    """A server in a process of its own, and the engine that it asks."""

    @asynccontextmanager
    async def started(**settings):
        file = tmp_path / "config.yaml"
        upstreams = [{"name": "engine", "url": engine.url, "model": "double"}]
        file.write_bytes(orjson.dumps({"upstreams": upstreams, "database": {"url": url}, **settings}))
        async with serving("--config", str(file), TANDEM_DRAIN_SECONDS="1") as running:
            yield running

    return started, engine


def slow(request):
    """Takes its time, and streams what it says word by word."""
    return Reply(
        " ".join(map(str, range(2000))), between_pieces=0.02, before_first_byte=0 if request.get("stream") else 60
    )


async def dead(database, process):
    """Kills it, and has its lease lapse at once."""
    process.process.kill()
    await process.process.wait()
    await query(database, "UPDATE tandem_leases SET until = 0")


async def test_each_of_200_is_made_once(serve, engine, url):
    background = {"concurrency": 8}
    one, other = [await serve(config(engine, url, responses={"background": background})) for _ in range(2)]
    engine.rule = lambda _: Reply(before_first_byte=0.01)
    inputs = [f"number {n}" for n in range(200)]
    answers = await asyncio.gather(*(made(one, background=True, input=each) for each in inputs))
    responses = await each_ended(other, [answer["id"] for answer in answers])
    assert Counter(response["status"] for response in responses) == {"completed": 200}
    assert Counter(seen.body["messages"][0]["content"] for seen in engine.seen) == Counter(inputs)
    assert engine.running == 0


async def test_both_take_from_the_queue(serve, engine, url):
    background = {"concurrency": 2}
    one, other = [await serve(config(engine, url, responses={"background": background})) for _ in range(2)]
    engine.rule = lambda _: Reply(before_first_byte=0.3)
    answers = [await made(one, background=True) for _ in range(6)]
    await until(lambda: engine.running == 4)
    await each_ended(other, [answer["id"] for answer in answers])


async def test_a_server_that_is_killed(serve, url, database, elsewhere):
    elsewhere, engine = elsewhere
    engine.rule = slow
    async with elsewhere() as process:
        reading = Reading(process)
        background = await made(process, background=True, input="in the background")
        await until(lambda: reading.types.count("response.output_text.delta") > 20 and engine.running == 2)
        sql = "SELECT max(last) FROM tandem_response_events"
        await until_true(lambda: kept_more_than(database, sql, 8))
        await dead(database, process)
        reading.task.cancel()
        await asyncio.wait([reading.task])
    engine.rule = lambda _: Reply()
    survivor = await serve(config(engine, url))
    assert (await ended(survivor, background["id"]))["status"] == "completed"
    response = await ended(survivor, reading.id)
    assert response["status"] == "failed"
    assert response["error"]["message"] == "the server that made this response for its client is gone"
    events = await read_again(survivor, reading.id, after=3)
    assert events[0] == reading.events[4]
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert events[:-2] == reading.events[4 : 4 + len(events) - 2]
    assert events[-1]["response"]["status"] == "failed"
    ahead = events[-1]["sequence_number"] + 50  # of what was kept, as a client may have been
    assert await read_again(survivor, reading.id, after=ahead) == [events[-1] | {"sequence_number": ahead + 1}]
    asked = Counter(seen.body["messages"][0]["content"] for seen in engine.seen)
    assert asked == {"Hello": 1, "in the background": 2}
    assert not await query(database, "SELECT 1 FROM tandem_response_runs")


async def kept_more_than(database, sql, number):
    ((found,),) = await query(database, sql)
    return found is not None and found > number


async def test_a_server_that_is_killed_while_a_tool_runs(serve, url, database, elsewhere, service):
    """Nobody knows what the tool has done, so that it is not run again."""
    elsewhere, engine = elsewhere
    service.says["/pay"] = Says()
    service.hold.clear()
    engine.replies.append(Reply("", (Call("pay", "{}"),)))
    tool = {"name": "pay", "description": "Pays.", "method": "POST", "url": f"{service.url}/pay"}
    tools = {"attach": "always", "http": [tool], "timeoutSeconds": 60}
    async with elsewhere(tools=tools) as process:
        background = await made(process, background=True)
        await until(lambda: service.waiting == 1)
        await dead(database, process)
    service.hold.set()
    survivor = await serve(config(engine, url, tools=tools))
    response = await ended(survivor, background["id"])
    assert response["status"] == "failed"
    assert response["error"]["message"] == (
        "the server was lost while tools ran; whether they have done something is not known"
    )
    assert len(service.asked) == 1
    assert len(engine.seen) == 1


async def test_a_response_that_costs_servers_their_lives_is_given_up(serve, engine, url, database):
    engine.rule = lambda _: Reply(before_first_byte=60)
    server = await serve(config(engine, url, responses={"background": {"concurrency": 1}}))
    background = await made(server, background=True)
    for number in range(1, 4):
        await until(lambda number=number: len(engine.seen) == number)
        await query(database, "UPDATE tandem_response_runs SET owner = 'dead'")
    response = await ended(server, background["id"])
    assert response["error"]["message"] == "3 servers were lost, or failed, while they made it"
    assert len(engine.seen) == 3


async def test_one_that_stops_gives_back_and_ends(serve, url, database, elsewhere):
    """SIGTERM: a stream says that it is incomplete, and what waits for nobody goes back into the queue."""
    elsewhere, engine = elsewhere
    engine.rule = slow
    async with elsewhere() as process:
        reading = Reading(process)
        background = await made(process, background=True, input="in the background")
        await until(lambda: len(reading.events) > 20 and engine.running == 2)
        process.terminate()
        code, _ = await process.ended()
        assert code == 0
        await asyncio.wait([reading.task])
    states = dict(await query(database, "SELECT id, status FROM tandem_responses"))
    assert states == {reading.id: "incomplete", background["id"]: "queued"}
    assert await query(database, "SELECT owner, attempts FROM tandem_response_runs") == [("", 0)]
    assert not await query(database, "SELECT 1 FROM tandem_leases WHERE name <> 'sweeper'")
    engine.rule = lambda _: Reply()
    survivor = await serve(config(engine, url))
    assert (await ended(survivor, background["id"]))["status"] == "completed"
    events = await read_again(survivor, reading.id)
    assert events[:20] == reading.events[:20]
    assert events[-1]["type"] == "response.incomplete"


async def test_cancelled_at_the_one_while_the_other_makes_it(serve, engine, url):
    maker = await serve(config(engine, url))
    engine.rule = lambda _: Reply(before_first_byte=60)
    background = await made(maker, background=True)
    await until(lambda: engine.running == 1)
    other = await serve(config(engine, url))
    answer = await ask(other, "POST", f"responses/{background['id']}/cancel")
    assert answer.body["status"] == "cancelled"
    await until(lambda: engine.running == 0)
    assert (await show(maker, background["id"]))["status"] == "cancelled"


async def test_an_outage_does_not_make_servers_take_from_the_living(serve, engine, url, database, monkeypatch):
    """Their leases lapse while the database is away; whoever is back first has to let the others come back too."""
    servers = [await serve(config(engine, url)) for _ in range(2)]
    maker, other = [server.app.services.stores.leases for server in servers]
    engine.rule = lambda _: Reply(" ".join(map(str, range(150))), between_pieces=0.01)
    reading = Reading(servers[0])
    await until_true(servers[0].app.services.stores.runs.mine)
    live, back = maker.live, asyncio.Event()

    async def later():
        await back.wait()
        await live()

    monkeypatch.setattr(maker, "live", later)
    other._lived = 1
    await query(database, "UPDATE tandem_leases SET until = 0")
    await until(lambda: other._lived > 1)
    lived = other._lived
    await until(lambda: other._lived > lived)  # it has looked around since
    back.set()
    await reading.task
    assert reading.types[-1] == "response.completed"


async def test_many_writers_of_one_conversation(serve, engine, url, database):
    one, other = [await serve(config(engine, url)) for _ in range(2)]
    conversation = (await ask(one, "POST", "conversations", metadata={"a": "b"})).body["id"]
    asking = [
        respond((one, other)[n % 2], conversation=conversation, input=f"number {n}", stream=n % 3 == 1)
        if n % 3 != 1
        else Reading((one, other)[n % 2], conversation=conversation, input=f"number {n}").task
        for n in range(20)
    ]
    await asyncio.gather(*asking)
    rows = await query(database, "SELECT position, item FROM tandem_conversation_items ORDER BY position")
    assert [position for position, _ in rows] == list(range(40))
    for n in range(20):
        (at,) = [position for position, item in rows if f'"number {n}"' in item]
        assert '"role":"assistant"' in rows[at + 1][1], "what a response was given and what it said stand together"
    assert await counts(database) == await true_counts(database)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_deleted_while_a_response_in_it_is_made(serve, engine, url, database, stream):
    server = await serve(config(engine, url))
    conversation = (await ask(server, "POST", "conversations", metadata={"a": "b"})).body["id"]
    engine.rule = lambda _: Reply(before_first_byte=0.3)
    if stream:
        reading = Reading(server, conversation=conversation)
    else:
        asking = asyncio.create_task(respond(server, conversation=conversation))
    await until(lambda: engine.running == 1)
    assert (await ask(server, "DELETE", f"conversations/{conversation}")).status == 200
    if stream:
        await reading.task
        assert reading.types[-2:] == ["error", "response.failed"]
        assert (await show(server, reading.id))["status"] == "failed"
    else:
        answer = await asking
        assert (answer.status, answer.code) == (404, "conversation_not_found")
    assert not await query(database, "SELECT 1 FROM tandem_conversation_items")
    assert not await query(database, "SELECT 1 FROM tandem_response_runs")
    assert await counts(database) == await true_counts(database)
