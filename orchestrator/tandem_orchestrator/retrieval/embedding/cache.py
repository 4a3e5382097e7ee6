"""Vectors of texts that were embedded before, in Redis.

What is kept is found by a hash of tenant, model and text. A tenant is part of it since the time that an answer takes
would tell one tenant which texts another has.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import batched
from typing import Final

from tandem_orchestrator.observability.metrics import CACHE_REQUESTS
from tandem_orchestrator.retrieval.embedding.vector import Vector
from tandem_orchestrator.store.redis import RedisStore
from tandem_orchestrator.store.redis_cache import RedisCache
from tandem_orchestrator.store.script import RedisDown, Script

KEPT_SECONDS: Final = 7 * 86_400
MOST: Final = 128  # vectors that a script reads or writes: half a megabyte of 1,024 numbers each

READ: Final = Script("return redis.call('MGET', unpack(KEYS))")
WRITE: Final = Script("""
for position, key in ipairs(KEYS) do
  redis.call('SET', key, ARGV[position + 1], 'EX', ARGV[1])
end
""")

_hits = CACHE_REQUESTS.labels("vectors", "hit")
_misses = CACHE_REQUESTS.labels("vectors", "miss")


class VectorCache:
    """Knows vectors of `model`, a text for all that makes its vectors what they are.

    Never fails: what Redis does not tell in time is not there.
    """

    def __init__(self, redis: RedisStore, model: str) -> None:
        self._redis = RedisCache(redis, "Redis cannot be used, texts are embedded anew")
        self._model = model

    async def get(self, tenant: str, texts: Sequence[str]) -> list[Vector | None]:
        """Return the vectors of these texts, None for each that is not known."""
        found: list[Vector | None] = []
        for keys in batched(self._keys(tenant, texts), MOST, strict=False):
            try:
                found += await self._redis.run(READ, keys, ())
            except RedisDown:
                found += [None] * len(keys)
        known = len(found) - found.count(None)
        _hits.inc(known)
        _misses.inc(len(found) - known)
        return found

    async def put(self, tenant: str, vectors: Mapping[str, Vector]) -> None:
        """Keep the vectors of these texts."""
        for some in batched(vectors.items(), MOST, strict=False):
            keys = self._keys(tenant, [text for text, _ in some])
            with suppress(RedisDown):
                await self._redis.run(WRITE, keys, (KEPT_SECONDS, *(vector for _, vector in some)))

    async def close(self) -> None:
        """Close the connection, once what runs on it has ended."""
        await self._redis.close()

    def _keys(self, tenant: str, texts: Sequence[str]) -> list[str]:
        start = sha256(repr((tenant, self._model)).encode(errors="replace"))
        keys = []
        for text in texts:
            digest = start.copy()
            digest.update(text.encode(errors="replace"))
            keys.append(self._redis.key("vectors", digest.hexdigest()))
        return keys
