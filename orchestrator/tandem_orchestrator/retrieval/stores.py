"""Vector stores as clients see them: `/v1/vector_stores`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple, Self

import orjson

from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.retrieval.embedding.identity import Identity
from tandem_orchestrator.retrieval.searching import store_not_found
from tandem_orchestrator.store import ids
from tandem_orchestrator.store.database import Conflict
from tandem_orchestrator.store.metadata import metadata
from tandem_orchestrator.store.page import Page
from tandem_orchestrator.store.rows import Rows, now

PREFIX: Final = "vs_"
DAY_MS: Final = 86_400_000
MOST_DAYS: Final = 365
LONGEST_NAME: Final = 512
LONGEST_DESCRIPTION: Final = 4096
UNMADE: Final = -1  # the dimension of an index without tables
STATUSES: Final = ("in_progress", "completed", "failed", "cancelled")


class Store(NamedTuple):
    """A store's row."""

    id: str
    created: int
    used: int
    name: str
    description: str | None
    metadata: str
    expires_days: int | None
    index_id: str
    next_index_id: str | None
    embedding: str
    """What made the vectors of its index, "" for one without,"""
    chunking: str
    """what its files are cut like, unless they say otherwise,"""
    dimension: int
    """and how long its vectors are; see `tables.INDEXES`."""
    chunks: int

    @property
    def identity(self) -> Identity | None:
        """What made the vectors of its index."""
        return remembered(self.embedding, self.dimension)

    @property
    def expires(self) -> int | None:
        """When it expires if nobody uses it, in milliseconds since 1970."""
        return None if self.expires_days is None else self.used + self.expires_days * DAY_MS

    @property
    def expired(self) -> bool:
        """Whether nobody used it for too long."""
        return self.expires is not None and self.expires < now()

    def shown(self, counts: "Counts") -> dict[str, Any]:
        """Return it as OpenAI has it, with what made its vectors, and whether its index is being made anew."""
        identity = self.identity
        status = "expired" if self.expired else "in_progress" if counts.files["in_progress"] else "completed"
        return {
            "id": self.id,
            "object": "vector_store",
            "created_at": self.created // 1000,
            "name": self.name,
            "description": self.description,
            "usage_bytes": counts.bytes,
            "file_counts": counts.shown(),
            "status": status,
            "expires_after": None
            if self.expires_days is None
            else {"anchor": "last_active_at", "days": self.expires_days},
            "expires_at": None if self.expires is None else self.expires // 1000,
            "last_active_at": self.used // 1000,
            "metadata": orjson.loads(self.metadata),
            "embedding": identity and {"model": identity.model, "dimensions": identity.dimension},
            "reindexing": self.next_index_id is not None,
        }


class Counts(NamedTuple):
    """How many files there are of each status, and their bytes."""

    files: dict[str, int]
    bytes: int

    @classmethod
    def of(cls, rows: Sequence[tuple[str, int, int]]) -> Self:
        """Return the counts in rows of status, number and bytes."""
        files = dict.fromkeys(STATUSES, 0) | {status: number for status, number, _ in rows}
        return cls(files, sum(int(size) for _, _, size in rows))

    def shown(self) -> dict[str, int]:
        """Return them as OpenAI has them."""
        return self.files | {"total": sum(self.files.values())}


