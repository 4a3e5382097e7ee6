"""What keeps limits true beside the requests."""

import asyncio
from collections.abc import Callable
from time import time

import structlog
from tandem_contract.config import Redis

from tandem_orchestrator.limits.budgets import Budgets
from tandem_orchestrator.limits.limiter import Limiter
from tandem_orchestrator.limits.sharing import Sharing
from tandem_orchestrator.limits.spending import Ledger
from tandem_orchestrator.store.redis import RedisStore
from tandem_orchestrator.store.redis_ledger import RedisLedger

SWEEP_SECONDS = 60.0
CLOSE_SECONDS = 3.0

log = structlog.get_logger()


class Upkeep:
    """Forgets idle keys, shares limits with other replicas where Redis is configured, and keeps budgets.

    Budgets are kept in `ledger` once it exists, else in Redis; without either they last as long as the process.
    """

    def __init__(
        self, limiter: Limiter, settings: Redis, ledger: Ledger | None = None, clock: Callable[[], float] = time
    ) -> None:
        self._limiter = limiter
        ledgers = [ledger] if ledger is not None else []
        self._redis: RedisStore | None = None
        self._sharing: Sharing | None = None
        if settings.url is not None or settings.url_from is not None:
            self._redis = RedisStore(settings)
            self._sharing = Sharing(limiter, self._redis, settings.sync_seconds, clock)
            ledgers.append(RedisLedger(self._redis))
        self._budgets = Budgets(limiter, ledgers, clock) if ledgers else None

    async def run(self) -> None:
        """Keeps on until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sweep())
            if self._budgets is not None:
                group.create_task(self._budgets.watch())
            if self._sharing is not None:
                group.create_task(self._sharing.watch())

    async def close(self) -> None:
        """Tells and writes the last of what was counted, which takes no longer than three seconds."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                if self._budgets is not None:
                    await self._budgets.sync()
                if self._sharing is not None:
                    await self._sharing.sync()
        except TimeoutError:
            log.warning("tokens of the last seconds are not written to budgets", seconds=CLOSE_SECONDS)
        if self._redis is not None:
            await self._redis.close()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._limiter.sweep()
