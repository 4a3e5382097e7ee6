"""The files of vector stores, alone and in batches: `/v1/vector_stores/{id}/files` and `/file_batches`."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson
from tandem_contract.config import StoreQuota

from tandem_orchestrator.errors import BadRequest, NotFound
from tandem_orchestrator.retrieval.attributes import attributes_of
from tandem_orchestrator.retrieval.index.indexes import Index
from tandem_orchestrator.retrieval.kept import Kept
from tandem_orchestrator.retrieval.quota import check_quota
from tandem_orchestrator.retrieval.searching import store_not_found
from tandem_orchestrator.retrieval.stores import STATUSES, UNMADE, Counts, Store
from tandem_orchestrator.retrieval.strategy import shown, strategy_of
from tandem_orchestrator.store import ids
from tandem_orchestrator.store.database import Conflict
from tandem_orchestrator.store.page import Page
from tandem_orchestrator.store.rows import NamedRows, now

BATCH: Final = "vsfb_"
MOST_AT_CREATION: Final = 500
MOST_IN_BATCH: Final = 2000
TURN_MS: Final = 1000  # between the turns of files that come together, so that other tenants' come in between
CONTENT_PAGE: Final = 500  # pieces


class Wanted(NamedTuple):
    """A file that is to be attached."""

    file_id: str
    attributes: dict[str, Any]
    chunking: str


class FilePage(NamedTuple):
    """What is wanted of a store's files: a page of those of a status, "" for any."""

    page: Page
    status: str


class StoreFile(NamedTuple):
    """A file of a store, as its row has it."""

    file_id: str
    created: int
    filename: str
    attributes: str
    chunking: str
    status: str
    error_code: str | None
    error: str | None
    bytes: int

    def shown(self, store_id: str, of_store: str) -> dict[str, Any]:
        """Return it as OpenAI has it; `of_store` is how the store cuts files."""
        error = None if self.error_code is None else {"code": self.error_code, "message": self.error}
        return {
            "id": self.file_id,
            "object": "vector_store.file",
            "created_at": self.created // 1000,
            "vector_store_id": store_id,
            "usage_bytes": self.bytes,
            "status": self.status,
            "last_error": error,
            "attributes": orjson.loads(self.attributes),
            "chunking_strategy": shown(self.chunking, of_store),
        }


