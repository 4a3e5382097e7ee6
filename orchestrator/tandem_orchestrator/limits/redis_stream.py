"""A stream in Redis, to which each orchestrator appends messages for its peers."""

from dataclasses import dataclass
from typing import Final

from tandem_orchestrator.store.redis import RedisStore
from tandem_orchestrator.store.script import Script

KEPT_SECONDS: Final = 20
"""How long a message is kept. A reader who stayed away longer has missed some."""

APPEND_AND_READ: Final = Script("""
local now = redis.call('TIME')
local milliseconds = now[1] * 1000 + math.floor(now[2] / 1000)
local messages = {}
if ARGV[2] ~= '' then
  messages = redis.call('XRANGE', KEYS[1], '(' .. ARGV[2], '+')
end
local last = ARGV[2]
if #messages > 0 then
  last = messages[#messages][1]
end
if ARGV[1] ~= '' then
  local oldest = milliseconds - ARGV[3] * 1000
  last = redis.call('XADD', KEYS[1], 'MINID', '~', string.format('%.0f', oldest), '*', 'm', ARGV[1])
  redis.call('EXPIRE', KEYS[1], ARGV[3])
end
return {string.format('%.0f', milliseconds), last, messages}
""")


@dataclass(frozen=True, slots=True)
class Message:
    """What a peer has written, and how many seconds ago."""

    text: bytes
    age: float


class RedisStream:
    """The stream as one orchestrator reads it."""

    def __init__(self, redis: RedisStore) -> None:
        self._redis = redis
        self._key = redis.key("limits", "board")
        self._last: bytes | str = ""

    def skip(self) -> None:
        """Leave aside what stands there: the next reading begins with what comes after it."""
        self._last = ""

    async def append_and_read(self, message: bytes) -> list[Message]:
        """Append a message, unless it is empty, and return those that came since the last reading.

        Takes one round trip. Raises `RedisDown`; the message may stand there then, or not.
        """
        now, last, entries = await self._redis.run(APPEND_AND_READ, [self._key], [message, self._last, KEPT_SECONDS])
        self._last = last
        return [
            Message(fields[1], max(0, int(now) - int(entry.partition(b"-")[0])) / 1000) for entry, fields in entries
        ]
