"""Limits that hold across replicas, by way of Redis and never in a request's way."""

import asyncio
import random
from collections.abc import Callable
from secrets import token_hex
from time import monotonic

import structlog

from tandem_orchestrator.limits.exchange import Exchange
from tandem_orchestrator.limits.haste import pause
from tandem_orchestrator.limits.limiter import Limiter
from tandem_orchestrator.limits.redis_stream import KEPT_SECONDS, Board, Message
from tandem_orchestrator.observability.metrics import LIMITS_SHARED
from tandem_orchestrator.store.redis import RedisStore
from tandem_orchestrator.store.script import RedisDown

SIGN_OF_LIFE = 1.0
"""Seconds after which a replica says something even if it has nothing to tell."""
MOST_BACKOFF = 5.0

log = structlog.get_logger()


class Sharing:
    """Tells the other replicas what was counted here, and the limiter what was counted there."""

    def __init__(self, limiter: Limiter, redis: RedisStore, every: float, clock: Callable[[], float]) -> None:
        self._limiter = limiter
        self._every = every
        self._clock = clock
        self._board = Board(redis)
        self._exchange = Exchange(limiter.subjects, limiter.server, token_hex(8))
        self._since = 0
        self._told = self._visited = float("-inf")
        self._busy = asyncio.Lock()
        self.problem: str | None = None
        """What keeps limits from holding across replicas."""
        self._shared: bool | None = None
        limiter.changed = {}

    async def watch(self) -> None:
        """Shares again and again; runs until cancelled."""
        delay = self._every
        while True:
            # Broken off, nobody would know whether it came about; and redis-py loses some cancellations (Python 3.11).
            done = await asyncio.shield(self.sync())
            delay = self._every if done else min(delay * 2, MOST_BACKOFF)
            uneven = delay * random.uniform(0.8, 1.2)  # noqa: S311
            await (pause(uneven, self._limiter.tell_soon) if done else asyncio.sleep(uneven))

    async def sync(self) -> bool:
        """Tell and learn what is new, in one round trip; whether that came about."""
        async with self._busy:
            try:
                for message in await self._visit():
                    self._read(message)
            except RedisDown as error:
                self._note(str(error))
                return False
            self._exchange.forget_silent(int(self._clock()))
            self._note(None)
            return True

    async def _visit(self) -> list[Message]:
        if monotonic() - self._visited > KEPT_SECONDS / 2:
            self._rejoin()
        second = int(self._clock())
        changed, self._limiter.changed = self._limiter.changed or {}, {}
        message = b""
        if changed or self._exchange.due or monotonic() - self._told >= SIGN_OF_LIFE:
            message = self._exchange.write(changed, self._since, second)
        try:
            found = await self._board.visit(message)
        except RedisDown:
            self._rejoin()  # and tell everything again
            raise
        self._visited = monotonic()
        if message:
            self._exchange.sent()
            self._since, self._told = second, self._visited
        return found

    def _rejoin(self) -> None:
        """Messages may have been missed: what hangs there is left aside, and everybody asked for all they have."""
        self._board.leave()
        self._exchange.ask = True

    def _read(self, message: Message) -> None:
        try:
            self._exchange.read(message.text, message.age, int(self._clock()))
        except (ValueError, KeyError, TypeError) as error:
            log.warning("what another replica counted cannot be read", problem=f"{type(error).__name__}: {error}")

    def _note(self, problem: str | None) -> None:
        self.problem = problem
        shared = problem is None
        LIMITS_SHARED.set(shared)
        if shared != self._shared:
            if shared:
                log.info("limits hold across replicas")
            else:
                log.warning("Redis cannot be used, limits hold for this replica alone", problem=problem)
        self._shared = shared
