"""Deletes files that have expired, and bytes that nothing names; one process at a time does so for all."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog
from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.errors import GatewayError
from tandem_orchestrator.files.filing import Filing
from tandem_orchestrator.observability.metrics import SWEPT
from tandem_orchestrator.part import Part
from tandem_orchestrator.store.database import Conflict
from tandem_orchestrator.store.leases import Leases
from tandem_orchestrator.store.rows import now

if TYPE_CHECKING:  # it is SQL, which is imported late
    from tandem_orchestrator.store.statement import Row

SWEEP_SECONDS: Final = 60.0
LEASE: Final = "files-sweeper"
LEASE_MS: Final = 600_000
MOST_AT_ONCE: Final = 500  # rows in a transaction, so that nobody waits long for it
DAY_MS: Final = 86_400_000
UNUSED_MS: Final = 60_000  # since a file came to have bytes that none has any more
LEFT_MS: Final = 3_600_000  # since bytes without a row were written, and between two looks for such

log = structlog.get_logger()


class Sweeper(Part):
    """Sweeps from time to time. What is left where a process ends between bytes and rows is all found here."""

    def __init__(self, config: OrchestratorConfig, filing: Filing, leases: Leases) -> None:
        self._filing = filing
        self._leases = leases
        self._suspects: set[str] = set()
        self._looked = now()
        self.update(config)

    def update(self, config: OrchestratorConfig) -> None:
        """Take changed settings."""
        self._days = config.files.retention_days

    async def watch(self) -> None:
        """Sweep; run until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            with suppress(GatewayError, Conflict):  # the one has been logged; with the other, bytes came to be used
                if self._filing.database.exists and await self._leases.hold(LEASE, LEASE_MS):
                    await self.sweep()

    async def sweep(self) -> dict[str, int]:
        """Delete all that nobody may have or needs; return how much of each kind. Raises `DatabaseDown`."""
        moment = now()
        swept = {
            "files": await self._files("ANY_EXPIRED_FILES", moment),
            "parts": await self._bytes_of("ANY_LATE_PARTS", moment),
            "uploads": len(await self._rows("ANY_LATE_UPLOADS", moment - DAY_MS)),
            "blobs": await self._bytes_of("ANY_UNUSED_BLOBS", moment - UNUSED_MS),
            "bytes": 0,
        }
        if self._days is not None:
            swept["files"] += await self._files("ANY_OLD_FILES", moment - round(self._days * DAY_MS))
        if moment - self._looked >= LEFT_MS and self._filing.storage.configured:
            self._looked = moment
            swept["bytes"] = await self.sweep_left(moment - LEFT_MS)
        for kind, number in swept.items():
            SWEPT.labels(kind).inc(number)
        if any(swept.values()):
            log.info("swept", **swept)
        return swept

    async def sweep_left(self, before: int) -> int:
        """Delete bytes that were written before a time, have no row, and had none when this was last called.

        The second look is for those whose row was just being written: a server of S3 may date bytes back to when they
        began to arrive.
        """
        suspects: set[str] = set()
        async for page in self._filing.storage.list(await self._filing.files.blobs.owner()):
            keys = {listed.key for listed in page if listed.modified < before}
            if keys:
                known = await self._filing.rows.read("ANY_KEYS", first=min(keys), last=max(keys))
                suspects |= keys.difference(key for (key,) in known)
        left = suspects & self._suspects
        self._suspects = suspects - left
        await self._filing.storage.delete(sorted(left))
        return len(left)

    async def _files(self, name: str, before: int) -> int:
        gone = await self._rows(name, before)
        self._filing.files.tell_deleted([(tenant, file_id) for _, tenant, file_id in gone])
        return len(gone)

    async def _bytes_of(self, name: str, before: int) -> int:
        gone = await self._rows(name, before)
        await self._filing.files.blobs.drop(*(key for _, key in gone))
        return len(gone)

    async def _rows(self, name: str, before: int) -> "list[Row]":
        gone: list[Row] = []
        while True:
            (some,) = await self._filing.rows.write((name, [{"before": before, "most": MOST_AT_ONCE}]))
            if not some:
                return gone
            gone += some
