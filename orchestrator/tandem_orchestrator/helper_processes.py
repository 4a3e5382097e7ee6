"""Programs of our own that run beside the server, each process for one question at a time: what takes too much ends its
own process, and no one else's.

Such a program reads lines of JSON, the first its settings where it has any, then a question each. It answers each with
`KIND LENGTH` in a line, then so many bytes, and ends with its standard input.
"""

import asyncio
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import orjson

IDLE_SECONDS: Final = 90.0  # until a process that nobody needs ends
GRACE_SECONDS: Final = 0.5  # for a process to end what it does elsewhere
LATE: Final = (None, -signal.SIGALRM, -signal.SIGVTALRM, -signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Program:
    """What a process runs."""

    module: str
    seconds: float
    """After so long it is killed; it should end itself before."""
    settings: Any = None
    """What it is told first, as JSON."""


class HelperLateError(Exception):
    """The answer did not come in time."""


class HelperDiedError(Exception):
    """The process ended, most often for want of memory."""


class HelperProcesses:
    """At most so many processes of a program; further questions wait for their turn."""

    def __init__(self, program: Program, most: int) -> None:
        self._program = program
        self._turn = asyncio.Semaphore(most)
        self._idle: list[_Helper] = []
        self._all: set[_Helper] = set()

    async def ask(self, question: dict[str, Any]) -> tuple[bytes, bytes]:
        """Return kind and body of the answer. Raises `HelperLateError`, `HelperDiedError`."""
        async with self._turn:
            helper = self._take_idle() or await self._start()
            try:
                answer = await helper.ask(question)
            except BaseException:  # also where nobody waits for the answer any more
                try:
                    await helper.end()
                finally:
                    self._all.discard(helper)
                raise
            helper.expiry = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._expire, helper)
            self._idle.append(helper)
        return answer

    async def close(self) -> None:
        """End all processes and what they do."""
        for helper in self._idle:
            helper.expiry.cancel()
        self._idle.clear()
        await asyncio.gather(*(helper.end() for helper in self._all))
        self._all.clear()

    def _take_idle(self) -> "_Helper | None":
        while self._idle:
            helper = self._idle.pop()
            helper.expiry.cancel()
            if helper.is_alive:
                return helper
            self._all.discard(helper)
        return None

    async def _start(self) -> "_Helper":
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", self._program.module),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # the answer says what is wrong
        )
        helper = _Helper(process, self._program)
        self._all.add(helper)
        return helper

    def _expire(self, helper: "_Helper") -> None:
        self._idle.remove(helper)
        self._all.discard(helper)
        helper.kill()


class _Helper:
    """One process."""

    expiry: asyncio.TimerHandle

    def __init__(self, process: asyncio.subprocess.Process, program: Program) -> None:
        assert process.stdin is not None  # noqa: S101 # both are pipes
        assert process.stdout is not None  # noqa: S101 # as above
        self._process, self._in, self._out = process, process.stdin, process.stdout
        self._seconds = program.seconds
        if program.settings is not None:
            self._write(program.settings)

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None and not self._out.at_eof()

    async def ask(self, question: dict[str, Any]) -> tuple[bytes, bytes]:
        """Return kind and body of the answer. Raises `HelperLateError`, or `HelperDiedError` where it ends instead."""
        self._write(question)
        with suppress(TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(self._seconds):
                kind, _, length = (await self._out.readuntil(b"\n")).partition(b" ")
                return kind, await self._out.readexactly(int(length))
        await self.end()
        if self._process.returncode in LATE:
            raise HelperLateError
        raise HelperDiedError

    async def end(self) -> None:
        """Have it end by itself, and kill it where that is not done soon."""
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

    def _write(self, message: Any) -> None:
        self._in.write(orjson.dumps(message) + b"\n")
