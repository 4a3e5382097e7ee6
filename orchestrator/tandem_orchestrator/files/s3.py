"""Bytes in a bucket of S3, or of a server with its API, by obstore; imported only where one is configured.

What has one key lies in objects `KEY/00000`, `KEY/00001` and so on, each whole by a request of its own. S3's own
uploads in parts would leave, where a process ends in the middle, parts that no listing of objects shows.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from datetime import timedelta
from itertools import count
from typing import Any, Final, TypeVar

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store
from tandem_contract.config import S3

from tandem_orchestrator.errors import FilesUnavailable
from tandem_orchestrator.files.bytes_store import Listed, batched
from tandem_orchestrator.secret_file import SecretError, read_secret

PIECE_BYTES: Final = 8_388_608
READ_AT_ONCE: Final = 262_144
LISTED_AT_ONCE: Final = 1000
SECONDS: Final = timedelta(seconds=30)  # for a request; a piece's time is bounded so, and a file's is not
CONNECT_SECONDS: Final = timedelta(seconds=5)
RETRIES: Final[Any] = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}

Result = TypeVar("Result")


class Bucket:
    """Keeps bytes in a bucket. Credentials are read again after each failure, since they may have changed."""

    def __init__(self, settings: S3) -> None:
        self._settings = settings
        self._opened: S3Store | None = None

    async def write(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        """See `BytesStore`. A piece is sent while the next one arrives."""
        sending: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sending.set_result(None)
        number, piece = 0, b""
        try:
            async for piece in batched(chunks, PIECE_BYTES):
                await sending
                sending = asyncio.create_task(self._put(key, number, piece))
                number += 1
            await sending
            if len(piece) in (0, PIECE_BYTES):  # one that is short is the last
                await self._put(key, number, b"")
        except BaseException:
            await asyncio.gather(sending, return_exceptions=True)
            await self._abandon(key)
            raise

    async def read(self, key: str) -> AsyncGenerator[bytes]:
        """See `BytesStore`."""
        for number in count():
            size = 0
            try:
                found = await self._ask(obstore.get_async(self._store(), self._object(key, number)))
            except FileNotFoundError:
                if not number:
                    await self.check()  # a bucket that is not there has no objects either
                return
            stream = found.stream(READ_AT_ONCE)
            while (chunk := await self._ask(_next(stream))) is not None:
                size += len(chunk)
                yield chunk
            if size < PIECE_BYTES:
                return

    async def has(self, key: str) -> bool:
        """See `BytesStore`."""
        async for _ in self._pages(key, 1):
            return True
        return False

    def local(self, key: str) -> str | None:  # noqa: ARG002 # see `BytesStore`
        """See `BytesStore`."""
        return None

    async def delete(self, keys: Sequence[str]) -> None:
        """See `BytesStore`."""
        for key in keys:
            async for page in self._pages(key):
                await self._ask(obstore.delete_async(self._store(), [entry["path"] for entry in page]))

    async def list(self, owner: str) -> AsyncIterator[Sequence[Listed]]:
        """See `BytesStore`. What is in several pieces is listed as often."""
        async for page in self._pages(owner):
            yield [
                Listed(
                    entry["path"].removeprefix(self._settings.prefix).rpartition("/")[0],
                    round(entry["last_modified"].timestamp() * 1000),
                )
                for entry in page
            ]

    async def check(self) -> None:
        """See `BytesStore`."""
        async for _ in self._pages("check", 1):
            return

    async def _pages(self, key: str, most: int = LISTED_AT_ONCE) -> AsyncIterator[Sequence[Any]]:
        stream = obstore.list(self._store(), f"{self._settings.prefix}{key}/", chunk_size=most)
        while page := await self._ask(_next(stream)):
            yield page

    async def _put(self, key: str, number: int, piece: bytes) -> None:
        put = obstore.put_async(self._store(), self._object(key, number), piece, use_multipart=False)
        try:
            await self._ask(put)
        except FileNotFoundError:
            raise self._failed("there is no such bucket") from None

    async def _abandon(self, key: str) -> None:
        try:
            await self.delete([key])
        except FilesUnavailable:
            return  # which is left to the sweeper

    def _object(self, key: str, number: int) -> str:
        return f"{self._settings.prefix}{key}/{number:05}"

    async def _ask(self, answer: Awaitable[Result]) -> Result:
        try:
            return await answer
        except FileNotFoundError:
            raise
        except (BaseError, OSError, ValueError) as error:
            self._opened = None
            raise self._failed(_reason(error)) from None

    def _store(self) -> S3Store:
        if self._opened is None:
            settings = self._settings
            options: dict[str, Any] = {}
            if settings.endpoint is not None:
                options["endpoint"] = str(settings.endpoint)
            try:
                if settings.access_key_id is not None and settings.secret_access_key is not None:
                    options["access_key_id"] = read_secret(settings.access_key_id)
                    options["secret_access_key"] = read_secret(settings.secret_access_key)
                self._opened = S3Store(
                    settings.bucket,
                    region=settings.region,
                    virtual_hosted_style_request=False,
                    client_options={"allow_http": True, "timeout": SECONDS, "connect_timeout": CONNECT_SECONDS},
                    retry_config=RETRIES,
                    **options,
                )
            except (SecretError, BaseError, ValueError) as error:
                raise self._failed(_reason(error)) from None
        return self._opened

    def _failed(self, reason: str) -> FilesUnavailable:
        return FilesUnavailable(f"the bucket {self._settings.bucket!r} for files cannot be used: {reason}")


async def _next(stream: Any) -> Any:
    """Return the next of a stream of obstore, None at its end."""
    return await anext(stream, None)


def _reason(error: BaseException) -> str:
    """Return what failed, without the server's own words: they may hold the access key."""
    if isinstance(error, SecretError):
        return str(error)
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        return "access is denied"
    return f"it does not answer as it should ({type(error).__name__})"
