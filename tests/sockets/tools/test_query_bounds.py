"""query_database under hostile SQL: what one query takes, in memory, time and processes, is bounded."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic

import orjson
import pytest

from tests.sockets.running import until

MEGABYTE = 1_000_000
# One step of SQLite's machine, which looks at no clock: at each place nearly all of the second text fits.
ENDLESS = "SELECT instr(printf('%.16000000c', 'a'), printf('%.8000000c', 'a') || 'b')"
ALIVE = "SELECT 1 AS one"


def peak() -> int:
    """The most memory in bytes that this process had since `forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def workers(of: int | None = None) -> list[int]:
    """Processes for queries that this one, or another, has started."""
    tasks = Path(f"/proc/{of or os.getpid()}/task")
    started = [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
    return [pid for pid in started if b"query_worker" in command(pid)]


def command(pid: int) -> bytes:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def is_alive(pid: int) -> bool:
    """Whether it runs, which a process that nobody has waited for does not."""
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT repeat('x', 200000000)",
        "SELECT repeat('x', 80000000)::int",  # the value comes back within an error
        "SELECT array_fill('a'::text, ARRAY[5000000])",
        "SELECT repeat('x', 1000000) FROM generate_series(1, 1000)",
        "SELECT set_config('search_path', repeat('x', 80000000), true)",  # which the server tells its client
        f"SELECT {', '.join(['*'] * 100)} FROM orders",
        "SELECT 'x' || repeat(E'\\n', 40000000)",
    ],
)
async def test_a_large_answer_of_postgres_costs_little_memory(box_for, reader, sql):
    box = await box_for(reader[0], timeoutSeconds=30)
    forget_peak()
    before = peak()
    status, content = await box.call("query_database", query=sql)
    assert peak() - before < 30 * MEGABYTE
    assert status == "error" or content["truncated"] or len(content["rows"]) == 2, content
    assert len(orjson.dumps(content)) < 50_000
    assert (await box.call("query_database", query=ALIVE))[1]["rows"] == [[1]]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT hex(zeroblob(8000000)), hex(zeroblob(8000000)), hex(zeroblob(8000000)), hex(zeroblob(8000000))",
        "SELECT group_concat(hex(randomblob(4000000))) OVER () FROM orders",
        "WITH RECURSIVE n(t) AS (SELECT randomblob(8000000) UNION SELECT randomblob(8000000) FROM n) SELECT 1 FROM n",
        f'SELECT {", ".join(["*"] * 150)} FROM (SELECT 1 AS "{"x" * 15_000}")',
    ],
)
async def test_a_large_answer_of_sqlite_costs_little_memory(box_for, lite, sql):
    box = await box_for(lite)
    forget_peak()
    before = peak()
    status, content = await box.call("query_database", query=sql)
    assert peak() - before < 30 * MEGABYTE
    assert status == "error" or content["truncated"], content
    assert len(orjson.dumps(content)) < 50_000
    assert (await box.call("query_database", query=ALIVE))[1]["rows"] == [[1]]


async def test_a_large_message_is_cut(box_for, reader, lite):
    for url in (reader[0], lite):
        message = await (await box_for(url)).error("query_database", query=f'SELECT * FROM "{"x" * 15_000}"')
        assert "xxx" in message  # which PostgreSQL cuts itself
        assert len(message) < 2000


async def test_an_expression_that_sqlite_cannot_interrupt_ends_in_time(box_for, lite):
    box = await box_for(lite, timeoutSeconds=0.2)
    started = monotonic()
    queries = [box.error("query_database", query=ENDLESS) for _ in range(4)]
    assert set(await asyncio.gather(*queries)) == {"the query took longer than 0.2 s"}
    assert (await box.call("query_database", query=ALIVE))[1]["rows"] == [[1]]
    assert monotonic() - started < 8


async def test_what_is_asked_meanwhile_waits_for_its_turn(box_for, lite):
    box = await box_for(lite, timeoutSeconds=0.2, maxConnections=1)
    hostile = [asyncio.create_task(box.error("query_database", query=ENDLESS)) for _ in range(3)]
    await until(lambda: len(workers()) == 1)
    assert (await box.call("query_database", query=ALIVE))[1]["rows"] == [[1]]
    assert len(workers()) == 1
    await asyncio.gather(*hostile)


async def test_a_client_that_leaves_ends_its_query_on_sqlite(box_for, lite):
    box = await box_for(lite, timeoutSeconds=60)
    before = set(workers())
    asking = [asyncio.create_task(box.call("query_database", query=ENDLESS)) for _ in range(2)]
    await until(lambda: set(workers()) - before)
    started = set(workers()) - before
    for task in asking:
        task.cancel()
    await asyncio.wait(asking)
    await until(lambda: not started & set(workers()))
    assert (await box.call("query_database", query=ALIVE))[1]["rows"] == [[1]]


async def test_no_process_outlives_its_tool(box_for, reader, lite):
    for url, endless in ((reader[0], "SELECT pg_sleep(50)"), (lite, ENDLESS)):
        box = await box_for(url, timeoutSeconds=60)
        asking = asyncio.create_task(box.call("query_database", query=endless))
        await until(lambda: len(workers()) == 1)
        await box.close()
        await until(lambda: not workers())
        assert (await asking)[0] == "error"


PROGRAM = """
import asyncio, sys
from tests.sockets.tools.conftest import Box

async def main():
    box = await Box(queryDatabase={"url": sys.argv[1], "timeoutSeconds": 4}).ready()
    print("ready", file=sys.stderr, flush=True)
    await asyncio.gather(*(box.call("query_database", query=sys.argv[2]) for _ in range(4)))

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("database", ["postgres", "sqlite"])
async def test_no_process_outlives_the_orchestrator(number, database, reader, lite):
    url, sql = (lite, ENDLESS) if database == "sqlite" else (reader[0], "SELECT pg_sleep(50)")
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, url, sql, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    assert program.stderr is not None
    try:
        assert await program.stderr.readline() == b"ready\n"
        await until(lambda: len(workers(program.pid)) == 4)
        started = workers(program.pid)
        program.send_signal(number)
        assert await asyncio.wait_for(program.wait(), 3) == -number
    finally:
        with suppress(ProcessLookupError):
            program.kill()
        await program.wait()
    await until(lambda: not any(is_alive(pid) for pid in started), 10)


async def test_a_process_that_is_not_used_ends(box_for, lite, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.helper_processes.IDLE_SECONDS", 0.1)
    box = await box_for(lite)
    await until(lambda: not workers())
    assert (await box.call("query_database", query=ALIVE))[1]["rows"] == [[1]]


async def test_a_process_that_was_killed_meanwhile_is_not_missed(box_for, lite):
    box = await box_for(lite)
    await until(lambda: len(workers()) == 1)
    for pid in workers():
        os.kill(pid, signal.SIGKILL)
    (idle,) = box.toolbox._by_name["query_database"].tool._processes._helpers._idle
    await until(lambda: not idle.is_alive)
    assert (await box.call("query_database", query=ALIVE))[1]["rows"] == [[1]]


async def test_the_url_is_no_argument_of_a_process(box_for, reader):
    await box_for(reader[0])
    (pid,) = workers()
    assert b"reader_" not in command(pid)
