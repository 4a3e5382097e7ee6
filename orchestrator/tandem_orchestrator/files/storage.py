"""What keeps the bytes of files under the present configuration."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Final, TypeVar

import structlog
from tandem_contract.config import Files as Settings
from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.errors import FilesUnavailable, GatewayError
from tandem_orchestrator.files.bytes_store import BytesStore, Listed
from tandem_orchestrator.files.folder import Folder
from tandem_orchestrator.part import Part
from tandem_orchestrator.store.database import Database

DEFAULT_FOLDER: Final = "tandem-files"
COPY: Final = "copy"
CHECK_SECONDS: Final = 60.0
THREADS: Final = 8  # that wait for a folder, at the most

Result = TypeVar("Result")

log = structlog.get_logger()


class Storage(Part):
    """A bytes store (see `BytesStore`) that follows the configuration, and tells what is wrong with it.

    What was kept elsewhere before a change of `files.folder` or `files.s3` is not found any more.
    """

    def __init__(self, config: OrchestratorConfig, database: Database) -> None:
        self._database = database
        self._threads = ThreadPoolExecutor(THREADS, "files")
        self._settings = config.files
        self._now: BytesStore | None = None
        self._problem: str | None = None

    def update(self, config: OrchestratorConfig) -> None:
        """Take changed settings; what is under way goes on where it began."""
        if _where(config.files) != _where(self._settings):
            self._now = self._problem = None
        self._settings = config.files

    async def watch(self) -> None:
        """See from time to time whether it can be used; run until cancelled."""
        while True:
            with suppress(GatewayError):
                await self.check()
            await asyncio.sleep(CHECK_SECONDS)

    @property
    def problems(self) -> list[str]:
        """A line about what is configured and cannot be used."""
        return [f"files: {self._problem}"] if self._problem is not None else []

    @property
    def configured(self) -> bool:
        """Whether there is anything to keep bytes in, be it unusable."""
        settings = self._settings
        placed = settings.s3 is not None or settings.folder is not None or self._database.is_file
        return settings.enabled and placed

    async def check(self) -> None:
        """See whether it can be used; a folder that nobody asked for is not made for that."""
        settings = self._settings
        if settings.enabled and (settings.s3 is not None or settings.folder is not None):
            await self._noted(self._store().check())

    async def write(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        """See `BytesStore`."""
        await self._noted(self._store().write(key, chunks))

    async def read(self, key: str) -> AsyncGenerator[bytes]:
        """See `BytesStore`."""
        chunks = self._store().read(key)
        try:
            while (chunk := await self._noted(anext(chunks, None))) is not None:
                yield chunk
        finally:
            await chunks.aclose()

    async def has(self, key: str) -> bool:
        """See `BytesStore`."""
        return await self._noted(self._store().has(key))

    @asynccontextmanager
    async def local(self, key: str, chunks: AsyncIterator[bytes]) -> AsyncIterator[Path]:
        """Give a file of this machine with the bytes that lie there; `chunks` are the same, read with a check."""
        if (path := self._store().local(key)) is not None:
            async for _ in chunks:
                pass
            yield Path(path)
            return
        with tempfile.TemporaryDirectory(prefix="tandem-file-") as folder:
            await Folder(folder, self._threads).write(COPY, chunks)
            yield Path(folder, COPY)

    async def delete(self, keys: Sequence[str]) -> None:
        """See `BytesStore`."""
        if keys:
            await self._noted(self._store().delete(keys))

    def list(self, owner: str) -> AsyncIterator[Sequence[Listed]]:
        """See `BytesStore`."""
        return self._store().list(owner)

    async def close(self) -> None:
        """End the threads after what they were given."""
        await asyncio.to_thread(self._threads.shutdown)

    def _store(self) -> BytesStore:
        if self._now is None:
            self._now = self._made()
        return self._now

    def _made(self) -> BytesStore:
        settings = self._settings
        if settings.enabled and settings.s3 is not None:
            from tandem_orchestrator.files.s3 import Bucket  # noqa: PLC0415 # 20 MB, which few need

            return Bucket(settings.s3)
        if not self.configured:
            raise FilesUnavailable(
                "no files are kept here: set files.folder or files.s3, as the database is not a file, or files.enabled "
                "is false",
                code="files_not_configured",
            )
        return Folder(settings.folder or DEFAULT_FOLDER, self._threads)

    async def _noted(self, done: Awaitable[Result]) -> Result:
        try:
            result = await done
        except FilesUnavailable as error:
            self._note(error.message)
            raise
        self._note(None)
        return result

    def _note(self, problem: str | None) -> None:
        if problem != self._problem:
            self._problem = problem
            if problem is None:
                log.info("files can be kept again")
            else:
                log.warning("files cannot be kept or read", problem=problem)


def new_key(owner: str, tenant_hash: str) -> str:
    """Return a key that nothing else has had."""
    return f"{owner}/{tenant_hash}/{token_hex(16)}"


def _where(settings: Settings) -> tuple[object, ...]:
    return settings.enabled, settings.folder, settings.s3
