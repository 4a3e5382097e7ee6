"""Files that come in parts: OpenAI's uploads. Every row that is read or written is of one tenant."""

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Final, NamedTuple

from tandem_orchestrator.errors import BadRequest, BodyTooLarge, Forbidden, NotFound
from tandem_orchestrator.files import quota
from tandem_orchestrator.files.blobs import Blob, Bound
from tandem_orchestrator.files.store import FileStore, file_row, keeping, new_file
from tandem_orchestrator.files.stored_file import StoredFile
from tandem_orchestrator.files.terms import Terms
from tandem_orchestrator.store.ids import new
from tandem_orchestrator.store.rows import Rows, now

LIFE_MS: Final = 3_600_000
MOST_PART_BYTES: Final = 67_108_864
MOST_PARTS: Final = 10_000  # that a file is put together of


class Upload(NamedTuple):
    """A file that comes in parts; times are milliseconds since 1970."""

    id: str
    filename: str
    purpose: str
    bytes: int
    created: int
    expires: int
    status: str
    file_seconds: int | None

    def document(self, file: StoredFile | None = None) -> dict[str, Any]:
        """Return OpenAI's object."""
        late = self.status == "pending" and self.expires <= now()
        return {
            "id": self.id,
            "object": "upload",
            "bytes": self.bytes,
            "created_at": self.created // 1000,
            "expires_at": self.expires // 1000,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "expired" if late else self.status,
            "file": None if file is None else file.document(),
        }


class Part(NamedTuple):
    """A part of an upload."""

    id: str
    key: str
    digest: str
    bytes: int


