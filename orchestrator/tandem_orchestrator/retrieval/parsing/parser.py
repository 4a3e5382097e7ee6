"""Has files read by worker processes, one for each file."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Final

from tandem_orchestrator.retrieval.chunk import Chunk
from tandem_orchestrator.retrieval.parsing.chunker import Chunker
from tandem_orchestrator.retrieval.parsing.file_refused import FileRefused
from tandem_orchestrator.retrieval.parsing.job import MOST_LINE_BYTES, Job, answer_of
from tandem_orchestrator.retrieval.parsing.kinds import extension_of
from tandem_orchestrator.retrieval.parsing.limits import ParseLimits

WORKER: Final = "tandem_orchestrator.retrieval.parsing.worker"
KEPT: Final = ("PYTHONPATH", "LD_LIBRARY_PATH")  # by which Python finds what it is made of
STOPPED: Final = frozenset({signal.SIGXCPU, signal.SIGKILL})
READ_BYTES: Final = 65_536
MIB: Final = 1 << 20


class Parser:
    """Turns files into pieces of text."""

    def __init__(self, limits: ParseLimits) -> None:
        self._limits = limits

    async def chunks(self, path: Path, filename: str, chunker: Chunker) -> AsyncGenerator[list[Chunk]]:
        """Yield the pieces of a file, some at a time; the file is read on only as they are taken.

        The same file and chunker give the same pieces. `filename` is what the file is called by whoever sent it.
        Raises `FileRefused`, after some pieces perhaps.
        """
        process = await self._begun(path, Job(os.getpid(), extension_of(filename), self._limits, chunker))
        try:
            left = self._limits.seconds
            while True:
                line, left = await self._line(process, left)
                if not line.endswith(b"\n"):
                    raise self._ended(await process.wait())
                if (some := answered(line)) is None:
                    return
                yield some
        finally:
            await asyncio.shield(ended(process))

    async def _begun(self, path: Path, job: Job) -> Process:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-s", "-B", "-m", WORKER, job.encode()),
                stdin=file,
                stdout=PIPE,
                stderr=DEVNULL,
                env={"LC_ALL": "C.UTF-8", **{name: os.environ[name] for name in KEPT if name in os.environ}},
                limit=MOST_LINE_BYTES,
            )
        finally:
            os.close(file)

    async def _line(self, process: Process, left: float) -> tuple[bytes, float]:
        """Return what the worker answers, and how many seconds it then has left. Raises `FileRefused`."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        assert process.stdout is not None  # noqa: S101 # it was asked for
        try:
            async with asyncio.timeout(left):
                line = await process.stdout.readline()
        except TimeoutError as error:
            raise self._took_longer() from error
        except ValueError as error:  # longer than a worker's lines are
            raise unintelligible() from error
        return line, left - (loop.time() - begun)

    def _ended(self, status: int) -> FileRefused:
        if -status in STOPPED:
            return self._took_longer()
        memory = f"reading it needs more than {self._limits.memory_bytes // MIB} MiB of memory"
        if status < 0:  # libraries that find no memory often end so
            return FileRefused("invalid_file", f"it is damaged, or {memory} ({signal.Signals(-status).name})")
        return FileRefused("server_error", f"the process that read it ended with status {status}")

    def _took_longer(self) -> FileRefused:
        return FileRefused("invalid_file", f"reading it took longer than {self._limits.seconds:g} s")


def answered(line: bytes) -> list[Chunk] | None:
    """Return what a worker says. Raises `FileRefused`."""
    try:
        return answer_of(line)
    except (ValueError, TypeError, KeyError) as error:
        raise unintelligible() from error


def unintelligible() -> FileRefused:
    """Return the refusal of a file whose worker talks nonsense."""
    return FileRefused("server_error", "the process that read it gave no answer that can be understood")


async def ended(process: Process) -> None:
    """Stop a worker, and leave nothing of it."""
    with suppress(ProcessLookupError):
        process.kill()
    assert process.stdout is not None  # noqa: S101 # it was asked for
    while await process.stdout.read(READ_BYTES):
        pass
    await process.wait()
