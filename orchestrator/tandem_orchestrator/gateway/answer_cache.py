"""Answers that were given before, in Redis: for requests of which the answer is the same each time by their own word.

What is kept is found by a hash of tenant, path and the very bytes that the engine would get, in which the model, its
defaults and the tenant's `cache_salt` stand. Equal means equal bytes: the order of a schema's fields changes what an
engine writes. Answers with tools of this server are not kept: what a tool did is not done again by its answer.
"""

from contextlib import suppress
from hashlib import sha256
from typing import Any, Final

from tandem_contract.config import Redis

from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.engines.answers import UNFINISHED, choices_in
from tandem_orchestrator.gateway.request import Headers, Request
from tandem_orchestrator.observability.metrics import CACHE_REQUESTS
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.part import Part
from tandem_orchestrator.store.redis import RedisStore
from tandem_orchestrator.store.redis_cache import RedisCache
from tandem_orchestrator.store.script import RedisDown, Script

MOST_ASKED: Final = 262_144  # bytes of a request, to hash which takes a quarter of a millisecond
MOST_ANSWERED: Final = 1_048_576  # bytes of an answer
MOST_UNDER_WAY: Final = 64  # answers that wait for Redis; further ones are not kept
CONTROL: Final = b"cache-control"
HIT: Final = (b"x-tandem-cache", b"hit")
MISS: Final = (b"x-tandem-cache", b"miss")
BROKEN_OFF: Final = (b'"abort"', b'"error"')  # reasons to finish that leave an answer incomplete

READ: Final = Script("return redis.call('GET', KEYS[1])")
WRITE: Final = Script("redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[1])")

_hits = CACHE_REQUESTS.labels("answers", "hit")
_misses = CACHE_REQUESTS.labels("answers", "miss")
_errors = CACHE_REQUESTS.labels("answers", "error")


class AnswerCache(Part):
    """Keeps answers for `redis.answersSeconds`."""

    def __init__(self, settings: Redis, seconds: int) -> None:
        self._redis = RedisCache(RedisStore(settings), "Redis cannot be used, engines answer all requests")
        self._seconds = seconds
        self.most = MOST_ANSWERED
        """Bytes of an answer; a longer one is not kept."""

    def place(self, request: Request, principal: Principal, headers: Headers, body: bytes) -> "Place | None":
        """Return where the answer to `body` is kept; None where there is no such place.

        Only answers that repeat are kept: embeddings, scores, and what is generated at a temperature of 0.
        """
        endpoint = request.endpoint
        repeats = endpoint.repeats or (endpoint.generates and _is_zero(request.payload.get("temperature")))
        if len(body) > MOST_ASKED or not repeats:
            return None
        wishes = _wishes(headers)
        if b"no-store" in wishes:
            return None
        digest = sha256(repr((principal.tenant, request.endpoint.path)).encode(errors="replace"))
        digest.update(body)
        return Place(self, digest, reads=b"no-cache" not in wishes)

    async def get(self, key: str, record: Record) -> bytes | None:
        """Return what is kept, and have the answer's headers tell."""
        try:
            found: bytes | None = await self._redis.run(READ, [self._redis.key("answers", key)], ())
        except RedisDown:
            _errors.inc()
            return None
        (_misses if found is None else _hits).inc()
        record.headers = [*record.headers, MISS if found is None else HIT]
        return found

    def put(self, key: str, answer: bytes) -> None:
        """Keep an answer, for which nobody waits."""
        if len(answer) <= self.most and self._redis.under_way < MOST_UNDER_WAY:
            with suppress(RedisDown):
                self._redis.begin(WRITE, [self._redis.key("answers", key)], (self._seconds, answer))

    async def close(self) -> None:
        """Close the connection, once what runs on it has ended."""
        await self._redis.close()


class Place:
    """Where the answer to one request is kept."""

    def __init__(self, cache: AnswerCache, digest: Any, *, reads: bool) -> None:
        self._cache = cache
        self._digest = digest
        self._reads = reads
        self._model: str | None = None

    async def get(self, record: Record, form: bytes = b"") -> bytes | None:
        """Return the answer, of which there may be several forms; None where it is not there or not wanted."""
        self._model = record.model
        self._digest.update(form)
        return await self._cache.get(self._digest.hexdigest(), record) if self._reads else None

    def put_whole(self, record: Record, answer: bytes, document: dict[str, Any]) -> None:
        """Keep an answer in one piece, if it is complete and of the model that was asked, and not of a fallback."""
        finished = all(choice.get("finish_reason") not in UNFINISHED for choice in choices_in(document))
        if finished and record.model == self._model:
            self._cache.put(self._digest.hexdigest(), answer)

    def put_stream(self, record: Record, events: bytes) -> None:
        """Keep a stream that has come to its end."""
        if not any(reason in events for reason in BROKEN_OFF) and record.model == self._model:
            self._cache.put(self._digest.hexdigest(), events)


def answer_cache(settings: Redis) -> AnswerCache | None:
    """Return the cache that is configured; None for none."""
    there = settings.url is not None or settings.url_from is not None
    seconds = settings.answers_seconds
    return AnswerCache(settings, seconds) if there and seconds is not None else None


def _is_zero(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 0


def _wishes(headers: Headers) -> bytes:
    return b",".join(value for name, value in headers if name == CONTROL).lower()
