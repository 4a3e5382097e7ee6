"""Files that wait on the disk until their engine has them, and have no name there."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final

from tandem_orchestrator.errors import GatewayError, LimitExceeded, StorageFull

PIECE: Final = 131_072  # bytes that are read at once
MOST_WRITTEN: Final = 262_144  # bytes that are gathered for one write
MOST_BYTES: Final = 536_870_912  # of all files of a process
RETRY_AFTER: Final = 5  # seconds


class SpooledFile:
    """A file that has arrived, until its request ends."""

    def __init__(self, file: BinaryIO, spool: "Spool") -> None:
        self.name = ""
        self.size = 0
        self._file = file
        self._spool = spool

    async def write(self, chunks: AsyncIterator[bytes], most: int, too_large: Callable[[], GatewayError]) -> None:
        """Keep what comes. Raises what `too_large` makes past `most` bytes, `LimitExceeded`, `StorageFull`."""
        waiting = bytearray()
        async for chunk in chunks:
            if self.size + len(chunk) > most:
                raise too_large()
            self._spool.take(len(chunk))
            self.size += len(chunk)
            waiting += chunk
            if len(waiting) >= MOST_WRITTEN:
                await _in_thread(self._file.write, bytes(waiting))
                waiting.clear()
        await _in_thread(self._file.write, bytes(waiting))
        await _in_thread(self._file.flush)

    async def piece(self, at: int) -> bytes:
        """Return some of its bytes from position `at` on."""
        return await _in_thread(lambda: os.pread(self._file.fileno(), PIECE, at))


class Spool:
    """All files of a process that wait so."""

    def __init__(self) -> None:
        self.bytes = 0

    @contextmanager
    def file(self) -> Iterator[SpooledFile]:
        """Give an empty file, which is gone afterwards."""
        with tempfile.TemporaryFile() as opened:
            spooled = SpooledFile(opened, self)
            try:
                yield spooled
            finally:
                self.bytes -= spooled.size

    def take(self, number: int) -> None:
        """Count bytes of a file. Raises `LimitExceeded`."""
        if self.bytes + number > MOST_BYTES:
            raise LimitExceeded(
                "too many files for engines are under way in this process; come again when some are through",
                retry_after=RETRY_AFTER,
                code="too_many_uploads",
            )
        self.bytes += number


async def _in_thread[Result](do: Callable[..., Result], *arguments: Any) -> Result:
    """Have a disk that is slow hold up nobody else. Raises `StorageFull`."""
    try:
        return await asyncio.to_thread(do, *arguments)
    except OSError as error:
        raise StorageFull(f"the file cannot be kept until its engine has it: {error.strerror}") from None
