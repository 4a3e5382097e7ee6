"""Where bytes lie, by keys: a folder or a bucket."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import NamedTuple, Protocol


class Listed(NamedTuple):
    """Bytes that are there, whole or not."""

    key: str
    modified: int
    """When they were last written to, in milliseconds since 1970."""


class BytesStore(Protocol):
    """Keeps bytes by keys such as `ab12/cd34/ef56`, each of which is written once.

    Every call raises `FilesUnavailable`.
    """

    async def write(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        """Keep all chunks, and have them safe when this returns. Raises `StorageFull`, and what `chunks` raises.

        It leaves nothing then, unless the process ends.
        """

    def read(self, key: str) -> AsyncGenerator[bytes]:
        """Yield what was kept, in chunks of some 256 KiB; as much of it as there is."""

    async def has(self, key: str) -> bool:
        """Return whether there is anything of it."""

    def local(self, key: str) -> str | None:
        """Return the path of a file of this machine that has the bytes, None where there is none."""

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete what is there of those."""

    def list(self, owner: str) -> AsyncIterator[Sequence[Listed]]:
        """Yield, in pages, what there is with keys that begin with `owner`."""

    async def check(self) -> None:
        """See whether it can be used."""


async def batched(chunks: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """Yield the same bytes in chunks of `size`, but for the last one."""
    batch = bytearray()
    async for chunk in chunks:
        batch += chunk
        while len(batch) >= size:
            with memoryview(batch) as view:
                piece = bytes(view[:size])
            del batch[:size]
            yield piece
    if batch:
        yield bytes(batch)
