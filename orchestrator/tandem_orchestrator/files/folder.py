"""Bytes in a folder, which may be on a volume that replicas share. A file is written once, under a name of its own."""

import asyncio
import errno
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from itertools import batched as pages
from pathlib import Path
from typing import BinaryIO, Final, NoReturn, ParamSpec, TypeVar

from tandem_orchestrator.errors import FilesUnavailable, StorageFull
from tandem_orchestrator.files.bytes_store import Listed, batched

WRITTEN_AT_ONCE: Final = 1_048_576
READ_AT_ONCE: Final = 262_144
LISTED_AT_ONCE: Final = 500
FULL: Final = (errno.ENOSPC, errno.EDQUOT)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Opened = TypeVar("Opened", BinaryIO, BinaryIO | None)


class Folder:
    """Keeps bytes in files of `path`, by calls in `threads`: a volume that hangs holds up nobody else."""

    def __init__(self, path: str, threads: Executor) -> None:
        self._path = Path(path)
        self._threads = threads

    async def write(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        """See `BytesStore`."""
        file = await self._opened(self._create, key)
        try:
            async for batch in batched(chunks, WRITTEN_AT_ONCE):
                await self._call(file.write, batch)
            await self._call(_finish, file, self._path / key)
        except BaseException:
            await self._call(self._abandon, file, key)
            raise

    async def read(self, key: str) -> AsyncGenerator[bytes]:
        """See `BytesStore`."""
        file = await self._opened(self._open, key)
        if file is None:
            return
        try:
            while chunk := await self._call(file.read, READ_AT_ONCE):
                yield chunk
        finally:
            file.close()  # nothing is left to write, so that nothing waits

    async def has(self, key: str) -> bool:
        """See `BytesStore`."""
        return await self._call((self._path / key).is_file)

    def local(self, key: str) -> str | None:
        """See `BytesStore`."""
        return str(self._path / key)

    async def delete(self, keys: Sequence[str]) -> None:
        """See `BytesStore`."""
        await self._call(self._remove, keys)

    async def list(self, owner: str) -> AsyncIterator[Sequence[Listed]]:
        """See `BytesStore`."""
        found = pages(self._found(owner), LISTED_AT_ONCE, strict=False)
        while page := await self._call(next, found, ()):
            yield page

    async def check(self) -> None:
        """See `BytesStore`."""
        await self._call(self._look)

    async def _call(self, do: Callable[Arguments, Result], *arguments: Arguments.args, **_: Arguments.kwargs) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, do, *arguments)
        except OSError as error:
            self._fail(error)

    async def _opened(self, open_: Callable[[str], Opened], key: str) -> Opened:
        """Open a file; one whose opener is cancelled meanwhile is closed again."""
        opening = asyncio.ensure_future(self._call(open_, key))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close)
            raise

    def _fail(self, error: OSError) -> NoReturn:
        if error.errno in FULL:
            raise StorageFull("the folder for files is full; what is stored can only be read or deleted") from None
        raise FilesUnavailable(
            f"the folder for files cannot be used: {error.strerror or type(error).__name__}"
        ) from None

    def _create(self, key: str) -> BinaryIO:
        path = self._path / key
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")  # noqa: PTH123

    def _open(self, key: str) -> BinaryIO | None:
        try:
            return (self._path / key).open("rb", buffering=0)
        except FileNotFoundError:
            self._look()  # a volume that is not mounted has no files either
            return None

    def _abandon(self, file: BinaryIO, key: str) -> None:
        with suppress(OSError):  # a full disk cannot take what is buffered
            file.close()
        self._remove([key])

    def _remove(self, keys: Sequence[str]) -> None:
        for key in keys:
            with suppress(FileNotFoundError):
                (self._path / key).unlink()

    def _found(self, owner: str) -> Iterator[Listed]:
        """Yield files in the order of their keys, without those that go meanwhile."""
        top = self._path / owner
        for tenant in _names(top):
            for name in _names(top / tenant):
                with suppress(FileNotFoundError):
                    yield Listed(f"{owner}/{tenant}/{name}", (top / tenant / name).stat().st_mtime_ns // 1_000_000)

    def _look(self) -> None:
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(self._path, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def _finish(file: BinaryIO, path: Path) -> None:
    """Have a file, and that it is there, outlive a crash of the machine."""
    file.flush()
    os.fsync(file.fileno())
    file.close()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _close(opening: "asyncio.Task[BinaryIO | None]") -> None:
    if not opening.cancelled() and opening.exception() is None and (file := opening.result()) is not None:
        file.close()
