"""The benchmark's own parts: a figure means nothing if the load or the engine are wrong."""

import asyncio
import statistics
import sys

import orjson
import pytest

from bench.comparison import Found, in_turns, rows
from bench.engine import Connection, Gate, State
from bench.load import Address, Failed, Load, ask, get, post
from bench.measures import MATH_TOOL
from bench.processes import Cores, Process, free_port, running, until_ready
from bench.report import Row, Series, at_least, at_most, document
from bench.targets import Checkouts


@pytest.fixture
async def engine():
    state, gate, begun = State(), Gate(), list[float]()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(state, gate, begun), "127.0.0.1", 0)
    yield Address("127.0.0.1", server.sockets[0].getsockname()[1])
    server.close()


async def test_a_closed_loop_sends_as_many_requests_as_asked_for(engine):
    outcome = await Load(engine, post()).run(4, count=50)
    assert outcome.requests == len(outcome.latencies) == 50
    assert outcome.first_bytes == []


async def test_streams_are_timed_to_their_first_token_and_counted(engine):
    request = post(stream=True, double={"pieces": 3, "between_pieces": 0.01})
    outcome = await Load(engine, request, b"[DONE]").run(2, count=4)
    assert len(outcome.first_bytes) == 4
    assert all(first < whole for first, whole in zip(outcome.first_bytes, outcome.latencies, strict=True))
    assert min(outcome.latencies) > 0.015


async def test_requests_at_a_rate_leave_at_random_moments(engine):
    outcome = await Load(engine, post()).run(8, seconds=0.2, rate=500)
    assert 50 < outcome.requests < 200


async def test_a_wrong_answer_ends_the_measurement(engine):
    with pytest.raises(Failed, match="unexpected answer"):
        await Load(engine, post(), b"something else").run(2, count=10)
    with pytest.raises(Failed, match="does not answer"):
        await ask(Address("127.0.0.1", free_port()), get("/"))


async def test_the_engine_plays_a_tool_call_through(engine):
    first = orjson.loads(await ask(engine, post(tools=[MATH_TOOL])))
    assert first["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "calculate_math"
    messages = [{"role": "user", "content": "1 + 1"}, {"role": "tool", "tool_call_id": "c", "content": "2"}]
    second = orjson.loads(await ask(engine, post(tools=[MATH_TOOL], messages=messages)))
    assert len(second["choices"][0]["message"]["content"]) == 64


async def test_the_engine_notices_clients_that_leave(engine):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await ask(engine, post(double={"before_first_byte": 60}))
    state = orjson.loads(await ask(engine, get("/state")))
    assert (state["open"], state["left"]) == (0, 1)


async def test_processes_are_measured_with_their_children_and_ended(tmp_path):
    port, core = free_port(), Cores.of_this_machine().engine
    command = ["sh", "-c", f"{sys.executable} -m bench.engine --port {port}; true"]  # a child of a shell
    with running("engine", command, port, core, tmp_path) as process:
        await until_ready(process, "/state", tmp_path)
        assert process.cpu_seconds() > 0.02
        assert process.resident_bytes() > 10_000_000
    with pytest.raises(Failed, match="does not answer"):
        await ask(process.address, get("/state"))


async def test_a_process_that_does_not_start_is_shown_with_its_log(tmp_path):
    command = ["sh", "-c", "echo no such option"]
    core = Cores.of_this_machine().engine
    with running("broken", command, free_port(), core, tmp_path) as process, pytest.raises(Failed, match="no such"):
        await until_ready(process, "/state", tmp_path)


def test_ratios_are_taken_within_a_round():
    mine, theirs = Series([10.0, 40.0, 30.0]), Series([5.0, 10.0, 10.0])
    assert mine.over(theirs).values == [2, 4, 3]
    assert str(mine.over(theirs)) == "3.00 (2.00-4.00)"
    assert at_most("CPU", "", mine.over(theirs), 3).passed is True
    assert at_most("CPU", "", mine.over(theirs), 2.9).passed is False
    assert at_least("speed", "", mine.over(theirs), 3.1).passed is False
    assert statistics.median(mine.minus(theirs).values) == 20


async def test_two_checkouts_are_measured_in_turns_and_compared_within_a_round():
    engine, new, old = (Process(name, 1, Address("127.0.0.1", 1)) for name in ("engine", "new", "old"))
    order = []

    async def cost(server):
        order.append(server.name)
        return {"cost": {"new": 11.0, "old": 10.0}[server.name], "size": 5.0}

    found: Found = {}
    for _ in range(2):
        await in_turns(Checkouts(engine, new, old), [cost], 2, found)
    assert order == ["new", "old", "old", "new"] * 2
    assert [str(row) for row in rows(found)] == [
        "| cost | 11.0, before 10.0 | 1.10 (1.10-1.10) | at most 1.05 | FAIL |",
        "| size | 5.0, before 5.0 | 1.00 (1.00-1.00) | at most 1.05 | pass |",
    ]


def test_the_document_has_every_row_and_how_it_came_about():
    rows = [Row("one thing", "1 µs", "1.00", "at most 2", passed=True), Row("another", "3 µs", passed=False)]
    text = document(rows, Cores(1, 0, 0), "so and so", "nginx/1.2", 12.0)
    assert "| one thing | 1 µs | 1.00 | at most 2 | pass |" in text
    assert "| another | 3 µs |  |  | FAIL |" in text
    assert "so and so" in text
    assert "nginx/1.2" in text
