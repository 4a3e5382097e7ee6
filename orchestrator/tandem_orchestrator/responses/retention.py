"""Deletes what is older than it may be; one process at a time does so for all."""

import asyncio
from contextlib import suppress
from typing import Final

import structlog
from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.errors import GatewayError
from tandem_orchestrator.observability.metrics import SWEPT
from tandem_orchestrator.part import Part
from tandem_orchestrator.responses.stores import Stores
from tandem_orchestrator.store.database import Conflict
from tandem_orchestrator.store.rows import now

SWEEP_SECONDS: Final = 60.0
LEASE: Final = "sweeper"
LEASE_MS: Final = 120_000
MOST_AT_ONCE: Final = 500  # rows in a transaction, so that nobody waits long for it
DAY_MS: Final = 86_400_000
EVENTS_MS: Final = 3_600_000  # how long events are kept after they were sent
SWEEPS: Final = {
    "events": ("ANY_OLD_EVENTS",),
    "responses": ("ANY_HIDE_OLD", "ANY_REMOVE_OLD"),
    "conversations": ("ANY_OLD_CONVERSATIONS",),
}

log = structlog.get_logger()


class Retention(Part):
    """Sweeps from time to time."""

    def __init__(self, config: OrchestratorConfig, stores: Stores) -> None:
        self._stores = stores
        self.update(config)

    def update(self, config: OrchestratorConfig) -> None:
        """Take changed settings."""
        self._days = config.responses.retention_days

    async def watch(self) -> None:
        """Sweep; run until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            with suppress(GatewayError, Conflict):  # the one has been logged; with the other, something was continued
                if self._stores.database.exists and await self._stores.leases.hold(LEASE, LEASE_MS):
                    await self.sweep()

    async def sweep(self) -> dict[str, int]:
        """Delete all that is too old; return how many rows of each kind. Raises `DatabaseDown`."""
        ages = {"events": EVENTS_MS}
        if self._days is not None:
            ages |= dict.fromkeys(("responses", "conversations"), round(self._days * DAY_MS))
        swept = {kind: await self._sweep(kind, now() - age) for kind, age in ages.items()}
        if any(swept.values()):
            log.info("swept", **swept)
        return swept

    async def _sweep(self, kind: str, before: int) -> int:
        total = 0
        while True:
            number = 0
            for name in SWEEPS[kind]:
                (gone,) = await self._stores.rows.write((name, [{"before": before, "most": MOST_AT_ONCE}]))
                number += len(gone)
            SWEPT.labels(kind).inc(number)
            total += number
            if not number:
                return total
