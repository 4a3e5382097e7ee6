"""Opening a file of SQLite."""

import asyncio
import sqlite3
import threading

import pytest
from tandem_orchestrator.store import engine


async def test_a_file_that_nobody_waits_for_any_more_is_closed(tmp_path, monkeypatch):
    begun, may_end, opened = threading.Event(), threading.Event(), []

    def slow(*arguments, connect=sqlite3.connect, **options):
        begun.set()
        assert may_end.wait(10)
        opened.append(connect(*arguments, **options))
        return opened[0]

    monkeypatch.setattr(sqlite3, "connect", slow)
    opening = asyncio.create_task(engine._file(str(tmp_path / "tandem.db")))
    assert await asyncio.to_thread(begun.wait, 10)
    opening.cancel()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await opening
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("SELECT 1")
