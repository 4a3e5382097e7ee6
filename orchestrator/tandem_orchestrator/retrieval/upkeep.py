"""Takes away what is needless: indexes of stores that are gone or expired, and files of stores that were deleted."""

import asyncio
from contextlib import suppress
from typing import Final

import structlog
from tandem_contract.config import StoreQuota

from tandem_orchestrator.errors import Clash, GatewayError, NotFound
from tandem_orchestrator.observability.metrics import SWEPT
from tandem_orchestrator.part import Part
from tandem_orchestrator.retrieval.embedding.embedders import Embedders
from tandem_orchestrator.retrieval.kept import Kept
from tandem_orchestrator.retrieval.store_files import StoreFiles
from tandem_orchestrator.retrieval.stores import Store, index_row, remembered
from tandem_orchestrator.store.database import Conflict, Database
from tandem_orchestrator.store.leases import Leases
from tandem_orchestrator.store.rows import now

SWEEP_SECONDS: Final = 15.0
LEASE: Final = "retrieval-sweeper"
LEASE_MS: Final = 60_000
MOST_AT_ONCE: Final = 100

log = structlog.get_logger()


class Upkeep(Part):
    """Sweeps from time to time, and when it is woken; one process at a time does so for all."""

    def __init__(self, database: Database, leases: Leases, kept: Kept, embedders: Embedders) -> None:
        self._database = database
        self._leases = leases
        self._rows = kept.rows
        self._stores = kept.stores
        self._indexes = kept.indexes
        self._embedders = embedders
        self._mismatches: list[str] = []
        self._files = StoreFiles(kept, StoreQuota())
        self.woken = asyncio.Event()
        """Set when something was deleted here."""
        kept.file_store.on_deleted.append(lambda *_: self.woken.set())

    async def watch(self) -> None:
        """Sweep; run until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(SWEEP_SECONDS):
                    await self.woken.wait()
            self.woken.clear()
            with suppress(GatewayError, Conflict):  # the one has been logged; with the other, another one was faster
                if self._database.exists:
                    await self.compare()
                    if await self._leases.hold(LEASE, LEASE_MS):
                        await self.sweep()

    @property
    def problems(self) -> list[str]:
        """A line for each embedding model that stores need and that is not to be had."""
        return self._mismatches

    async def compare(self) -> None:
        """Compare what made the vectors of stores with what is configured."""
        mismatches = []
        for embedding, dimension, number in await self._rows.read("ANY_MADE_BY"):
            if (identity := remembered(embedding, dimension)) is not None:
                try:
                    await self._embedders.of(identity)
                except Clash:
                    mismatches.append(
                        f"retrieval: {number} vector stores were made with the embedding model {identity.model!r}, "
                        "which is not configured any more; they cannot be searched until they are indexed anew"
                    )
        for line in set(mismatches) - set(self._mismatches):
            log.warning("vector stores cannot be searched", problem=line)
        self._mismatches = mismatches

    async def sweep(self) -> dict[str, int]:
        """Take away all that is needless; return how much of each kind. Raises `DatabaseDown`."""
        await self._switch()
        swept = {
            "vector_store_files": await self._lost_files(),
            "vector_stores": await self._expired(),
            "indexes": await self._dropped(),
        }
        for kind, number in swept.items():
            SWEPT.labels(kind).inc(number)
        if any(swept.values()):
            log.info("swept", **swept)
        return swept

    async def _lost_files(self) -> int:
        total = 0
        while rows := await self._rows.read("ANY_LOST_FILES", most=MOST_AT_ONCE):
            for tenant, store_id, file_id in rows:
                with suppress(NotFound):  # the store went meanwhile
                    await self._files.detach(tenant, store_id, file_id)
            total += len(rows)
        return total

    async def _expired(self) -> int:
        """Empty stores that nobody used for too long; that they were there stays to be seen."""
        total = 0
        while rows := await self._rows.read("ANY_EXPIRED", now=now(), most=MOST_AT_ONCE):
            for tenant, store_id in rows:
                with suppress(NotFound):
                    await self._empty(tenant, await self._stores.row(tenant, store_id))
            total += len(rows)
        return total

    async def _empty(self, tenant: str, store: Store) -> None:
        where = {"tenant": tenant, "store_id": store.id}
        index = index_row(tenant, store.id, store.embedding, store.chunking)
        await self._rows.write(
            ("RENEW", [where | {"new_index_id": index["id"]}]),
            ("EMPTY_STORE", [where]),
            ("ADD_INDEX", [index]),
            ("DROP_OTHERS", [where]),
        )

    async def _switch(self) -> None:
        """Put indexes in their place that no file's end has put there: of stores without files, say."""
        for tenant, store_id, index_id in await self._rows.read("ANY_MADE", most=MOST_AT_ONCE):
            of_store = {"tenant": tenant, "store_id": store_id, "index_id": index_id}
            await self._rows.write(
                ("SWITCH", [of_store | {"id": store_id}]), ("SETTLE", [of_store]), ("DROP_OTHERS", [of_store])
            )

    async def _dropped(self) -> int:
        total = 0
        while rows := await self._rows.read("ANY_DROPPED", most=MOST_AT_ONCE):
            for (index_id,) in rows:
                await self._indexes.index(index_id, 0).drop()
                await self._rows.write(("ANY_FORGET_INDEX", [{"id": index_id}]))
            total += len(rows)
        return total