class StoreFiles:
    """What clients do with the files of stores. Every call raises `DatabaseDown`, `NotFound`."""

    def __init__(self, kept: Kept, quota: StoreQuota) -> None:
        self._rows = kept.rows
        self._files = kept.file_store
        self._indexes = kept.indexes
        self._stores = kept.stores
        self._works = kept.works
        self._quota = quota

    async def attach(self, tenant: str, store_id: str, body: dict[str, Any]) -> dict[str, Any]:
        """Attach a file, which is read in the background. Raises `BadRequest`, `Forbidden`."""
        store = await self._stores.row(tenant, store_id)
        wanted = wanted_of(body, "")
        await self._attach(tenant, store, [wanted], None)
        return await self.get(tenant, store_id, wanted.file_id)

    async def attach_batch(self, tenant: str, store_id: str, body: dict[str, Any]) -> dict[str, Any]:
        """Attach many files. Raises `BadRequest`, `Forbidden`."""
        store = await self._stores.row(tenant, store_id)
        wanted = batch_of(body)
        batch_id = BATCH + ids.new()
        await self._attach(tenant, store, wanted, batch_id)
        return await self.batch(tenant, store_id, batch_id)

    async def steps(
        self, tenant: str, store_id: str, wanted: Sequence[Wanted], batch_id: str | None
    ) -> list[NamedRows]:
        """Return what attaches files to a store. Raises `NotFound` for a file that the tenant does not have."""
        moment = now()
        where = {"tenant": tenant, "store_id": store_id}
        rows: list[dict[str, Any]] = []
        works: list[dict[str, Any]] = []
        for n, each in enumerate(wanted):
            file = await self._files.get(tenant, each.file_id)
            rows.append(
                where
                | {
                    "file_id": each.file_id,
                    "created": moment,
                    "filename": file.filename,
                    "attributes": orjson.dumps(each.attributes).decode(),
                    "chunking": each.chunking,
                    "status": "in_progress",
                    "error_code": None,
                    "error": None,
                    "bytes": 0,
                    "batch_id": batch_id,
                }
            )
            works.append(where | {"file_id": each.file_id, "turn": moment + n * TURN_MS, "now": moment})
        return [("ADD_FILE", rows), ("QUEUE", works), ("QUEUE_NEXT", works)]

    async def get(self, tenant: str, store_id: str, file_id: str) -> dict[str, Any]:
        """Return a file of a store."""
        store = await self._stores.row(tenant, store_id)
        file = await self._file(tenant, store_id, file_id)
        return file.shown(store_id, store.chunking)

    async def page(self, tenant: str, store_id: str, wanted: "FilePage", batch_id: str = "") -> dict[str, Any]:
        """Return some of a store's files, of one batch alone where it is given. Raises `BadRequest`."""
        page, status = wanted
        if status and status not in STATUSES:
            raise BadRequest(f"`filter` must be one of {', '.join(STATUSES)}", param="filter")
        store = await self._stores.row(tenant, store_id)
        if mark := page.mark:
            await self._file(tenant, store_id, mark)
        where = {"tenant": tenant, "store_id": store_id, "status": status, "batch_id": batch_id}
        rows = await self._rows.read(f"FILES_{page.asked}", **where, after=mark, limit=page.limit + 1)
        return page.of([StoreFile(*row).shown(store_id, store.chunking) for row in rows])

    async def update(self, tenant: str, store_id: str, file_id: str, body: dict[str, Any]) -> dict[str, Any]:
        """Put other attributes in the place of a file's. Raises `BadRequest`."""
        if "attributes" not in body:
            raise BadRequest("`attributes` is missing", param="attributes")
        row = {
            "tenant": tenant,
            "store_id": store_id,
            "file_id": file_id,
            "new_attributes": orjson.dumps(attributes_of(body["attributes"])).decode(),
        }
        try:
            (changed,) = await self._rows.write(("SET_ATTRIBUTES", [row]))
        except Conflict:  # no file can have such an id
            changed = []
        if not changed:
            raise file_not_attached(store_id, file_id)
        return await self.get(tenant, store_id, file_id)

    async def detach(self, tenant: str, store_id: str, file_id: str) -> None:
        """Take a file and all that was made of it out of a store; the file itself stays."""
        await self._file(tenant, store_id, file_id)
        made = await self._made(tenant, store_id)
        removing = [step for index in made.values() for step in index.removing(file_id)]
        row = {"tenant": tenant, "store_id": store_id, "file_id": file_id}
        await self._rows.write(("DELETE_FILE", [row]), *removing)
        for index_id, index in (await self._made(tenant, store_id)).items():  # nobody adds to one from now on
            if index_id not in made:
                await self._rows.write(*index.removing(file_id))
            await self._rows.write(("RECOUNT", [{"id": index_id, "new_chunks": await index.count()}]))

    async def _made(self, tenant: str, store_id: str) -> dict[str, Index]:
        """Return a store's indexes that have tables."""
        store = await self._stores.row(tenant, store_id)
        dimensions = {store.index_id: store.dimension}
        if store.next_index_id is not None:
            for (dimension,) in await self._rows.read("DIMENSION", tenant=tenant, id=store.next_index_id):
                dimensions[store.next_index_id] = dimension
        return {
            index_id: self._indexes.index(index_id, dimension)
            for index_id, dimension in dimensions.items()
            if dimension != UNMADE
        }

    async def content(self, tenant: str, store_id: str, file_id: str, after: int) -> dict[str, Any]:
        """Return the texts of a file's pieces after number `after`, as far as they are made."""
        store = await self._stores.row(tenant, store_id)
        await self._file(tenant, store_id, file_id)
        found = (
            await self._indexes.index(store.index_id, store.dimension).texts(file_id, after, CONTENT_PAGE + 1)
            if store.dimension != UNMADE
            else []
        )
        has_more = len(found) > CONTENT_PAGE
        data = [{"type": "text", "text": each.text} for each in found[:CONTENT_PAGE]]
        next_page = str(found[CONTENT_PAGE - 1].position) if has_more else None
        return {"object": "vector_store.file_content.page", "data": data, "has_more": has_more, "next_page": next_page}

    async def batch(self, tenant: str, store_id: str, batch_id: str) -> dict[str, Any]:
        """Return a batch of files."""
        where = {"tenant": tenant, "store_id": store_id}
        rows = await self._rows.read("GET_BATCH", **where, id=batch_id)
        if not rows:
            raise NotFound(f"there is no file batch {batch_id!r} in {store_id!r}", code="file_batch_not_found")
        (_, created, cancelled) = rows[0]
        counted = await self._rows.read("BATCH_COUNTS", **where, batch_id=batch_id)
        counts = Counts.of([(status, number, 0) for status, number in counted])
        status = "cancelled" if cancelled else "in_progress" if counts.files["in_progress"] else "completed"
        return {
            "id": batch_id,
            "object": "vector_store.files_batch",
            "created_at": created // 1000,
            "vector_store_id": store_id,
            "status": status,
            "file_counts": counts.shown(),
        }

    async def cancel_batch(self, tenant: str, store_id: str, batch_id: str) -> dict[str, Any]:
        """End what is not done of a batch; files that are done stay."""
        await self.batch(tenant, store_id, batch_id)
        row = {"tenant": tenant, "store_id": store_id, "batch_id": batch_id, "now": now()}
        await self._rows.write(("CANCEL_BATCH", [row]), ("CANCEL_FILES", [row]), ("DROP_CANCELLED", [row]))
        return await self.batch(tenant, store_id, batch_id)

    async def _attach(self, tenant: str, store: Store, wanted: Sequence[Wanted], batch_id: str | None) -> None:
        await check_quota(self._rows, tenant, self._quota)
        if store.expired:
            raise expired(store.id)
        moment = now()
        steps: list[NamedRows] = [("HOLD_STORE", [{"tenant": tenant, "id": store.id, "now": moment}])]
        if batch_id is not None:
            batch = {"tenant": tenant, "id": batch_id, "store_id": store.id, "created": moment, "cancelled": None}
            steps.append(("ADD_BATCH", [batch]))
        steps += await self.steps(tenant, store.id, wanted, batch_id)
        for each in wanted:
            if await self._rows.read("GET_FILE", tenant=tenant, store_id=store.id, file_id=each.file_id):
                await self.detach(tenant, store.id, each.file_id)  # attached anew, be it cut otherwise
        try:
            await self._rows.write(*steps)
        except Conflict:  # deleted meanwhile
            raise store_not_found(store.id) from None
        self._works.woken.set()

    async def _file(self, tenant: str, store_id: str, file_id: str) -> StoreFile:
        rows = await self._rows.read("GET_FILE", tenant=tenant, store_id=store_id, file_id=file_id)
        if not rows:
            raise file_not_attached(store_id, file_id)
        return StoreFile(*rows[0])


