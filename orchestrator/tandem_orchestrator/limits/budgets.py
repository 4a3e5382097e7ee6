"""Token budgets that outlive the process."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final

import structlog

from tandem_orchestrator.errors import GatewayError
from tandem_orchestrator.limits.haste import pause
from tandem_orchestrator.limits.limiter import Limiter
from tandem_orchestrator.limits.spending import Ledger, periods
from tandem_orchestrator.store.script import RedisDown

WRITE_SECONDS: Final = 2.0
LOAD_SECONDS: Final = 10.0
MOST_BACKOFF: Final = 30.0

log = structlog.get_logger()


class Budgets:
    """Writes used tokens to a ledger, and learns from it what other replicas have used.

    `choose` names the ledger, which may become another one when a database is made.
    """

    def __init__(self, limiter: Limiter, choose: Callable[[], Ledger], clock: Callable[[], float]) -> None:
        self._limiter = limiter
        self._choose = choose
        self._clock = clock
        self._loaded = float("-inf")
        self._busy = asyncio.Lock()
        self.problem: str | None = None
        """What keeps budgets from being written and read."""

    async def watch(self) -> None:
        """Write again and again; run until cancelled."""
        delay = WRITE_SECONDS
        while True:
            # An addition that is broken off may have come about: it is let end, and the last `sync` waits for it.
            done = await asyncio.shield(self.sync())
            if done:
                delay = WRITE_SECONDS
                await pause(delay, self._limiter.write_soon)
            else:
                delay = min(delay * 2, MOST_BACKOFF)
                await asyncio.sleep(delay)

    async def sync(self) -> bool:
        """Write what was used, read what others used where that is due; whether that came about."""
        async with self._busy:
            try:
                ledger = self._choose()
                await self._write(ledger)
                if monotonic() - self._loaded >= LOAD_SECONDS:
                    await self._load(ledger)
            except (GatewayError, RedisDown) as error:
                self._note(str(error))
                return False
            except Exception as error:  # budgets go on, whatever a ledger does
                log.exception("the ledger failed")
                self._note(type(error).__name__)
                return False
            self._note(None)
            return True

    async def _write(self, ledger: Ledger) -> None:
        spending = self._limiter.spending
        for _ in range(spending.batches):  # no more: while requests end there is always another
            if (batch := spending.batch()) is not None:
                spending.written(await ledger.add(*batch))
                self._limiter.recall(batch[1])

    async def _load(self, ledger: Ledger) -> None:
        self._limiter.spending.loaded({period: await ledger.load(period) for period in periods(int(self._clock()))})
        self._loaded = monotonic()
        self._limiter.recall()

    def _note(self, problem: str | None) -> None:
        if problem is not None and self.problem is None:
            log.warning("token budgets cannot be written or read, they go on in memory", problem=problem)
        elif problem is None and self.problem is not None:
            log.info("token budgets are written again")
        self.problem = problem
