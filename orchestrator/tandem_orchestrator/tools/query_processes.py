"""The processes in which the SQL of query_database runs.

A query that takes too much ends its own process, and no one else's: neither a database's driver nor SQLite can be
told to stop while they compute or while one large value arrives.
"""

import asyncio
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import orjson

from tandem_orchestrator.tools.query_worker import LATE_SECONDS, LOOK_SECONDS, OPEN_SECONDS

IDLE_SECONDS: Final = 90.0  # until a process that nobody needs ends: more than between two looks at the database
GRACE_SECONDS: Final = 0.5  # for a process to have the server end its query
WORKER: Final = ("-P", "-m", "tandem_orchestrator.tools.query_worker")
KINDS: Final = frozenset({b"table", b"found"})


@dataclass(frozen=True, slots=True)
class QuerySettings:
    """What a process is told of its database."""

    url: str
    schemas: list[str]
    rows: int
    bytes: int
    seconds: float


class WorkerError(Exception):
    """There is no answer; the message says why, in words for the model."""


class Processes:
    """At most so many processes that answer, each for one query at a time; further ones wait for their turn."""

    def __init__(self, settings: QuerySettings, most: int) -> None:
        self._settings = settings
        self._turn = asyncio.Semaphore(most)
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()

    async def ask(self, question: dict[str, str]) -> bytes:
        """Return the body of the answer. Raises `WorkerError`."""
        async with self._turn:
            worker = self._take_idle() or await self._start()
            try:
                kind, body = await worker.ask(question)
            except BaseException:  # also where nobody waits for the answer any more
                try:
                    await worker.end()
                finally:
                    self._all.discard(worker)
                raise
            worker.expiry = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._expire, worker)
            self._idle.append(worker)
        if kind not in KINDS:
            raise WorkerError(body.decode())
        return body

    async def close(self) -> None:
        """End all processes and their queries."""
        for worker in self._idle:
            worker.expiry.cancel()
        self._idle.clear()
        await asyncio.gather(*(worker.end() for worker in self._all))
        self._all.clear()

    def _take_idle(self) -> "_Worker | None":
        while self._idle:
            worker = self._idle.pop()
            worker.expiry.cancel()
            if worker.is_alive:
                return worker
            self._all.discard(worker)
        return None

    async def _start(self) -> "_Worker":
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *WORKER,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # the answer says what is wrong
        )
        worker = _Worker(process, self._settings)
        self._all.add(worker)
        return worker

    def _expire(self, worker: "_Worker") -> None:
        self._idle.remove(worker)
        self._all.discard(worker)
        worker.kill()


class _Worker:
    """One process."""

    expiry: asyncio.TimerHandle

    def __init__(self, process: asyncio.subprocess.Process, settings: QuerySettings) -> None:
        assert process.stdin is not None  # noqa: S101 # both are pipes
        assert process.stdout is not None  # noqa: S101 # as above
        self._process, self._in, self._out = process, process.stdin, process.stdout
        self._seconds = settings.seconds
        self._write(settings)

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None and not self._out.at_eof()

    async def ask(self, question: dict[str, str]) -> tuple[bytes, bytes]:
        """Return kind and body of the answer. Raises `WorkerError` where the process ends instead."""
        self._write(question)
        with suppress(TimeoutError, asyncio.IncompleteReadError):
            # It ends itself before that, but where it waits for a disk and cannot be ended.
            async with asyncio.timeout(OPEN_SECONDS + max(LOOK_SECONDS, self._seconds) + 3 * LATE_SECONDS):
                kind, _, length = (await self._out.readuntil(b"\n")).partition(b" ")
                return kind, await self._out.readexactly(int(length))
        await self.end()
        if self._process.returncode in (None, -signal.SIGALRM, -signal.SIGKILL):
            raise WorkerError(f"the query took longer than {self._seconds:g} s")
        raise WorkerError("the query needs more memory than it may have: ask for less")

    async def end(self) -> None:
        """Have it cancel its query, and kill it where that is not done soon."""
        self._in.close()
        killing = asyncio.get_running_loop().call_later(GRACE_SECONDS, self.kill)
        try:
            await self._process.wait()
        finally:
            killing.cancel()
            self.kill()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    def _write(self, message: object) -> None:
        self._in.write(orjson.dumps(message) + b"\n")
