"""One server of an engine: how it is called, and what is known about its state."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit
from zlib import crc32

import orjson
from tandem_contract.config import Routing, Timeouts, Upstream

from tandem_orchestrator.engines import estimate
from tandem_orchestrator.engines.answers import (
    check_first_events,
    json_object,
    lacks_path,
    model_list,
    refusal,
    transcript,
    whole_answer,
    without_path,
)
from tandem_orchestrator.engines.backlog import Backlog
from tandem_orchestrator.engines.breaker import Breaker
from tandem_orchestrator.engines.credentials import EngineKey
from tandem_orchestrator.engines.endpoints import ASKED
from tandem_orchestrator.engines.form_body import FormBody
from tandem_orchestrator.engines.stall import Question, Stall
from tandem_orchestrator.engines.types import ENGINE_TYPES
from tandem_orchestrator.engines.verdict import ForReplica, blames_engine, judge
from tandem_orchestrator.errors import EngineError, Full, Malformed, Refused
from tandem_orchestrator.observability.metrics import UPSTREAM_ERRORS, UPSTREAM_FAILURES
from tandem_orchestrator.observability.record import EnginePass, Record, counts
from tandem_orchestrator.transport.engine_connection import Response
from tandem_orchestrator.transport.pool import Pool

JSON: Final = b"application/json"
EVENT_STREAM: Final = b"text/event-stream"
MAX_ANSWER: Final = 67_108_864  # bytes of an answer that is not streamed
MAX_ERROR: Final = 1_048_576
MAX_FIRST_EVENT: Final = 16_384
MAX_METRICS = 16_777_216
OK: Final = 200
UNAUTHORIZED: Final = 401
ENCODING: Final = b"content-encoding"
PLAIN: Final = b"identity"
WITHOUT_LIST: Final = frozenset({404, 405, 501})  # a server that answers so is there, and has no list of models
RECOUNT_SHARE: Final = 0.25  # of `routing.maxWaiting`: sent that much, a server is asked for its count at once
FULL_SECONDS: Final = 1.0  # for which a server that has no room gets no requests
SETTLE_SECONDS: Final = 10.0  # for which requests wait for a check at most
STOP_SECONDS = 3.0  # for which an engine that says it stops is given to do so
NOT_CHECKED: Final = "not checked yet"


class EngineStream:
    """A streamed answer. `close()` must follow, whatever happened."""

    __slots__ = ("_broke_off", "_engine_pass", "_response", "count_usage", "read")

    def __init__(self, response: Response, engine_pass: EnginePass, broke_off: Callable[[EngineError], None]) -> None:
        self._response = response
        self._engine_pass = engine_pass
        self._broke_off: Callable[[EngineError], None] | None = broke_off
        self.read = response.read
        """The next bytes, b"" at the end; raises `EngineError` when the end never came."""
        self.count_usage = engine_pass.count_usage
        """Adds an OpenAI `usage` object to the request's; anything else adds nothing. To be called before `close`."""

    def close(self, failure: EngineError | None = None) -> None:
        """Give the connection back if the answer is complete, else cut it, which aborts the engine's work.

        `failure` is what was wrong with the answer.
        """
        self._response.close()
        if self._broke_off is not None:
            failure = failure or self._response.error
            if failure is not None:
                self._broke_off(failure)
            self._broke_off = None
            self._engine_pass.end(failure)


