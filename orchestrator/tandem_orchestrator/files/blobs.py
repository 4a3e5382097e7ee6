"""Writes bytes under keys of their own, and reads them again with a check."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import NamedTuple

import structlog

from tandem_orchestrator.errors import FileDamaged, FilesUnavailable, GatewayError
from tandem_orchestrator.files.storage import Storage, new_key
from tandem_orchestrator.observability.metrics import FILE_BYTES, FILES_DAMAGED
from tandem_orchestrator.store.rows import Rows

log = structlog.get_logger()


class Blob(NamedTuple):
    """Bytes that have been written."""

    key: str
    digest: str
    """SHA-256."""
    bytes: int


class Bound(NamedTuple):
    """How many bytes may come, and what is raised for more."""

    bytes: int
    error: Callable[[], GatewayError]


class Blobs:
    """The bytes of one database."""

    def __init__(self, rows: Rows, storage: Storage) -> None:
        self._rows = rows
        self._storage = storage
        self._owner = ""

    async def owner(self) -> str:
        """Return what the keys of this database begin with. Raises `DatabaseDown`."""
        if not self._owner:
            ((self._owner,),) = await self._rows.read("ANY_OWNER")
        return self._owner

    async def write(self, tenant: str, chunks: AsyncIterator[bytes], bound: Bound) -> Blob:
        """Keep bytes, for which a row has to follow: without one, they are swept.

        Raises `DatabaseDown`, `FilesUnavailable`, `StorageFull`, the bound's error, and what `chunks` raises.
        """
        key = new_key(await self.owner(), hashlib.sha256(tenant.encode()).hexdigest()[:32])
        measured = _Measured(chunks, bound)
        await self._storage.write(key, measured.chunks())
        FILE_BYTES.inc(measured.bytes)
        return Blob(key, measured.digest.hexdigest(), measured.bytes)

    async def read(self, key: str, digest: str, look: Callable[[], Awaitable[object]]) -> AsyncGenerator[bytes]:
        """Yield what lies there, its last chunk only when all of it is what was written.

        Raises `FilesUnavailable`, `FileDamaged`; and before the latter what `look` raises, where the bytes went because
        somebody deleted them.
        """
        found, held = hashlib.sha256(), b""
        async with aclosing(self._storage.read(key)) as chunks:
            async for chunk in chunks:
                found.update(chunk)
                if held:
                    yield held
                held = chunk
        if found.hexdigest() != digest:
            await look()
            FILES_DAMAGED.inc()
            log.error("the bytes of a file are missing, or not those that were kept", key=key, digest=digest)
            raise FileDamaged("the bytes of this file are missing or damaged; delete it, and upload it again")
        if held:
            yield held

    async def has(self, key: str) -> bool:
        """Return whether there are any bytes there, or it cannot be told."""
        try:
            return await self._storage.has(key)
        except FilesUnavailable:
            return True

    async def drop(self, *keys: str) -> bool:
        """Delete bytes that no row names any more; return false where they are left to the sweeper."""
        try:
            await self._storage.delete(keys)
        except FilesUnavailable:
            return False
        return True


class _Measured:
    """Chunks that are counted as they pass; a caller's own bytes are never held."""

    def __init__(self, chunks: AsyncIterator[bytes], bound: Bound) -> None:
        self._chunks = chunks
        self._bound = bound
        self.digest = hashlib.sha256()
        self.bytes = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks:
            self.bytes += len(chunk)
            if self.bytes > self._bound.bytes:
                raise self._bound.error()
            self.digest.update(chunk)
            yield chunk
