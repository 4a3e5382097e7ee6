"""Batches as their tenants see them. Every row that is read or written is of one tenant."""

import asyncio
from typing import Any, Final

import orjson
from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.batches.batch import BATCH, Batch, Usage, document
from tandem_orchestrator.batches.create import checked
from tandem_orchestrator.errors import BadRequest, Forbidden, LimitExceeded, NotFound
from tandem_orchestrator.files.store import FileStore
from tandem_orchestrator.store.database import Conflict
from tandem_orchestrator.store.ids import new
from tandem_orchestrator.store.page import Page, page_with
from tandem_orchestrator.store.rows import Rows, now

PURPOSE: Final = "batch"
MOST_BYTES: Final = 209_715_200  # of an input, as at OpenAI
FULL_RETRY_AFTER: Final = 60.0  # seconds
MOST_REFERENCE: Final = 253  # characters, for which there is room in the table


class BatchStore:
    """Keeps batches. Every call raises `DatabaseDown`, those that write `StorageFull` too."""

    def __init__(self, rows: Rows, files: FileStore) -> None:
        self._rows = rows
        self._files = files
        self.woken = asyncio.Event()
        """Set when something was added or cancelled here."""

    async def create(self, principal: Principal, payload: dict[str, Any], config: OrchestratorConfig) -> dict[str, Any]:
        """Begin a batch. Raises `BadRequest`, `NotFound`, `LimitExceeded`, `Forbidden`."""
        create = checked(payload)
        file = await self._files.get(principal.tenant, create.input_file)
        if file.purpose != PURPOSE:
            problem = f"the file {file.id!r} has the purpose {file.purpose}; upload it with the purpose {PURPOSE}"
            raise BadRequest(problem, param="input_file_id", code="invalid_purpose")
        if file.bytes > MOST_BYTES:
            problem = f"the file has {file.bytes} bytes, and a batch's may have {MOST_BYTES}; send several batches"
            raise BadRequest(problem, param="input_file_id", code="file_too_large")
        moment = now()
        batch = Batch(
            tenant=principal.tenant,
            id=BATCH + new(),
            status="validating",
            ending="completed",
            created=moment,
            expires=moment + create.milliseconds,
            began=None,
            finalizing=None,
            cancelling=None,
            ended=None,
            key_id=_lasting_id(principal),
            endpoint=create.endpoint,
            completion_window=create.window,
            input_file=file.id,
            metadata=orjson.dumps(create.metadata).decode(),
            output_seconds=create.output_seconds,
            model="",
            total=0,
            completed=0,
            failed=0,
            usage=orjson.dumps([*Usage()]).decode(),
            errors="[]",
            output_file=None,
            error_file=None,
        )
        most = config.batches.max_queued
        (added,) = await self._rows.write(("ADD_BATCH", [batch._asdict() | {"most": most}]))
        if not added:
            raise LimitExceeded(
                f"{most} batches of this tenant are unfinished (batches.maxQueued); come again when one has ended",
                retry_after=FULL_RETRY_AFTER,
                code="batch_queue_full",
            )
        self.woken.set()
        return await self.get(principal.tenant, batch.id)

    async def get(self, tenant: str, batch_id: str) -> dict[str, Any]:
        """Return a batch. Raises `NotFound`."""
        rows = await self._rows.read("GET_BATCH", tenant=tenant, id=batch_id)
        if not rows:
            raise NotFound(f"there is no batch {batch_id!r}", code="batch_not_found")
        return document(rows[0])

    async def page(self, tenant: str, page: Page) -> dict[str, Any]:
        """Return some of a tenant's batches, the newest first."""
        rows = await self._rows.read("PAGE_OF", tenant=tenant, after=page.after, limit=page.limit + 1)
        return page_with([document(row) for row in rows[: page.limit]], has_more=len(rows) > page.limit)

    async def cancel(self, tenant: str, batch_id: str) -> dict[str, Any]:
        """End a batch; what its lines have given until then is kept. Raises `NotFound`, `BadRequest`."""
        try:
            where = {"tenant": tenant, "id": batch_id, "moment": now()}
            (cancelled,) = await self._rows.write(("CANCEL_BATCH", [where]))
        except Conflict:  # no batch can have such an id
            cancelled = []
        batch = await self.get(tenant, batch_id)
        if cancelled:
            self.woken.set()
        elif batch["status"] not in ("cancelling", "cancelled"):
            problem = f"the batch is {batch['status']}, and can be cancelled no more"
            raise BadRequest(problem, code="batch_not_cancellable")
        return batch


def _lasting_id(principal: Principal) -> str:
    """Return by what `Keys.principal` will find whoever asks. Raises `Forbidden` if there is no room for it."""
    reference = principal.reference or principal.key_id
    if len(reference) > MOST_REFERENCE:
        raise Forbidden("this token's lists of models and tools are too long to be kept with a batch; use an API key")
    return reference
