"""Connections to a SQLite file, each with a thread of its own, as SQLite waits for the disk and for other processes."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from time import monotonic, sleep
from typing import Any, Final, TypeVar

from tandem_orchestrator.store.statement import Job, Missing, Row, Rows, Step

BUSY_SECONDS: Final = 10.0  # for which other processes may hold the file
BUSY_PAUSE: Final = 0.02

Result = TypeVar("Result")
Work = tuple[Callable[[sqlite3.Connection], Any], asyncio.Future[Any]]


class SqliteFile:
    """One connection that writes, one that reads, which no writer holds up, and one for reads that take long."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._writing = SqliteThread(path)
        self._reading = SqliteThread(path)
        self._searching = SqliteThread(path)
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Open the file. Raises `sqlite3.Error`."""
        await self._writing.run(_prepare)

    async def read(self, step: Step) -> list[Row]:
        """Return the rows of one query."""
        thread = self._searching if step.statement.long else self._reading
        return await thread.run(lambda connection: _run(connection, step))

    async def write(self, jobs: Sequence[Job]) -> list[Rows]:
        """Run all in one transaction; return the rows that each step of each job returned."""
        async with self._turn:
            return await self._writing.run(lambda connection: _transaction(connection, jobs))

    async def close(self) -> None:
        """Close all, after what they do, one by one: the last folds the log into the file, if no other is closing."""
        for thread in (self._reading, self._searching, self._writing):
            await thread.close()


class SqliteThread:
    """A connection that is used in one thread alone, opened when it is first used."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._work: SimpleQueue[Work | None] = SimpleQueue()
        self._worker = Thread(target=self._serve, name="sqlite", daemon=True)
        self._started = False

    def run(self, work: Callable[[sqlite3.Connection], Result]) -> asyncio.Future[Result]:
        """Have the thread do it; it goes on to its end also when nobody waits any more."""
        if not self._started:
            self._started = True
            self._worker.start()
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._work.put((work, done))
        return done

    async def close(self) -> None:
        """End the thread after what it was given."""
        if self._started:
            self._work.put(None)
            await asyncio.to_thread(self._worker.join)

    def _serve(self) -> None:
        connection: sqlite3.Connection | None = None
        while (item := self._work.get()) is not None:
            work, done = item
            try:
                if connection is None:
                    connection = _connect(self._path)
                result = work(connection)
            except BaseException as error:  # noqa: BLE001 # whoever waits gets it
                _tell(done, done.set_exception, error)
            else:
                _tell(done, done.set_result, result)
            del work, item
        if connection is not None:
            connection.close()


def _tell(done: asyncio.Future[Any], tell: Callable[[Any], None], what: Any) -> None:
    def unless_cancelled() -> None:
        if not done.done():
            tell(what)

    with suppress(RuntimeError):  # the loop is closed, and nobody waits
        done.get_loop().call_soon_threadsafe(unless_cancelled)


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, cached_statements=256)
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA secure_delete=ON")  # what is deleted leaves no bytes in the file
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    """Have readers go on while somebody writes; the change needs the file for itself, and does not wait for it."""
    deadline = monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if monotonic() > deadline:
                raise
            sleep(BUSY_PAUSE)
        else:
            return


def _run(connection: sqlite3.Connection, step: Step) -> list[Row]:
    statement = step.statement.sqlite
    rows: list[Row] = []
    for parameters in step.parameters:
        found = connection.execute(statement.sql, statement.arguments(parameters)).fetchall()
        if step.statement.required and not found:
            raise Missing
        rows += found
    return rows


def _transaction(connection: sqlite3.Connection, jobs: Sequence[Job]) -> list[Rows]:
    if len(jobs) == len(jobs[0]) == len(jobs[0][0].parameters) == 1:  # a statement alone is a transaction
        return [[_run(connection, jobs[0][0])]]
    connection.execute("BEGIN IMMEDIATE")  # where it waits for other writers; later it would fail at once
    try:
        results = [[_run(connection, step) for step in job] for job in jobs]
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return results
