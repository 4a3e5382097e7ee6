import asyncio
import logging
import os
from contextlib import suppress
from datetime import UTC, datetime

import orjson
import pytest
import structlog
from tandem_contract.config import LogFormat
from tandem_orchestrator.observability import logs


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    yield reader, writer
    for end in (reader, writer):
        with suppress(OSError):
            os.close(end)


@pytest.fixture
def log(pipe, monkeypatch):
    """Reads what was logged since the last call."""
    before = structlog.get_config()
    monkeypatch.setattr(logs, "lines", logs.Lines(pipe[1]))
    monkeypatch.setattr(logs, "_threshold", logs._threshold)
    yield lambda: [orjson.loads(line) for line in read(pipe[0]).splitlines()]
    structlog.configure(**before)
    logging.basicConfig(handlers=[], level=logging.WARNING, force=True)


def read(descriptor):
    try:
        return os.read(descriptor, 1 << 20)
    except BlockingIOError:
        return b""


async def test_request_lines_gather_and_other_lines_push_them_out(log):
    logs.configure("INFO")
    logs.write_request({"event": "request", "n": 1})
    logs.write_request({"event": "request", "n": 2})
    assert log() == []
    structlog.get_logger().info("hello", path=object)
    first, second, hello = log()
    assert (first["n"], second["n"], hello["event"], hello["level"]) == (1, 2, "hello", "info")


async def test_gathered_lines_are_written_soon_without_another(log, monkeypatch):
    monkeypatch.setattr(logs, "GATHER_SECONDS", 0.01)
    logs.configure("INFO")
    for n in (1, 2):
        logs.write_request({"n": n})
        async with asyncio.timeout(20):
            while not (found := log()):  # noqa: ASYNC110 # a pipe
                await asyncio.sleep(0.001)
        assert found == [{"n": n}]


async def test_writes_are_whole_lines_that_a_pipe_takes_in_one_piece(pipe, monkeypatch):
    sizes: list[int] = []
    write = os.write

    def counted(descriptor, data):
        sizes.append(len(data))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", counted)
    lines = logs.Lines(pipe[1])
    for _ in range(100):
        lines.write(b"x" * 299 + b"\n")
    lines.flush()
    assert max(sizes) <= logs.ATOMIC
    assert all(size % 300 == 0 for size in sizes)
    assert len(read(pipe[0])) == 30_000


def test_nobody_reading_is_no_error(pipe):
    os.close(pipe[0])
    lines = logs.Lines(pipe[1])
    lines.write(b"lost\n")
    lines.flush()


def test_the_level_may_change_and_counts_for_libraries_too(log):
    logger = structlog.get_logger()
    logs.configure("WARNING")
    logger.info("unseen")
    logging.getLogger("library").info("unseen")
    assert not logs.enabled(logging.INFO)
    logs.configure("DEBUG")
    logger.debug("seen")
    logging.getLogger("library").debug("seen %d", 2)
    assert logs.enabled(logging.DEBUG)
    assert [(line["event"], line["level"]) for line in log()] == [("seen", "debug"), ("seen 2", "debug")]


def test_ids_of_sessions_stay_unsaid(log):
    logs.configure("INFO")
    logging.getLogger("mcp.client.streamable_http").info("Received session ID: s3cret")
    logging.getLogger("mcp.client.streamable_http").warning("lost")
    logs.lines.flush()
    assert [line["event"] for line in log()] == ["lost"]


def test_text_is_a_line_that_people_can_read(log, pipe):
    logs.configure("INFO", LogFormat.TEXT)
    structlog.get_logger().info("hello", path="/a\nb\x1b[31m", count=2)
    (line,) = read(pipe[0]).decode().splitlines()
    time, rest = line.split(maxsplit=1)
    assert datetime.fromisoformat(time).tzinfo == UTC
    assert rest.split() == ["[info", "]", "hello", r"path='/a\nb\x1b[31m'", "count=2"]


async def test_a_request_is_such_a_line_too(log, pipe):
    logs.configure("INFO", LogFormat.TEXT)
    now = datetime(2026, 11, 29, 10, 3, 49, tzinfo=UTC)
    logs.write_request({"event": "request", "path": "/v1/models", "status": 200, "level": "info", "time": now})
    logs.lines.flush()
    assert read(pipe[0]).decode().split() == [
        *("2026-11-29T10:03:49.000000Z", "[info", "]", "request", "path='/v1/models'", "status=200")
    ]


def test_what_libraries_say_stays_one_line_and_tracebacks_do_not(log, pipe):
    logs.configure("INFO", LogFormat.TEXT)
    logging.getLogger("library").warning("a\nb\x1b[31m")
    (line,) = read(pipe[0]).decode().splitlines()
    assert r"a\nb\x1b[31m" in line
    try:
        orjson.loads("")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert read(pipe[0]).decode().splitlines()[-1].startswith("orjson.JSONDecodeError: ")


def test_the_layout_may_change(log):
    logs.configure("INFO", LogFormat.TEXT)
    logs.configure("INFO")
    structlog.get_logger().info("hello")
    assert [line["event"] for line in log()] == ["hello"]
