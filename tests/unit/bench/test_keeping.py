"""What is said of responses follows from what was measured, and the engine plays what is measured."""

import asyncio
import sqlite3
import time
from contextlib import closing

import orjson
import pytest
from sqlalchemy import create_engine
from tandem_orchestrator.store.tables import METADATA

from bench import bare_writes, following, keeping
from bench.engine import Connection, Gate, State
from bench.keeping import Found, of_conversations, of_keeping
from bench.load import Address, ask, get, post, respond
from bench.report import Series

FIGURES = {
    ("sqlite", "kept"): {"cpu": 150.0, "p50": 300.0, "rate": 3000.0},
    ("sqlite", "not"): {"cpu": 100.0, "p50": 200.0, "rate": 4000.0},
    ("sqlite", "bare"): {"p50": 40.0, "rate": 9000.0},
    ("postgresql", "kept"): {"cpu": 250.0, "p50": 400.0, "rate": 2000.0},
    ("postgresql", "not"): {"cpu": 100.0, "p50": 200.0, "rate": 5000.0},
    ("postgresql", "bare"): {"p50": 100.0, "rate": 4000.0},
    ("agentic", "kept"): {"cpu": 50.0, "p50": 600.0, "rate": 1000.0},
}


def found() -> Found:
    return {(*key, name): [value, value] for key, figures in FIGURES.items() for name, value in figures.items()}


@pytest.fixture
async def engine():
    state, gate, begun = State(), Gate(), list[float]()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(state, gate, begun), "127.0.0.1", 0)
    yield Address("127.0.0.1", server.sockets[0].getsockname()[1])
    server.close()


def test_keeping_is_held_to_its_bounds():
    rows = of_keeping(found(), "")
    assert [(row.ratio.split(" ")[0], row.passed) for row in rows] == [
        ("1.50", True),
        ("2.50", False),
        ("0.75", True),
        ("0.33", None),
        ("2.50", True),
        ("2.00", True),
        ("0.40", False),
        ("0.50", None),
        ("3.00", True),
        ("0.50", True),
    ]
    assert rows[1].line("missed").endswith("| at most 2 | missed |")


def test_a_peer_that_cannot_be_had_is_said_to_be_absent():
    without = {key: values for key, values in found().items() if key[0] != "agentic"}
    rows = of_keeping(without, "no such wheel")
    assert [(row.figures, row.passed) for row in rows[-2:]] == [("not measured: no such wheel", None)] * 2


def test_a_long_conversation_may_cost_no_more_than_its_text():
    short, cheap, dear = (Series([value] * 3) for value in (140.0, 520.0, 560.0))
    text = Series([500.0] * 3)
    cpu = {keeping.SHORT: (short, Series([100.0] * 3)), keeping.LONG: (cheap, text)}
    assert [row.passed for row in of_conversations(cpu, 2, 2)] == [True, True]
    assert [row.passed for row in of_conversations({**cpu, keeping.LONG: (dear, text)}, 2, 3)] == [False, False]


def test_streams_are_held_to_those_of_chats():
    figures = {following.CHAT: Series([10.0]), following.NOT_KEPT: Series([13.0]), following.KEPT: Series([21.0])}
    rows = following.of_streams(figures, figures)
    assert [row.passed for row in rows] == [True, True, False, False]


def test_what_is_queued_takes_no_memory_and_is_made_once():
    good = following.of_background(100, (90.0, 2.0), 100, 0.001, (0.002, 0.001))
    assert [row.passed for row in good] == [True, True, None]
    bad = following.of_background(100, (90.0, 20.0), 101, 0.001, (0.002, 0.001))
    assert [row.passed for row in bad] == [False, False, None]


async def test_the_engine_makes_responses_with_ids_of_their_own(engine):
    first, second = [orjson.loads(await ask(engine, respond())) for _ in range(2)]
    assert first["output"][0]["content"][0]["text"] == keeping.SAID
    assert first["output"][0]["id"] != second["output"][0]["id"]


async def test_the_engine_holds_answers_back_and_counts_what_it_is_asked(engine):
    await ask(engine, get("/hold"))
    asking = asyncio.create_task(ask(engine, post()))
    async with asyncio.timeout(20):
        while orjson.loads(await ask(engine, get("/state")))["asked"] == 0:  # noqa: ASYNC110 # in other hands
            await asyncio.sleep(0.001)
    assert not asking.done()
    await ask(engine, get("/release"))
    assert b"64 bytes" in await asking


async def test_the_engine_tells_when_streams_began(engine):
    before = time.perf_counter()
    await ask(engine, post(stream=True))
    (begun,) = orjson.loads(await ask(engine, get("/begun")))
    assert before < begun < time.perf_counter()
    assert orjson.loads(await ask(engine, get("/begun"))) == []


def test_bare_rows_are_those_of_the_orchestrator_with_other_ids(tmp_path):
    file = tmp_path / "t.db"
    tables = create_engine(f"sqlite:///{file}")
    METADATA.create_all(tables)
    tables.dispose()
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        names = [column[1] for column in connection.execute("PRAGMA table_info(tandem_responses)")]
        row = {**dict.fromkeys(names, 0), "tenant": "bench", "id": "resp_1", "previous_id": None, "output": "[1]"}
        marks = ", ".join("?" for _ in names)
        connection.execute(f"INSERT INTO tandem_responses ({', '.join(names)}) VALUES ({marks})", list(row.values()))
    figures = bare_writes.of_file(str(file), 0.02)
    assert figures["p50"] > 0
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        ((rows, outputs),) = connection.execute("SELECT count(*), count(DISTINCT output) FROM tandem_responses")
    assert rows > 1
    assert outputs == 1