class Replica:
    """An OpenAI-compatible server, called through a pool of its own.

    `changed` is called whenever it may have become able to take requests, or no longer.
    """

    kv_tokens: int | None = None
    """For how many tokens its cache has room, as it says since its last start."""
    ready_since = 0.0
    """When a check last found it ready that was not, on the monotonic clock; most often it is a new process then."""

    def __init__(
        self,
        upstream: Upstream,
        address: str | None,
        key: EngineKey,
        settings: tuple[Timeouts, Routing],
        changed: Callable[["Replica"], None],
    ) -> None:
        timeouts, routing = settings
        url = upstream.url.rstrip("/").removesuffix("/v1")
        parts = urlsplit(url)
        self.upstream = upstream.name
        self.address = address
        self.type = ENGINE_TYPES[upstream.type]
        self.pool = Pool(url, timeouts, address, upstream.tls.ca if upstream.tls else None)
        self.takes_priority = upstream.priority
        self.token = crc32(self.pool.address.encode())
        self.breaker = Breaker(routing.breaker_failures)
        self.backlog = Backlog(told=self.type.load_path is not None)
        self.stall = Stall()
        self.yielding = 0
        """Of the requests that it is answering, those that give way to the others."""
        self._full_at = 0
        """With more in flight, requests wait for their turn."""
        self._saturated_at = 0
        """With more in flight, too many wait inside."""
        self._outdated_at = 0.0
        """With more in flight, it is asked for its count at once."""
        self.listed: list[dict[str, Any]] = []
        self.names: frozenset[str] = frozenset()
        """Models in its own list."""
        self.ready = False
        self.served = False
        """True once it was ready."""
        self.trouble: EngineError | None = None
        """Why it is not ready."""
        self.available = False
        """True while requests should be sent here."""
        self.checked = asyncio.Event()
        self.doubted = asyncio.Event()
        """Set when its next check should not wait."""
        self._next_check = asyncio.Event()
        self.outdated = asyncio.Event()
        """Set when its count of waiting requests should not wait."""
        self.answered_at = float("-inf")
        """When it last answered a request, on the monotonic clock."""
        self._downs = self._checks = 0
        self._concurrency = upstream.concurrency
        self._key = key
        self._routing = routing
        self._changed = changed
        self._retired = False
        self._rest: asyncio.TimerHandle | None = None
        self._full: asyncio.TimerHandle | None = None
        """Set while it gets no requests because it has no room."""
        self._path = parts.path.encode()
        self._host = parts.netloc.encode()
        self._recount()

    @property
    def in_flight(self) -> int:
        """Requests that it is answering."""
        return self.pool.busy - self._checks

    @property
    def problem(self) -> str | None:
        """Why it is not ready, in a sentence."""
        if self.ready:
            return None
        return self.trouble.problem if self.trouble else NOT_CHECKED

    @property
    def full(self) -> bool:
        """True while requests should wait for their turn rather than inside."""
        return self.in_flight > self._full_at

    @property
    def room(self) -> int:
        """Requests that it can take before it is full."""
        return max(0, self._full_at + 1 - self.in_flight)

    @property
    def saturated(self) -> bool:
        """True when more requests wait inside than `routing.maxWaiting` allows."""
        return self.in_flight > self._saturated_at

    def ask_for_count(self) -> None:
        """Have it asked at once how many wait, if more may come than it was given so far."""
        if not self.backlog.waiting:
            self.outdated.set()

    async def complete(self, path: str, body: bytes | FormBody, record: Record) -> tuple[bytes, dict[str, Any]]:
        """Return an answer that is not streamed: its bytes, and the same read as JSON. Raises `EngineError`."""
        downs = self._downs
        engine_pass = EnginePass(record, self.upstream)
        self.yielding += record.yields
        try:
            response = await self._send(path, body, record, engine_pass)
            try:
                if response.status != OK or ENCODING in response.headers:
                    await _check(response, path, record.model)
                raw = await response.read_all(MAX_ANSWER)
            finally:
                response.close()
            if isinstance(body, bytes):
                answer = whole_answer(raw, ASKED[path].answers)
            else:
                answer = transcript(raw, response.headers)
            self.stall.made_at = monotonic()
        except BaseException as error:
            full = self._fullness(error)
            self._ended_badly(full or error, downs)
            engine_pass.end(full or error)
            if full is not None:
                raise full from error
            raise
        finally:
            self.yielding -= record.yields
        self._answered(downs)
        prompt, completion = counts(answer.get("usage"))
        if not (prompt or completion):
            fields = body if isinstance(body, bytes) else body.fields
            prompt, completion = counts(estimate.of_answer(ASKED[path], fields, answer))
        engine_pass.count_tokens(prompt, completion)
        engine_pass.end()
        return raw, answer

    async def stream(self, path: str, body: bytes | FormBody, record: Record) -> "EngineStream":
        """Return a streamed answer whose first bytes are there, for the caller to read and close. Raises
        `EngineError`.
        """
        downs = self._downs
        engine_pass = EnginePass(record, self.upstream)
        try:
            response = await self._send(path, body, record, engine_pass)
            try:
                if response.status != OK or ENCODING in response.headers:
                    await _check(response, path, record.model)
                await _check_stream(response, ASKED[path].answers)
                engine_pass.mark_first_token()
                self.stall.made_at = monotonic()
            except BaseException:
                response.close()
                raise
        except BaseException as error:
            full = self._fullness(error)
            self._ended_badly(full or error, downs)
            engine_pass.end(full or error)
            if full is not None:
                raise full from error
            raise
        self._answered(downs)
        return EngineStream(response, engine_pass, self._broke_off)

    async def count_tokens(self, path: str, body: bytes, record: Record) -> tuple[int, int] | None:
        """Return how many tokens the chat in `body` is, and how many a chat may be; None if the server does not tell.

        Takes what `complete` does. Raises `EngineError`.
        """
        told = await self.tokenize(path, body, record)
        return None if told is None else self.type.tokens(told, self.listed)

    async def tokenize(self, path: str, body: bytes, record: Record) -> dict[str, Any] | None:
        """Return what the server tells of the tokens in `body`, a prompt's or a chat's; None if it does not tell.

        Takes what `complete` does. Raises `EngineError`.
        """
        if self.type.tokens_path is None:
            return None
        path, request_id = self.type.tokens_path, record.request_id
        response = await self._keyed(
            lambda key: self.pool.send(self._head(b"POST", path, len(body), request_id, key), body)
        )
        try:
            if response.status in WITHOUT_LIST:
                return None
            await _check(response)
            told = json_object(await response.read_all(MAX_ANSWER))
        finally:
            response.close()
        if (counted := self.type.tokens(told, self.listed)) is not None:
            told["count"], told["max_model_len"] = counted  # as vLLM calls them, whatever this type does
        return told

    async def list_models(self) -> list[dict[str, Any]]:
        """Return the server's own list of models, empty if it keeps none. Raises `EngineError`."""
        try:
            return self.type.models(model_list(await self._get("/v1/models")))
        except Refused as error:
            if error.status in WITHOUT_LIST:
                return []
            raise

    async def order(self, path: str, command: dict[str, Any]) -> None:
        """Have the server do something. Raises `EngineError`."""
        self.stall.orders += 1
        try:
            await self._post(path, command, "engine-order")
        finally:
            self.stall.orders -= 1

    async def check_health(self, path: str) -> None:
        """Raise `EngineError` if the server says at `path` that it is ill; one without such a page says nothing."""
        try:
            await self._get(path)
        except Refused as error:
            if error.retryable:
                raise

    async def make_least(self) -> None:
        """Ask the server for the least that it can make, and note what comes of it. Raises `EngineError`."""
        self.stall.question = Question.OPEN
        try:
            for path, body in self.type.least(self.listed[0]["id"] if self.listed else ""):
                with suppress(Refused):
                    await self._post(path, body, "engine-check")
                    self.stall.made_at = monotonic()
                    return
            self.stall.question = Question.REFUSED
        finally:
            if self.stall.question is Question.OPEN:
                self.stall.question = Question.NONE

    async def count_waiting(self, path: str) -> bool:
        """Ask the server at `path` what waits and run inside; false if it does not say. Raises `EngineError`.

        What it tells of its progress is noted.
        """
        raw = await self._get(path)
        if self.kv_tokens is None:
            self.kv_tokens = self.type.kv_tokens(raw)
        counts = self.type.counts(raw)
        if counts is None:
            return False
        if progress := self.type.progress(raw):
            self._look(progress, runs=any(counts))
        self.backlog.seen(*counts, self.in_flight)
        self._recount()
        self._changed(self)
        return True

    def tells_no_count(self) -> None:
        """Note that the server does not tell how many requests wait inside."""
        self.stall.forget()
        self.backlog.untold()
        self._recount()
        self._changed(self)

    def missed_count(self) -> None:
        """Note that the server did not tell in time how many requests wait inside."""
        self.backlog.missed()
        self._recount()

    @property
    def key_is_right(self) -> bool:
        """Whether a server of the upstream, this or one before it, has taken the key; then it will again."""
        return self._key.taken

    def mark_up(self, listed: list[dict[str, Any]]) -> None:
        """Note that a check went well."""
        self._key.take()
        if listed:
            self.listed = listed
            self.names = frozenset(entry["id"] for entry in listed)
        if self.stall.trouble is not None:
            self.trouble = self.stall.trouble
            self._notice()
            return
        if not self.ready:
            self.breaker.reset()  # it came back, most often as a new process
            self.outdated.set()
            self.ready_since = monotonic()
        self.ready = self.served = True
        self.trouble = None
        self._notice()

    def mark_down(self, trouble: EngineError) -> None:
        """Note that it cannot be reached."""
        self._downs += 1
        self.ready = False
        self.kv_tokens = None
        self.trouble = trouble
        self._notice()

    def doubt(self) -> asyncio.Event:
        """Have its state checked at once, as something went wrong; return what is set after that check."""
        self.doubted.set()
        return self._next_check

    def begin_check(self) -> asyncio.Event:
        """Begin a check; return what is to be set when it is done."""
        self.doubted.clear()
        check, self._next_check = self._next_check, asyncio.Event()
        return check

    async def settled(self, check: asyncio.Event, *, stopping: bool) -> None:
        """Wait for `check`; of a server that says it is `stopping`, until it has stopped or takes long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                await check.wait()
            async with asyncio.timeout(STOP_SECONDS):
                while stopping and self.ready and not self._retired:
                    await self.doubt().wait()

    def blame(self, row: int) -> None:
        """Count a failure at what another replica answered; its breaker had counted `row` failures before."""
        if self.breaker.fail(row):
            if self._rest is not None:
                self._rest.cancel()
            self._rest = asyncio.get_running_loop().call_later(self._routing.breaker_seconds, self._half_open)
        self._notice()

    def tune(self, key: EngineKey, timeouts: Timeouts, routing: Routing) -> None:
        """Take changed settings."""
        if key not in (self._key, self._key.other):
            self._key = key
        self.pool.timeouts = timeouts
        self.breaker.failures = routing.breaker_failures
        self._routing = routing
        self._recount()

    def retire(self) -> None:
        """Get no more requests; those under way go on."""
        self._retired = True
        for timer in (self._rest, self._full):
            if timer is not None:
                timer.cancel()
        self.pool.retire()
        self._next_check.set()  # there is none any more
        self._notice()

    def _look(self, progress: object, *, runs: bool) -> None:
        """Take in how far it says it is; while it hangs it gets no requests, though it answers its checks."""
        self.stall.seen(monotonic(), progress, runs=runs, sent=self.in_flight)
        if self.stall.trouble is not None and self.ready:
            self.mark_down(self.stall.trouble)

    def _recount(self) -> None:
        """Decide anew how many in flight are too many: once a second instead of for each request."""
        limit = self._routing.max_waiting
        self._saturated_at = self._full_at = self.backlog.most(limit) if self._full is None else -1
        if self._routing.fair_share:
            self._full_at = min(self._full_at, (self._concurrency or self.backlog.turns) - 1)
        self._outdated_at = self.backlog.in_flight + limit * RECOUNT_SHARE

    def _answered(self, downs: int) -> None:
        self.answered_at = monotonic()
        if self.available and not self.breaker.row:
            return
        self.breaker.succeed()
        if downs == self._downs:  # else it is an answer from before it went down
            self.ready = self.served = True
            self.trouble = None
        self._notice()

    def _ended_badly(self, error: BaseException, downs: int) -> None:
        if not isinstance(error, EngineError):
            return
        self._count(error)
        state = judge(error).replica
        if state is ForReplica.WELL:
            self._answered(downs)
            return
        if state is ForReplica.FULL:
            self._answered(downs)
            self._be_full()
            return
        if state is ForReplica.DOWN:
            self.mark_down(error)
        self.doubt()

    def _fullness(self, error: BaseException) -> Full | None:
        """Return what a refusal means if it is for want of room."""
        if not isinstance(error, Refused) or not self.type.is_full(error.status, error.message):
            return None
        return Full("too many requests wait inside the engine; try again later", retry_after=FULL_SECONDS)

    def _be_full(self) -> None:
        if self._full is not None:
            self._full.cancel()
        self._full = asyncio.get_running_loop().call_later(FULL_SECONDS, self._may_have_room)
        self._recount()

    def _may_have_room(self) -> None:
        self._full = None
        self._recount()
        self._changed(self)

    def _broke_off(self, error: EngineError) -> None:
        self._count(error)
        if not isinstance(error, Refused):  # who tells that it failed is there
            self.doubt()

    def _count(self, error: EngineError) -> None:
        UPSTREAM_ERRORS.labels(self.upstream, error.reason).inc()
        if blames_engine(error) and (self.served or not error.unsent):  # one that has yet to start fails at nothing
            UPSTREAM_FAILURES.labels(self.upstream).inc()

    def _half_open(self) -> None:
        self.breaker.half_open()
        self._notice()

    def _notice(self) -> None:
        self.available = self.ready and self.breaker.admits and not self._retired
        self._changed(self)

    def _send(self, path: str, body: bytes | FormBody, record: Record, engine_pass: EnginePass) -> Awaitable[Response]:
        if self.in_flight > self._outdated_at:
            self.outdated.set()
        request_id, traceparent = record.request_id, engine_pass.span.traceparent
        if self._key.other is None:
            return self._put(path, body, request_id, self._key.header() + traceparent)
        return self._keyed(lambda key: self._put(path, body, request_id, key + traceparent))

    def _put(self, path: str, body: bytes | FormBody, request_id: str, lines: bytes) -> Awaitable[Response]:
        if isinstance(body, bytes):
            return self.pool.send(self._head(b"POST", path, len(body), request_id, lines), body)
        return self.pool.send_long(self._head(b"POST", path, body.size, request_id, lines, kind=body.kind), body)

    async def _keyed(self, send: Callable[[bytes], Awaitable[Response]]) -> Response:
        """Return the answer to what is sent with the key that the server takes; one that answers 401 is asked once more
        with the other, where there is one, and from then on first. Raises `EngineError`.
        """
        key = self._key  # of this request: others may find out meanwhile that it is the wrong one
        sent = key.header()
        response = await send(sent)
        if response.status != UNAUTHORIZED or key.other is None or (other := key.beside(sent)) is None:
            return response
        try:
            await _read_error(response)
        finally:
            response.close()
        response = await send(other.header())
        if response.status != UNAUTHORIZED:
            self._key = other
        return response

    async def _post(self, path: str, fields: dict[str, Any], request_id: str) -> None:
        body = orjson.dumps(fields)
        self._checks += 1
        try:
            response = await self._keyed(
                lambda key: self.pool.send_apart(self._head(b"POST", path, len(body), request_id, key), body)
            )
            try:
                await _check(response)
                await response.read_all(MAX_ANSWER)
            finally:
                response.close()
        finally:
            self._checks -= 1

    async def _get(self, path: str) -> bytes:
        self._checks += 1
        try:
            # On a connection of its own: whether the server opens one is part of the question.
            response = await self._keyed(
                lambda key: self.pool.send_apart(self._head(b"GET", path, 0, "engine-check", key), b"")
            )
            try:
                await _check(response)
                return await response.read_all(MAX_METRICS)
            finally:
                response.close()
        finally:
            self._checks -= 1

    def _head(  # noqa: PLR0913
        self, method: bytes, path: str, length: int, request_id: str, lines: bytes, *, kind: bytes = JSON
    ) -> bytes:
        return (
            b"%b %b%b HTTP/1.1\r\nhost: %b\r\nx-request-id: %b\r\n%bcontent-type: %b\r\ncontent-length: %d\r\n\r\n"
        ) % (
            method,
            self._path,
            path.encode(),
            self._host,
            request_id.encode(),
            lines,
            kind,
            length,
        )


async def _check(response: Response, path: str = "", model: str | None = None) -> None:
    """Raise the `EngineError` that an answer which is not usable stands for; `model` was asked at `path`."""
    if response.status != OK:
        raw = await _read_error(response)
        if path and lacks_path(response.status, raw):
            raise without_path(path, model, response.status)
        raise refusal(response.status, response.headers, raw)
    encoding = response.headers.get(ENCODING, PLAIN)
    if encoding != PLAIN:
        raise Malformed(f"the engine encoded its answer unasked ({encoding.decode('latin-1')})")


async def _read_error(response: Response) -> bytes:
    """Return what an answer that is not 200 says; nothing where its status has to do."""
    try:
        return await response.read_all(MAX_ERROR)
    except EngineError:
        return b""


async def _check_stream(response: Response, field: str) -> None:
    """Wait for the first bytes of a stream. Raises `EngineError`."""
    kind = response.headers.get(b"content-type", b"").lower()
    if kind.startswith(EVENT_STREAM):
        data = await response.begun()
        while not check_first_events(data, ended=response.complete) and len(data) < MAX_FIRST_EVENT:
            data = await response.begun(len(data))
        return
    raw = await response.read_all(MAX_ANSWER)
    if kind.startswith(b"application/json"):
        whole_answer(raw, field)  # an error inside a 200 speaks for itself
    raise Malformed(f"asked for a stream, the engine answered {kind.decode('latin-1') or 'without a type'}")
