"""One record a request: who asked for what, how long its parts took, how it ended."""

from collections.abc import Awaitable, Sequence
from time import perf_counter
from types import TracebackType
from typing import Any, Final, Self

from starlette.types import Message, Receive, Scope, Send

from tandem_orchestrator.errors import GatewayError
from tandem_orchestrator.observability.metrics import (
    ENGINE_SECONDS,
    QUEUE_SECONDS,
    TOOL_SECONDS,
    UPSTREAM_FIRST_TOKEN,
)
from tandem_orchestrator.observability.prometheus import Labelled
from tandem_orchestrator.observability.trace import NO_SPAN, NO_TRACE, Span, Trace

CLIENT_LEFT: Final = 499
MAX_LOGGED_BODY: Final = 65_536  # bytes
MAX_TOKENS: Final = 1_000_000_000  # that an engine is believed to have used for one request
OTHER: Final = "other"

_queue = Labelled(QUEUE_SECONDS)
_engine = Labelled(ENGINE_SECONDS)
_first_token = Labelled(UPSTREAM_FIRST_TOKEN)
_tool = Labelled(TOOL_SECONDS)


class Record:
    """What is known about a request while it runs. Holds no prompt and no answer, unless logs are to show them.

    What is not set keeps the value of the class, so that a record costs little to make.
    """

    status = 0
    route = "other"
    """Path of the endpoint as metrics know it; never a client's word."""
    model: str | None = None
    """Only names from the configuration or the engines' own lists: it is a metric label."""
    upstream: str | None = None
    tenant: str | None = None
    key_id: str | None = None
    stream = False
    yields = False
    """True for what gives way to other requests, and never waits for an engine in their midst."""
    prompt_tokens = 0
    completion_tokens = 0
    error: str | None = None
    first_byte: float | None = None
    """Seconds from the start, as the three below."""
    queue_seconds = 0.0
    engine_seconds = 0.0
    tool_seconds = 0.0
    bodies: "Bodies | None" = None
    headers: Sequence[tuple[bytes, bytes]] = ()
    """Go out with the answer, whoever writes it: the state of the key's limits."""
    told = False
    """True once the client has been sent how its answer ends: that it leaves then is no news."""

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.started = perf_counter()
        self.tool_calls: list[str] = []
        self.trace: Trace = NO_TRACE

    def count_usage(self, usage: Any) -> None:
        """Add an OpenAI `usage` object; anything else adds nothing."""
        self.count_tokens(*counts(usage))

    def count_tokens(self, prompt: int, completion: int) -> None:
        """Add tokens that an engine has read and written."""
        self.prompt_tokens += prompt
        self.completion_tokens += completion

    def tell(self, failure: GatewayError | None) -> None:
        """Note that the client has been sent how its answer ends: well, or with a failure."""
        self.told = True
        if failure is not None:
            self.status, self.error = failure.status, str(failure.code or failure.type)

    def mark_first_byte(self) -> None:
        """Note when a stream's first byte went out."""
        if self.first_byte is None:
            self.first_byte = perf_counter() - self.started

    def queued(self, seconds: float, service_class: str) -> None:
        """Note a wait for an engine."""
        self.queue_seconds += seconds
        _queue[self.model or OTHER, service_class].observe(seconds)

    def tool(self, name: str, call_id: str) -> "ToolRun":
        """Begin one call of a server-side tool; `name` is one of the toolbox, a metric label too."""
        return ToolRun(self, self.trace.tool(name, call_id), name)


class EnginePass:
    """One request to an engine, each attempt being one: timed, and a span where traces are on. `end` must follow."""

    __slots__ = ("_ended", "_record", "_started", "_upstream", "span")

    def __init__(self, record: Record, upstream: str) -> None:
        record.upstream = upstream
        self._record = record
        self._upstream = upstream
        self._started = perf_counter()
        self._ended = False
        trace = record.trace
        self.span = NO_SPAN if trace is NO_TRACE else trace.engine_pass(upstream, record.model, record.route)

    def count_usage(self, usage: Any) -> None:
        """Add the pass's `usage` object to the request's, and to the span."""
        self.count_tokens(*counts(usage))

    def count_tokens(self, prompt: int, completion: int) -> None:
        """Add what the pass has read and written to the request's tokens, and to the span."""
        self._record.count_tokens(prompt, completion)
        if self.span is not NO_SPAN:
            self.span.set("gen_ai.usage.input_tokens", prompt)
            self.span.set("gen_ai.usage.output_tokens", completion)

    def mark_first_token(self) -> None:
        """Note that the first bytes of a streamed answer are there."""
        _first_token[self._upstream].observe(perf_counter() - self._started)

    def end(self, error: BaseException | None = None) -> None:
        """Note that the answer is there, or has failed; a second call does nothing."""
        if not self._ended:
            self._ended = True
            seconds = perf_counter() - self._started
            self._record.engine_seconds += seconds
            _engine[self._upstream].observe(seconds)
            if self.span is not NO_SPAN:
                self.span.end(error)


class ToolRun:
    """One call of a tool, timed and traced like an `EnginePass`; `with` ends it."""

    __slots__ = ("_name", "_record", "_started", "span")

    def __init__(self, record: Record, span: Span, name: str) -> None:
        self._record = record
        self._name = name
        self._started = perf_counter()
        self.span = span

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        seconds = perf_counter() - self._started
        self._record.tool_seconds += seconds
        _tool[self._name].observe(seconds)
        self.span.end(error)


class Bodies:
    """What client and orchestrator say to each other, kept for the log where the configuration asks for it."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.request = bytearray()
        self.answer = bytearray()

    async def receive(self) -> Message:
        """ASGI."""
        message = await self._receive()
        self._keep(self.request, message)
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """ASGI."""
        self._keep(self.answer, message)
        return self._send(message)

    def _keep(self, kept: bytearray, message: Message) -> None:
        kept += message.get("body", b"")[: MAX_LOGGED_BODY - len(kept)]


def counts(usage: Any) -> tuple[int, int]:
    """Return the tokens of the prompt and of the answer in an OpenAI `usage` object; 0 where it says nothing of use."""
    if not isinstance(usage, dict):
        return 0, 0
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if prompt is None and "input_tokens" in usage:  # of an engine's own responses
        prompt, completion = usage["input_tokens"], usage.get("output_tokens")
    if isinstance(prompt, int) and isinstance(completion, int):  # as nearly always
        return min(max(prompt, 0), MAX_TOKENS), min(max(completion, 0), MAX_TOKENS)
    return count(prompt), count(completion)


def count(value: Any) -> int:
    """Return a number of tokens in an engine's `usage`; 0 for what is none."""
    return int(min(value, MAX_TOKENS)) if isinstance(value, int | float) and value > 0 else 0


def record_of(scope: Scope) -> Record:
    """Return the record of the request that `scope` describes."""
    record: Record = scope["state"]["record"]
    return record