class Uploads:
    """What clients do with uploads. Every call raises what `FileStore`'s do."""

    def __init__(self, rows: Rows, files: FileStore) -> None:
        self._rows = rows
        self._files = files

    async def create(self, tenant: str, terms: Terms, size: int) -> dict[str, Any]:
        """Begin one of `size` bytes. Raises `BodyTooLarge`, `Forbidden`."""
        bound = await self._files.room(tenant)
        if size > bound.bytes:
            raise bound.error()
        created = now()
        upload = Upload(
            f"upload_{new()}", terms.filename, terms.purpose, size, created, created + LIFE_MS, "pending", terms.seconds
        )
        await self._rows.write(("ADD_UPLOAD", [upload._asdict() | {"tenant": tenant, "file_id": None}]))
        return upload.document()

    async def bound(self, tenant: str, upload_id: str) -> Bound:
        """Return how large a part may be. Raises `NotFound`, `BadRequest`, `Forbidden`."""
        await self._pending(tenant, upload_id)
        free = await quota.room(self._rows, tenant, self._files.quota, files=0)
        return Bound(free, self._files.over_quota) if free < MOST_PART_BYTES else Bound(MOST_PART_BYTES, _too_large)

    async def add_part(self, tenant: str, upload_id: str, blob: Blob) -> dict[str, Any]:
        """Keep a part of bytes that have been written. Raises `NotFound`, `BadRequest`, `Forbidden`."""
        part_id, created = f"part_{new()}", now()
        row = {"tenant": tenant, "upload_id": upload_id, "id": part_id, "created": created, "now": created}
        row |= {"key": blob.key, "digest": blob.digest, "bytes": blob.bytes} | self._files.quota.parameters()
        _, added = await self._rows.write(("HOLD", [{"tenant": tenant}]), ("ADD_PART", [row]))
        if not added:
            await self._files.blobs.drop(blob.key)
            await self._pending(tenant, upload_id)
            raise self._files.over_quota()
        return {"id": part_id, "object": "upload.part", "created_at": created // 1000, "upload_id": upload_id}

    async def complete(self, tenant: str, upload_id: str, part_ids: Any, md5: Any) -> dict[str, Any]:
        """Make a file of parts, in the order in which they are named. Raises `NotFound`, `BadRequest`, `Forbidden`."""
        upload = await self._pending(tenant, upload_id)
        parts = await self._named(tenant, upload, part_ids)
        if md5 is not None and not isinstance(md5, str):
            raise BadRequest("`md5` must be a text of hexadecimal digits", param="md5")
        digest = hashlib.md5(usedforsecurity=False)
        joined = self._joined(tenant, upload_id, parts, digest.update)
        blob = await self._files.blobs.write(tenant, joined, Bound(upload.bytes, _not_as_announced))
        if md5 is not None and md5.lower() != digest.hexdigest():
            await self._files.blobs.drop(blob.key)
            raise BadRequest(
                f"the bytes have the MD5 {digest.hexdigest()}, not {md5[:64]}", param="md5", code="checksum_mismatch"
            )
        file = new_file(tenant, blob, Terms(upload.filename, upload.purpose, upload.file_seconds))
        ending = {"tenant": tenant, "id": upload_id, "now": file.created, "new_file_id": file.id}
        _, ended, dropped, kept, _ = await self._rows.write(
            ("HOLD", [{"tenant": tenant}]),
            ("COMPLETE", [ending | self._files.quota.parameters()]),
            ("DROP_PARTS", [{"tenant": tenant, "upload_id": upload_id}]),
            keeping(tenant, blob),
            ("ADD_COMPLETED", [file_row(file)]),
        )
        await self._files.blobs.drop(*(row[-1] for row in dropped))
        await self._files.settle(tenant, blob, kept[0][-1])
        if not ended:  # the bytes are swept, unless a file has them
            await self._pending(tenant, upload_id)
            raise await self._no_room(tenant)
        return upload._replace(status="completed").document(file)

    async def cancel(self, tenant: str, upload_id: str) -> dict[str, Any]:
        """End one, and drop its parts. Raises `NotFound`, `BadRequest`."""
        upload = await self._pending(tenant, upload_id)
        ended, dropped = await self._rows.write(
            ("CANCEL", [{"tenant": tenant, "id": upload_id, "now": now()}]),
            ("DROP_PARTS", [{"tenant": tenant, "upload_id": upload_id}]),
        )
        await self._files.blobs.drop(*(row[-1] for row in dropped))
        if not ended:
            await self._pending(tenant, upload_id)
        return upload._replace(status="cancelled").document()

    async def _pending(self, tenant: str, upload_id: str) -> Upload:
        """Return one that may go on. Raises `NotFound`, `BadRequest`."""
        rows = await self._rows.read("GET_UPLOAD", tenant=tenant, id=upload_id)
        if not rows:
            raise NotFound(f"there is no upload {upload_id!r}", code="upload_not_found")
        upload = Upload(*rows[0])
        status = upload.document()["status"]
        if status != "pending":
            raise BadRequest(f"the upload {upload_id!r} is {status}; begin another one", code="upload_not_pending")
        return upload

    async def _named(self, tenant: str, upload: Upload, part_ids: Any) -> Sequence[Part]:
        if not isinstance(part_ids, list) or not 1 <= len(part_ids) <= MOST_PARTS:
            raise BadRequest(f"`part_ids` must be a list of 1 to {MOST_PARTS} ids", param="part_ids")
        rows = await self._rows.read("PARTS_OF", tenant=tenant, upload_id=upload.id)
        there = {row[0]: Part(*row) for row in rows}
        parts = []
        for n, part_id in enumerate(part_ids):
            part = there.pop(part_id, None) if isinstance(part_id, str) else None
            if part is None:
                await self._pending(tenant, upload.id)  # whoever has ended it meanwhile has dropped its parts
                twice = "twice" if part_id in part_ids[:n] else "which this upload does not have"
                raise BadRequest(f"`part_ids` names {part_id!r}, {twice}", param=f"part_ids.{n}", code="part_not_found")
            parts.append(part)
        if sum(part.bytes for part in parts) != upload.bytes:
            raise _not_as_announced()
        return parts

    async def _joined(
        self, tenant: str, upload_id: str, parts: Sequence[Part], tell: Callable[[bytes], None]
    ) -> AsyncIterator[bytes]:
        for part in parts:
            reading = self._files.blobs.read(part.key, part.digest, lambda: self._pending(tenant, upload_id))
            async with aclosing(reading) as chunks:
                async for chunk in chunks:
                    tell(chunk)
                    yield chunk

    async def _no_room(self, tenant: str) -> Forbidden:
        await quota.room(self._rows, tenant, self._files.quota)
        return self._files.over_quota()


def _not_as_announced() -> BadRequest:
    return BadRequest(
        "the parts together are not as many bytes as the upload was announced with; add what is missing, or begin "
        "another one",
        param="part_ids",
        code="size_mismatch",
    )


def _too_large() -> BodyTooLarge:
    return BodyTooLarge(f"a part may have up to {MOST_PART_BYTES} bytes", param="data")
