"""Vectors of texts that were embedded before, in Redis.

What is kept is found by a hash of tenant, model and text. A tenant is part of it since the time that an answer takes
would tell one tenant which texts another has.
"""

import asyncio
from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import batched
from time import monotonic
from typing import Any, Final

import structlog

from tandem_orchestrator.observability.metrics import CACHE_REQUESTS
from tandem_orchestrator.retrieval.embedding.vector import Vector
from tandem_orchestrator.store.redis import RedisStore
from tandem_orchestrator.store.script import RedisDown, Script

KEPT_SECONDS: Final = 7 * 86_400
WAIT_SECONDS: Final = 0.25
"""For which a text waits for Redis; to embed one takes an engine 5 to 50 ms."""
REST_SECONDS: Final = 5.0
"""For which Redis is not asked after it failed or took longer."""
MOST: Final = 128  # vectors that a script reads or writes: half a megabyte of 1,024 numbers each

READ: Final = Script("return redis.call('MGET', unpack(KEYS))")
WRITE: Final = Script("""
for position, key in ipairs(KEYS) do
  redis.call('SET', key, ARGV[position + 1], 'EX', ARGV[1])
end
""")

_hits = CACHE_REQUESTS.labels("vectors", "hit")
_misses = CACHE_REQUESTS.labels("vectors", "miss")

log = structlog.get_logger()


class VectorCache:
    """Knows vectors of `model`, a text for all that makes its vectors what they are.

    Never fails: what Redis does not tell in time is not there.
    """

    def __init__(self, redis: RedisStore, model: str) -> None:
        self._redis = redis
        self._model = model
        self._rests_until = 0.0
        self._running: set[asyncio.Task[Any]] = set()

    async def get(self, tenant: str, texts: Sequence[str]) -> list[Vector | None]:
        """Return the vectors of these texts, None for each that is not known."""
        found: list[Vector | None] = []
        for keys in batched(self._keys(tenant, texts), MOST, strict=False):
            found += await self._run(READ, keys, ()) or [None] * len(keys)
        known = len(found) - found.count(None)
        _hits.inc(known)
        _misses.inc(len(found) - known)
        return found

    async def put(self, tenant: str, vectors: Mapping[str, Vector]) -> None:
        """Keep the vectors of these texts."""
        for some in batched(vectors.items(), MOST, strict=False):
            keys = self._keys(tenant, [text for text, _ in some])
            await self._run(WRITE, keys, (KEPT_SECONDS, *(vector for _, vector in some)))

    async def close(self) -> None:
        """Close the connection, once what runs on it has ended."""
        await self._redis.close()
        if self._running:
            await asyncio.wait(self._running)

    def _keys(self, tenant: str, texts: Sequence[str]) -> list[str]:
        start = sha256(repr((tenant, self._model)).encode(errors="replace"))
        keys = []
        for text in texts:
            digest = start.copy()
            digest.update(text.encode(errors="replace"))
            keys.append(self._redis.key("vectors", digest.hexdigest()))
        return keys

    async def _run(self, script: Script, keys: Sequence[str], arguments: Sequence[bytes | int]) -> Any:
        """Return what the script returns; None where Redis rests, fails or takes too long."""
        if monotonic() < self._rests_until:
            return None
        # A task that ends by itself: broken off, redis-py might give the next one its answer.
        task = asyncio.create_task(self._redis.run(script, keys, arguments))
        self._running.add(task)
        task.add_done_callback(self._ended)
        await asyncio.wait({task}, timeout=WAIT_SECONDS)
        if not task.done():
            self._rest(f"no answer within {WAIT_SECONDS:g} s")
            return None
        return None if task.exception() else task.result()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._rest(str(error) if isinstance(error, RedisDown) else repr(error))

    def _rest(self, problem: str) -> None:
        if monotonic() >= self._rests_until:
            log.warning("Redis cannot be used, texts are embedded anew", problem=problem, seconds=REST_SECONDS)
        self._rests_until = monotonic() + REST_SECONDS
