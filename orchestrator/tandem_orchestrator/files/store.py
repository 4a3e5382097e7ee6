"""Files that are kept. Every row that is read or written is of one tenant."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.errors import BodyTooLarge, ClientLeft, Forbidden, GatewayError, LimitExceeded, NotFound
from tandem_orchestrator.files import quota
from tandem_orchestrator.files.blobs import Blob, Blobs, Bound
from tandem_orchestrator.files.quota import Quota
from tandem_orchestrator.files.storage import Storage
from tandem_orchestrator.files.stored_file import StoredFile
from tandem_orchestrator.files.terms import Terms, cleaned
from tandem_orchestrator.observability.metrics import FILES_REFUSED
from tandem_orchestrator.part import Part
from tandem_orchestrator.store.database import Conflict
from tandem_orchestrator.store.ids import new
from tandem_orchestrator.store.page import Page
from tandem_orchestrator.store.rows import NamedRows, Rows, now

FILE: Final = "file-"
MOST_ARRIVING: Final = 32  # each holds up to two pieces for a bucket (16 MiB), or one for a folder (1 MiB)
RETRY_AFTER: Final = 5.0  # seconds


class FileStore(Part):
    """Keeps files. Every call raises `DatabaseDown`, `FilesUnavailable`; those that add, `StorageFull` too."""

    def __init__(self, config: OrchestratorConfig, rows: Rows, storage: Storage) -> None:
        self._rows = rows
        self._storage = storage
        self.blobs = Blobs(rows, storage)
        self._arriving = 0
        self.on_deleted: list[Callable[[str, str], None]] = []
        """Called with tenant and id of what was deleted here, or swept here."""
        self.update(config)

    def update(self, config: OrchestratorConfig) -> None:
        """Take changed settings."""
        self.quota = Quota.of(config.files)
        self.most = config.files.max_bytes

    async def room(self, tenant: str) -> Bound:
        """Return how large a new file may be. Raises `Forbidden` where the tenant may keep no more."""
        free = await quota.room(self._rows, tenant, self.quota)
        return Bound(free, self.over_quota) if free < self.most else Bound(self.most, self.too_large)

    def too_large(self) -> BodyTooLarge:
        """Return the error for a file beyond `files.maxBytes`."""
        return BodyTooLarge(f"the file is larger than {self.most} bytes (files.maxBytes)", param="file")

    def over_quota(self) -> Forbidden:
        """Return the error for a file that does not fit into the quota."""
        return quota.exceeded(self.quota)

    @contextmanager
    def arrival(self) -> Iterator[None]:
        """Count what arrives within, and how it fails. Raises `LimitExceeded` where too much arrives already."""
        if self._arriving >= MOST_ARRIVING:
            raise LimitExceeded(
                f"{MOST_ARRIVING} files are being uploaded to this process already; come again when some have arrived",
                retry_after=RETRY_AFTER,
                code="too_many_uploads",
            )
        self._arriving += 1
        try:
            yield
        except GatewayError as error:
            FILES_REFUSED.labels(str(error.code or error.type)).inc()
            raise
        except ClientLeft:
            FILES_REFUSED.labels("client_left").inc()
            raise
        finally:
            self._arriving -= 1

    async def get(self, tenant: str, file_id: str) -> StoredFile:
        """Return a file. Raises `NotFound`."""
        rows = await self._rows.read("GET_FILE", tenant=tenant, id=file_id, now=now())
        if not rows:
            raise file_not_found(file_id)
        return StoredFile(tenant, *rows[0])

    async def page(self, tenant: str, purpose: str, page: Page) -> tuple[list[StoredFile], bool]:
        """Return some of a tenant's files, and whether there are more; `purpose` may be "" for all."""
        rows = await self._rows.read(
            f"PAGE_{page.order.upper()}",
            tenant=tenant,
            now=now(),
            after=page.after,
            purpose=purpose,
            limit=page.limit + 1,
        )
        return [StoredFile(tenant, *row) for row in rows[: page.limit]], len(rows) > page.limit

    async def read(self, tenant: str, file_id: str) -> AsyncGenerator[bytes]:
        """Yield the bytes of a file. Raises `NotFound`, and before its last chunk `FileDamaged`."""
        async with aclosing(self.read_file(await self.get(tenant, file_id))) as chunks:
            async for chunk in chunks:
                yield chunk

    def read_file(self, file: StoredFile) -> AsyncGenerator[bytes]:
        """Return the bytes of a file that `get` returned, as `read` yields them."""
        return self.blobs.read(file.key, file.digest, lambda: self.get(file.tenant, file.id))

    @asynccontextmanager
    async def local(self, tenant: str, file_id: str) -> AsyncIterator[Path]:
        """Give a file of this machine with the bytes, which have been checked; it is not to be changed.

        Raises `NotFound`, `FileDamaged`.
        """
        file = await self.get(tenant, file_id)
        async with (
            aclosing(self.read_file(file)) as chunks,
            self._storage.local(file.key, chunks) as path,
        ):
            yield path

    async def add(
        self,
        tenant: str,
        filename: str,
        purpose: str,
        chunks: AsyncIterator[bytes],
        expires: int | None = None,
    ) -> StoredFile:
        """Keep a file, which expires at a time in milliseconds. Raises `Forbidden`, `BodyTooLarge`."""
        blob = await self.blobs.write(tenant, chunks, await self.room(tenant))
        file = new_file(tenant, blob, Terms(cleaned(filename), purpose, None))
        return await self.keep(blob, file._replace(expires=expires))

    async def keep(self, blob: Blob, file: StoredFile) -> StoredFile:
        """Keep a file of bytes that have been written. Raises `Forbidden`."""
        hold = "HOLD", [{"tenant": file.tenant}]
        adding = "ADD_FILE", [file_row(file) | self.quota.parameters()]
        _, kept, added = await self._rows.write(hold, keeping(file.tenant, blob), adding)
        key = await self.settle(file.tenant, blob, kept[0][-1])
        if not added:  # its bytes are swept, as nothing has them
            await quota.room(self._rows, file.tenant, self.quota)
            raise self.over_quota()
        return file._replace(key=key)

    async def settle(self, tenant: str, blob: Blob, key: str) -> str:
        """Return where bytes lie for good: at `key`, where equal ones did already, unless those are lost.

        They are where a volume was, or the settings name another folder or bucket since.
        """
        if key == blob.key:
            return key
        if await self.blobs.has(key):
            await self.blobs.drop(blob.key)
            return key
        row = {"tenant": tenant, "of_digest": blob.digest, "lost_key": key, "new_key": blob.key}
        (mended,) = await self._rows.write(("MEND_BLOB", [row]))
        return blob.key if mended else key  # another one has been quicker, and these are swept

    async def delete(self, tenant: str, file_id: str) -> None:
        """Delete a file. Raises `NotFound`."""
        try:
            (gone,) = await self._rows.write(("DELETE_FILE", [{"tenant": tenant, "id": file_id, "now": now()}]))
        except Conflict:  # no file can have such an id
            gone = []
        if not gone:
            raise file_not_found(file_id)
        self.tell_deleted([(tenant, file_id)])

    def tell_deleted(self, gone: Sequence[tuple[str, str]]) -> None:
        """Tell whoever wants to know of files that are gone, by tenant and id."""
        for tenant, file_id in gone:
            for tell in self.on_deleted:
                tell(tenant, file_id)


def new_file(tenant: str, blob: Blob, terms: Terms) -> StoredFile:
    """Return a file of these bytes that begins now."""
    created = now()
    expires = terms.expires(created)
    return StoredFile(tenant, FILE + new(), blob.digest, terms.filename, terms.purpose, blob.bytes, created, expires)


def keeping(tenant: str, blob: Blob) -> NamedRows:
    """Return what keeps bytes in the transaction that adds their file; it returns the key under which they lie."""
    row = {"tenant": tenant, "digest": blob.digest, "key": blob.key, "bytes": blob.bytes, "touched": now()}
    return "KEEP_BLOB", [row]


def file_row(file: StoredFile) -> dict[str, Any]:
    """Return a file as its table has it."""
    row = file._asdict()
    del row["key"]
    return row


def file_not_found(file_id: str) -> NotFound:
    """Return the error for a file that the tenant does not have."""
    return NotFound(f"there is no file {file_id!r}", code="file_not_found")
