"""The tokens that keys have used, kept in Redis where there is no database for them."""

from collections.abc import Mapping
from secrets import token_hex
from typing import Final

import orjson

from tandem_orchestrator.store.redis import RedisStore
from tandem_orchestrator.store.script import Script

KEPT_SECONDS: Final = 40 * 86_400
MONTH: Final = len("2026-11")

# A batch whose number stands there already has been added, though nobody heard of it. A Redis that lost its data is
# brought up again to what this replica knew.
ADD: Final = Script("""
local added = tonumber(redis.call('GET', KEYS[1]) or 0) >= tonumber(ARGV[1])
redis.call('SET', KEYS[1], ARGV[1], 'EX', 86400)
local told = {}
for position, period in ipairs(cjson.decode(ARGV[2])) do
  local sums = KEYS[position + 1]
  for _, entry in ipairs(period) do
    local stands = tonumber(redis.call('HGET', sums, entry[1]) or 0)
    if not added then
      stands = math.max(stands, entry[3]) + entry[2]
      redis.call('HSET', sums, entry[1], string.format('%.0f', stands))
    end
    told[#told + 1] = string.format('%.0f', stands)
  end
  redis.call('EXPIRE', sums, ARGV[3])
end
return told
""")
LOAD: Final = Script("return redis.call('HGETALL', KEYS[1])")


class RedisLedger:
    """Sums of tokens by key, one hash a day and one a month; as durable as the Redis is."""

    def __init__(self, redis: RedisStore) -> None:
        self._redis = redis
        self._batches = redis.key("ledger", "batches", token_hex(8))
        self._written = 0
        self._known: dict[str, dict[str, int]] = {}

    async def load(self, period: str) -> dict[str, int]:
        """Return tokens by key id of a day, such as "2026-11-21", or a month, such as "2026-11". Raises `RedisDown`."""
        found = iter(await self._redis.run(LOAD, [self._sums(period)], []))
        sums = dict(self._known.get(period, {}))
        for key_id, tokens in zip(found, found, strict=True):
            sums[key_id.decode()] = max(int(tokens), sums.get(key_id.decode(), 0))
        this_month = {other: known for other, known in self._known.items() if other.startswith(period[:MONTH])}
        self._known = {**this_month, period: sums}
        return dict(sums)

    async def add(self, day: str, tokens: Mapping[str, int]) -> dict[str, int]:
        """Add to a day and its month, and return the day's tokens of these keys.

        Raises `RedisDown`; then the same call must come again, and counts once.
        """
        periods = (day, day[:MONTH])
        known = [self._known.setdefault(period, {}) for period in periods]
        entries = [[(key_id, count, sums.get(key_id, 0)) for key_id, count in tokens.items()] for sums in known]
        keys = [self._batches, *map(self._sums, periods)]
        told = iter(await self._redis.run(ADD, keys, [self._written + 1, orjson.dumps(entries), KEPT_SECONDS]))
        self._written += 1
        for sums in known:
            for key_id in tokens:
                sums[key_id] = int(next(told))
        return {key_id: known[0][key_id] for key_id in tokens}

    def _sums(self, period: str) -> str:
        return self._redis.key("ledger", period)
