"""What keeps limits true beside the requests."""

import asyncio
from collections.abc import Callable
from time import time
from typing import Final

import structlog
from tandem_contract.config import OrchestratorConfig, Redis

from tandem_orchestrator.limits.budgets import Budgets
from tandem_orchestrator.limits.limiter import Limiter
from tandem_orchestrator.limits.redis_ledger import RedisLedger
from tandem_orchestrator.limits.sharing import Sharing
from tandem_orchestrator.limits.spending import Ledger
from tandem_orchestrator.limits.sql_ledger import Ledger as DatabaseLedger
from tandem_orchestrator.part import Part
from tandem_orchestrator.store.redis import RedisStore

SWEEP_SECONDS: Final = 60.0
CLOSE_SECONDS: Final = 3.0

log = structlog.get_logger()


class Upkeep(Part):
    """Forgets idle keys, shares limits with other replicas where Redis is configured, and keeps budgets.

    Budgets are kept in the database's ledger; where no database exists yet and Redis is configured, in Redis.
    """

    def __init__(
        self, limiter: Limiter, settings: Redis, ledger: DatabaseLedger, clock: Callable[[], float] = time
    ) -> None:
        self._limiter = limiter
        self._ledger = ledger
        self._redis = RedisStore(settings) if settings.url is not None or settings.url_from is not None else None
        self._redis_ledger = RedisLedger(self._redis) if self._redis is not None else None
        self._sharing = Sharing(limiter, self._redis, settings.sync_seconds, clock) if self._redis is not None else None
        self._budgets = Budgets(limiter, self._choose_ledger, clock)

    def update(self, config: OrchestratorConfig) -> None:
        """Take changed limits."""
        self._limiter.update(config.rate_limits)

    @property
    def problems(self) -> list[str]:
        """A line for each thing that limits go without."""
        sharing = self._sharing.problem if self._sharing is not None else None
        found = {"limits across replicas": sharing, "token budgets": self._budgets.problem}
        return [f"{what}: {problem}" for what, problem in found.items() if problem is not None]

    async def watch(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sweep())
            group.create_task(self._budgets.watch())
            if self._sharing is not None:
                group.create_task(self._sharing.watch())

    async def close(self) -> None:
        """Tell and write the last of what was counted, which takes no longer than three seconds."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._budgets.sync()
                if self._sharing is not None:
                    await self._sharing.sync()
        except TimeoutError:
            log.warning("tokens of the last seconds are not written to budgets", seconds=CLOSE_SECONDS)
        if self._redis is not None:
            await self._redis.close()

    def _choose_ledger(self) -> Ledger:
        if self._redis_ledger is not None and not self._ledger.exists:
            return self._redis_ledger
        return self._ledger

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._limiter.sweep()