class VectorStores:
    """What clients do with stores. Every call raises `DatabaseDown`, and those that add `StorageFull` too."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def row(self, tenant: str, store_id: str) -> Store:
        """Return a store's row. Raises `NotFound`."""
        rows = await self._rows.read("GET_STORE", tenant=tenant, id=store_id)
        if not rows:
            raise store_not_found(store_id)
        return Store(*rows[0])

    async def get(self, tenant: str, store_id: str) -> dict[str, Any]:
        """Return a store. Raises `NotFound`."""
        store = await self.row(tenant, store_id)
        return store.shown((await self._counts(tenant, [store]))[store_id])

    async def page(self, tenant: str, page: Page) -> dict[str, Any]:
        """Return some of a tenant's stores. Raises `NotFound` for one that the page is to begin or end at."""
        if mark := page.mark:
            await self.row(tenant, mark)
        rows = await self._rows.read(f"STORES_{page.asked}", tenant=tenant, after=mark, limit=page.limit + 1)
        stores = [Store(*row) for row in rows]
        counts = await self._counts(tenant, stores)
        return page.of([store.shown(counts[store.id]) for store in stores])

    async def update(self, tenant: str, store_id: str, body: dict[str, Any]) -> dict[str, Any]:
        """Change a store's name, metadata or expiry, where they are given. Raises `BadRequest`, `NotFound`."""
        store = await self.row(tenant, store_id)
        changes: dict[str, Any] = {
            "new_name": store.name if body.get("name") is None else name_of(body),
            "new_metadata": orjson.dumps(metadata(body["metadata"])).decode() if "metadata" in body else store.metadata,
            "new_expires_days": expiry_of(body) if "expires_after" in body else store.expires_days,
        }
        try:
            (changed,) = await self._rows.write(
                ("SET_STORE", [{"tenant": tenant, "id": store_id, "now": now(), **changes}])
            )
        except Conflict:
            changed = []
        if not changed:
            raise store_not_found(store_id)
        return await self.get(tenant, store_id)

    async def delete(self, tenant: str, store_id: str) -> None:
        """Delete a store with all that was made of its files, which stay. Raises `NotFound`."""
        await self.row(tenant, store_id)
        gone, _ = await self._rows.write(
            ("DELETE_STORE", [{"tenant": tenant, "id": store_id}]),
            ("DROP_INDEXES", [{"tenant": tenant, "store_id": store_id}]),
        )
        if not gone:
            raise store_not_found(store_id)

    async def _counts(self, tenant: str, stores: Sequence[Store]) -> dict[str, Counts]:
        if not stores:
            return {}
        ids = sorted(store.id for store in stores)
        rows: dict[str, list[tuple[str, int, int]]] = {store_id: [] for store_id in ids}
        for store_id, *counted in await self._rows.read("COUNTS", tenant=tenant, first=ids[0], last=ids[-1]):
            if store_id in rows:
                rows[store_id].append((counted[0], counted[1], counted[2]))
        return {store_id: Counts.of(found) for store_id, found in rows.items()}


def remembered(embedding: str, dimension: int) -> Identity | None:
    """Return what made the vectors of an index, None for one without."""
    if not embedding:
        return None
    identity = Identity.read(orjson.loads(embedding))
    return replace(identity, dimension=dimension) if dimension > 0 else identity


def index_row(tenant: str, store_id: str, embedding: str, chunking: str) -> dict[str, Any]:
    """Return the row of a new index, without anything in it."""
    return {
        "id": ids.new(),
        "tenant": tenant,
        "store_id": store_id,
        "created": now(),
        "embedding": embedding,
        "chunking": chunking,
        "dimension": UNMADE,
        "chunks": 0,
        "state": "kept",
    }


def name_of(body: dict[str, Any]) -> str:
    """Return a store's name, "" where it has none. Raises `BadRequest`."""
    return _text(body, "name", LONGEST_NAME) or ""


def description_of(body: dict[str, Any]) -> str | None:
    """Return what a store is said to be for. Raises `BadRequest`."""
    return _text(body, "description", LONGEST_DESCRIPTION)


def expiry_of(body: dict[str, Any]) -> int | None:
    """Return after how many days a store expires that nobody uses. Raises `BadRequest`."""
    value = body.get("expires_after")
    if value is None:
        return None
    days = value.get("days") if isinstance(value, dict) and value.get("anchor") == "last_active_at" else None
    if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= MOST_DAYS:
        raise BadRequest(
            f'`expires_after` must be {{"anchor": "last_active_at", "days": 1 to {MOST_DAYS}}}', param="expires_after"
        )
    return days


def _text(body: dict[str, Any], name: str, most: int) -> str | None:
    value = body.get(name)
    if value is not None and (not isinstance(value, str) or len(value) > most or "\0" in value):
        raise BadRequest(f"`{name}` must be a text of at most {most} characters", param=name)
    return value