def wanted_of(body: Mapping[str, Any], path: str) -> Wanted:
    """Return the file that a request wants attached; its fields stand under `path`. Raises `BadRequest`."""
    where = f"{path}." if path else ""
    file_id = body.get("file_id")
    if not isinstance(file_id, str):
        raise BadRequest(f"`{where}file_id` must be the id of a file", param=f"{where}file_id")
    attributes = attributes_of(body.get("attributes"), f"{where}attributes")
    return Wanted(file_id, attributes, strategy_of(body.get("chunking_strategy"), f"{where}chunking_strategy"))


def batch_of(body: dict[str, Any]) -> list[Wanted]:
    """Return the files of a batch. Raises `BadRequest`."""
    files, file_ids = body.get("files"), body.get("file_ids")
    if (files is None) == (file_ids is None):
        raise BadRequest("a batch must have `file_ids` or `files`, and not both", param="file_ids")
    if files is None:
        return wanted_ids(file_ids, body, MOST_IN_BATCH)
    if (
        not isinstance(files, list)
        or not 0 < len(files) <= MOST_IN_BATCH
        or not all(isinstance(f, dict) for f in files)
    ):
        raise BadRequest(f"`files` must be a list of 1 to {MOST_IN_BATCH} objects", param="files")
    wanted = [wanted_of(file, f"files.{n}") for n, file in enumerate(files)]
    _each_once([each.file_id for each in wanted], "files")
    return wanted


def wanted_ids(value: Any, body: dict[str, Any], most: int) -> list[Wanted]:
    """Return files that are attached all alike. Raises `BadRequest`."""
    if not isinstance(value, list) or not 0 < len(value) <= most or not all(isinstance(each, str) for each in value):
        raise BadRequest(f"`file_ids` must be a list of 1 to {most} ids of files", param="file_ids")
    _each_once(value, "file_ids")
    attributes, chunking = attributes_of(body.get("attributes")), strategy_of(body.get("chunking_strategy"))
    return [Wanted(file_id, attributes, chunking) for file_id in value]


def file_not_attached(store_id: str, file_id: str) -> NotFound:
    """Return the error for a file that is not in a store."""
    return NotFound(f"there is no file {file_id!r} in the vector store {store_id!r}", code="file_not_found")


def expired(store_id: str) -> BadRequest:
    """Return the error for a store that nobody used for too long."""
    return BadRequest(f"the vector store {store_id!r} has expired", code="vector_store_expired")


def _each_once(file_ids: Sequence[str], path: str) -> None:
    if len(set(file_ids)) < len(file_ids):
        raise BadRequest(f"`{path}` must name each file once", param=path)
