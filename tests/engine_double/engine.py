"""The double itself: a server on a free port that answers by script and remembers what it saw."""

import asyncio
import email
import email.policy
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self, cast

import orjson

from tests.engine_double.dialects import DIALECTS, Answered, Load
from tests.engine_double.http import Exchange, HttpListener
from tests.engine_double.reply import ANSWERS, Answer, Reply, event, plausible


@dataclass
class Seen:
    """A request that arrived; `outcome` is "" while it runs, then "answered" or "left" (the client went away)."""

    body: dict[str, Any]
    raw: bytes
    headers: dict[str, str]
    path: str
    arrived: float = field(default_factory=time.monotonic)
    adapter: str | None = None
    """What answers; None is the model itself."""
    outcome: str = ""
    ended: float = 0.0


CONTEXT = 4096


class EngineDouble:
    """`async with EngineDouble() as engine:` serves at `engine.url`.

    A request is answered by the script in its own `double` field, else by the next of `replies`, else by `rule`.
    """

    def __init__(
        self,
        model: str = "double",
        api_key: str | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
        dialect: str = "vllm",
    ) -> None:
        self.kind = dialect
        self.dialect = DIALECTS[dialect]
        self.model = model
        self.api_key = api_key
        self.further_keys: tuple[str, ...] = ()
        """What it takes in that one's place, as vLLM does with several --api-key."""
        self.host = host
        self.port = port
        self.replies: deque[Reply] = deque()
        self.rule: Callable[[dict[str, Any]], Reply] = plausible
        self.seen: list[Seen] = []
        self.remember = True
        self.running = 0
        self.waiting = 0
        self.gate: asyncio.Semaphore | None = None
        """Where there is one, each answer takes a permit of it."""
        self.slots: asyncio.Semaphore | None = None
        """Where there are some, a request runs in one of them, and waits for one in the order of arrival."""
        self.adapters: list[str] = []
        self.roots: dict[str, str] = {}
        """Where those adapters are from that were loaded by request."""
        self.broken: dict[str, str] = {}
        """What is said of adapters that cannot be loaded, by where they are."""
        self.half_dropped: set[str] = set()
        """Adapters that SGLang has begun to forget: srt/managers/tokenizer_control_mixin.py, pending_lora_unloads."""
        self.lacks: set[str] = set()
        """Paths that it does not have,"""
        self.lacked: list[str] = []
        """and those of them that it was asked at."""
        self.tokenized: list[dict[str, Any]] = []
        """What it was asked to count."""
        self.context: int | None = None
        """Tokens of a request and its answer; one with more is refused. None for as many as come."""
        self.priorities = False
        """Whether it takes requests of another `priority` than 0, as vLLM does with --scheduling-policy=priority."""
        self.loading = False
        """While it is true, every request is answered 503."""
        self.full = False
        """While it is true, it has no room for another request, and refuses it."""
        self.ill = False
        """While it is true, /health is answered 503, as by vLLM when its core has died."""
        self.iterations = 0
        """How often it has made something: an answer in one piece, or a piece of a stream."""
        self._core_runs = asyncio.Event()
        self._core_runs.set()
        self._last_word: bytes | None = None
        """Of its core about its load, while that hangs."""
        self._listener = HttpListener(self._handle)
        self._place: socket.socket | None = None

    @property
    def url(self) -> str:
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._listener.aclose()
        if self._place is not None:
            self._place.close()

    async def start(self) -> None:
        if self._place is None:
            self._take_place()
        self._listener.start(self.host, self.port)

    def _take_place(self) -> None:
        """Keeps the port from others while the engine is away."""
        self._place = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind((self.host, self.port))
        self.port = self._place.getsockname()[1]

    def stop(self) -> None:
        """Refuses connections from now on, and cuts those that are open."""
        self._listener.stop()

    async def drain(self) -> None:
        """Refuses connections from now on, and stops when the requests that run are answered."""
        self._listener.refuse()
        self.drop_idle()
        await self.until(lambda: self.running == 0)
        self.stop()

    def hang(self) -> None:
        """Makes nothing from now on, while /health and /metrics are answered, as by vLLM when its core is stuck."""
        self._last_word = self._metrics()
        self._core_runs.clear()

    def go_on(self) -> None:
        """Does what it was asked for meanwhile."""
        self._last_word = None
        self._core_runs.set()

    async def _iterate(self) -> None:
        await self._core_runs.wait()
        self.iterations += 1

    def drop_idle(self) -> None:
        """Closes connections that carry no request, as engines do after some seconds."""
        for connection in tuple(self._listener.connections):
            if connection.idle:
                connection.transport.close()

    @property
    def serving(self) -> bool:
        return self._listener.serving

    @property
    def connections(self) -> int:
        return len(self._listener.connections)

    async def until(self, condition: Callable[[], bool], seconds: float = 5.0) -> None:
        """Waits for `condition`, at most `seconds`."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s; seen: {self.seen[-3:]}"
            await asyncio.sleep(0.002)

    async def _handle(self, exchange: Exchange) -> None:
        path = exchange.target.partition("?")[0]
        if self.loading:
            await _tell(exchange, self.dialect.loading)
        elif path in self.lacks:
            self.lacked.append(path)
            await exchange.answer(404, b'{"detail":"Not Found"}')
        elif path in ANSWERS and exchange.method == "POST":
            await self._serve(exchange, path)
        elif path == self.dialect.health:
            await exchange.answer(503 if self.ill else 200, b"", "text/plain")
        elif path == "/metrics" and (self.dialect.open_metrics or self._authorized(exchange)) and self._metrics():
            await exchange.answer(200, self._metrics(), "text/plain; version=0.0.4")
        elif path == "/control/replies" and exchange.method == "POST":
            self.replies.extend(Reply.from_json(item) for item in orjson.loads(exchange.body))
            await exchange.answer(200, b"{}")
        elif not self._authorized(exchange):
            await _tell(exchange, self.dialect.unauthorized)
        else:
            await self._handle_authorized(exchange, path)

    async def _handle_authorized(self, exchange: Exchange, path: str) -> None:
        if path == self.dialect.tokenize and exchange.method == "POST":
            self.tokenized.append(asked := orjson.loads(exchange.body))
            count = tokens_of(asked) or len(str(asked.get("prompt")).split())
            await _tell(exchange, (200, self.dialect.tokens(count, self._load)))
        elif path in self.dialect.orders and exchange.method == "POST":
            await self._core_runs.wait()
            problem = self._change_adapter(orjson.loads(exchange.body), loads=self.dialect.orders[path])
            await exchange.answer(*self.dialect.ordered(problem, self._load))
        elif path == "/v1/models":
            await _tell(exchange, (200, self.dialect.models(self._load)))
        else:
            await exchange.answer(404, b'{"detail":"Not Found"}')

    def _change_adapter(self, order: dict[str, Any], *, loads: bool) -> str | None:
        """Returns what went wrong."""
        name, root = order["lora_name"], order.get("lora_path")
        if not loads:
            if name not in self.adapters and name not in self.half_dropped:
                return self.dialect.unknown_adapter(name)
            self.half_dropped.discard(name)
            if name in self.adapters:
                self.adapters.remove(name)
            return None
        if name in self.half_dropped:
            return f"LoRA adapter '{name}' has an incomplete unload. Retry the unload before loading it again."
        if name in self.adapters:
            return self.dialect.known_adapter(name)
        if root in self.broken:
            return self.broken[root]
        self.adapters.append(name)
        self.roots[name] = str(root)
        return None

    def _authorized(self, exchange: Exchange) -> bool:
        taken = [f"Bearer {key}" for key in (self.api_key, *self.further_keys)]
        return self.api_key is None or exchange.headers.get("authorization") in taken

    async def _serve(self, exchange: Exchange, path: str) -> None:
        request = form_in(exchange) if path.startswith("/v1/audio/") else orjson.loads(exchange.body)
        seen = Seen(request, exchange.body, exchange.headers, path, adapter=self.dialect.adapter(request, self._load))
        if self.remember:
            self.seen.append(seen)
        slots = self.slots
        if slots is not None:
            self.waiting += 1
            try:
                await slots.acquire()
            finally:
                self.waiting -= 1
        self.running += 1
        try:
            if problem := self._problem(exchange, request):
                await _tell(exchange, problem)
            else:
                reply = replace(self._script(request), reasoning_field=self.dialect.reasoning)
                if self.gate is not None:
                    await self.gate.acquire()
                await self._reply(exchange, ANSWERS[path](reply, request), reply)
            seen.outcome = "answered"
        except asyncio.CancelledError:
            seen.outcome = "left"
            raise
        finally:
            seen.ended = time.monotonic()
            self.running -= 1
            if slots is not None:
                slots.release()

    def _script(self, request: dict[str, Any]) -> Reply:
        if "double" in request:
            return Reply.from_json(request["double"])
        return self.replies.popleft() if self.replies else self.rule(request)

    def _problem(self, exchange: Exchange, request: dict[str, Any]) -> tuple[int, Any] | None:
        if not self._authorized(exchange):
            return self.dialect.unauthorized
        if self.full:
            return self.dialect.full(streamed=bool(request.get("stream")))
        name = self.dialect.adapter(request, self._load)
        if self.dialect.reloads and name in self.roots and name not in self.adapters:
            self.adapters.append(name)
        if lacking := self.dialect.lacking(request, self._load):
            return lacking
        if self.context and (count := tokens_of(request) + (request.get("max_tokens") or 1)) > self.context:
            message = (
                f"This model's maximum context length is {self.context} tokens. However, your request has {count} "
                "input and output tokens. Please reduce the length."
            )
            return 400, {"error": {"message": message, "type": "BadRequestError", "param": "input_tokens", "code": 400}}
        if request.get("priority") and not self.priorities:
            message = f"Got priority {request['priority']} but Priority scheduling is not enabled."
            return 400, {"error": {"message": message, "type": "BadRequestError", "param": None, "code": 400}}
        return _problem_with_calls(request)

    async def _reply(self, exchange: Exchange, answer: Answer, reply: Reply) -> None:
        if reply.before_first_byte:
            await asyncio.sleep(reply.before_first_byte)
        if reply.fault == "close":
            await exchange.write(reply.raw)
            exchange.cut()
        elif reply.fault == "not_http":
            await exchange.write(b"220 mail.example ESMTP\r\n")
        elif reply.fault == "wrong_type":
            await exchange.answer(200, b"<html>It works!</html>", "text/html")
        elif reply.raw:
            await exchange.write(reply.raw)
        elif reply.status != 200:
            error = reply.error or {
                "error": {"message": "scripted", "type": "ScriptedError", "param": None, "code": None}
            }
            await exchange.answer(reply.status, orjson.dumps(error), **dict(reply.headers))
        elif answer.streamed:
            await _stream(exchange, answer, reply, self._iterate)
        else:
            await self._iterate()
            await _whole(exchange, answer, reply)

    def _metrics(self) -> bytes:
        return self._last_word or self.dialect.metrics(self._load)

    @property
    def _load(self) -> Load:
        adapters = {name: self.roots.get(name) for name in self.adapters}
        return Load(self.model, adapters, self.context or CONTEXT, self.running, self.waiting, self.iterations)


def _problem_with_calls(request: dict[str, Any]) -> tuple[int, Any] | None:
    for message in request.get("messages", ()):
        for call in message.get("tool_calls") or ():
            try:
                orjson.loads(call["function"]["arguments"])
            except orjson.JSONDecodeError as error:
                return 400, {"error": {"message": str(error), "type": "BadRequestError", "param": None, "code": 400}}
    return None


async def _tell(exchange: Exchange, answered: Answered) -> None:
    """Answers with JSON; an error with status 200 is the first event of a stream."""
    status, document = answered
    if status == 200 and "error" in document:
        await exchange.answer(200, event(document) + b"data: [DONE]\n\n", "text/event-stream")
    else:
        await exchange.answer(status, orjson.dumps(document))


async def _whole(exchange: Exchange, answer: Answer, reply: Reply) -> None:
    body = orjson.dumps(answer.whole())
    if reply.fault == "error_event":
        body = b'{"error":{"message":"scripted","type":"InternalServerError","param":null,"code":500}}'
    if reply.fault == "malformed_json":
        body = body[: len(body) // 2]
    if reply.fault in ("cut", "hang"):
        await exchange.head(200, {"content-type": "application/json", "content-length": str(len(body))})
        await exchange.write(body[: len(body) // 2])
        await _break_off(exchange, reply)
    else:
        await exchange.answer(200, body)


async def _stream(exchange: Exchange, answer: Answer, reply: Reply, iterate: Callable[[], Awaitable[None]]) -> None:
    await exchange.head(200, {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"})
    for sent, chunk in enumerate(answer.chunks()):
        if reply.fault and sent == reply.fault_after:
            if reply.fault in ("cut", "hang"):
                await exchange.piece(event(chunk)[:20])
                await _break_off(exchange, reply)
                return
            if reply.fault == "malformed_json":
                await exchange.piece(b'data: {"id": \n\n')
            if reply.fault == "no_done":
                break
            if reply.fault == "error_event":
                await exchange.piece(
                    event({"error": {"message": "scripted", "type": "InternalServerError", "code": 500}})
                )
                break
        if reply.between_pieces:
            await asyncio.sleep(reply.between_pieces)
        await iterate()
        await exchange.piece(event(chunk))
    await exchange.piece(b": end\n\n" if reply.fault == "no_done" else b"data: [DONE]\n\n")
    await exchange.write(b"0\r\n\r\n")


async def _break_off(exchange: Exchange, reply: Reply) -> None:
    if reply.fault == "cut":
        exchange.cut()
    else:
        await asyncio.Event().wait()


def tokens_of(request: dict[str, Any]) -> int:
    """A word of a chat is a token, a message four more, and a tool ten."""
    messages = request.get("messages", ())
    words = sum(4 + len(str(message.get("content") or "").split()) for message in messages)
    return words + (10 * len(request.get("tools") or ()) if messages else 0)


def form_in(exchange: Exchange) -> dict[str, Any]:
    """The fields of a form by another parser than the orchestrator's: texts, lists of them, the file's name and bytes.

    Fails where engines' parsers differ: at a second field of one name that is no list.
    """
    head = f"content-type: {exchange.headers['content-type']}\r\n\r\n".encode()
    fields: dict[str, Any] = {}
    for part in email.message_from_bytes(head + exchange.body, policy=email.policy.HTTP).iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        content = cast("bytes", part.get_payload(decode=True))
        if name.endswith("[]"):
            fields.setdefault(name, []).append(content.decode())
            continue
        assert name not in fields, f"{name} twice"
        fields[name] = (part.get_filename(), content) if name == "file" else content.decode()
    return fields
