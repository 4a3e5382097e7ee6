"""Traces for OpenTelemetry: one span a request, below it one for each engine pass and each tool call.

Attributes follow the GenAI conventions (development status), as of semantic-conventions 1.41. Spans are delivered by
a thread of their own; while the collector is away they are dropped and counted, and requests notice nothing.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from threading import Thread
from typing import Any, Final

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from tandem_contract.config import OrchestratorConfig, Tracing

from tandem_orchestrator.observability.metrics import TRACE_SPANS
from tandem_orchestrator.observability.trace import Headers
from tandem_orchestrator.part import Part
from tandem_orchestrator.secret_file import read_secret

EXPORT_SECONDS: Final = 5.0  # for one batch, attempts at it included
CLOSE_SECONDS: Final = 3.0
MAX_WAITING: Final = 2048  # spans
SERVER_ERRORS: Final = 500
OPERATIONS: Final = {
    "/v1/chat/completions": "chat",
    "/chat": "chat",
    "/v1/completions": "text_completion",
    "/v1/embeddings": "embeddings",
}
EXPORTER_LOG: Final = logging.getLogger(OTLPSpanExporter.__module__)
_PROPAGATED: Final = (b"traceparent", b"tracestate")
_propagator = TraceContextTextMapPropagator()

log = structlog.get_logger()


class OpenTelemetry(Part):
    """Makes the traces of requests and has them delivered to `settings.endpoint`."""

    def __init__(self, config: OrchestratorConfig) -> None:
        settings = config.tracing
        delivery = _Delivery(settings)
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(settings.sample_ratio)),
            resource=_resource(),
            shutdown_on_exit=False,  # it may take half a minute
        )
        self._provider.add_span_processor(_Batches(delivery))
        self._tracer = self._provider.get_tracer("tandem_orchestrator", version("tandem-orchestrator"))
        self.update(config)

    def update(self, config: OrchestratorConfig) -> None:
        """Take changed upstreams."""
        self._providers = {upstream.name: upstream.type.value for upstream in config.upstreams}

    def begin(self, headers: Headers, path: str) -> "RequestTrace":
        """Return the trace of a request, which goes on from its `traceparent` header if there is one."""
        carrier = {name.decode(): value.decode("latin-1") for name, value in headers if name in _PROPAGATED}
        above = _propagator.extract(carrier, Context())
        return RequestTrace(self._tracer, above, path, self._providers)

    async def close(self) -> None:
        """Deliver what waits, if that takes no more than `CLOSE_SECONDS`."""
        ending = Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, CLOSE_SECONDS)


class RequestTrace:
    """The spans of one request."""

    def __init__(self, tracer: Tracer, above: Context, path: str, providers: Mapping[str, str]) -> None:
        self._tracer = tracer
        self._providers = providers
        self._span = tracer.start_span(path, above, SpanKind.SERVER, {"url.path": path})
        self._context = set_span_in_context(self._span, Context())
        self.id = f"{self._span.get_span_context().trace_id:032x}"

    def engine_pass(self, upstream: str, model: str | None, route: str) -> "RequestSpan":
        """Begin the span of one request to an engine."""
        operation = OPERATIONS.get(route, "chat")
        attributes = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": self._providers.get(upstream, "openai"),
            "gen_ai.request.model": model or "",
            "tandem.upstream": upstream,
        }
        name = f"{operation} {model}" if model else operation
        return RequestSpan(self._tracer.start_span(name, self._context, SpanKind.CLIENT, attributes))

    def tool(self, name: str, call_id: str) -> "RequestSpan":
        """Begin the span of one tool call."""
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.call.id": call_id,
            "gen_ai.tool.type": "function",
        }
        return RequestSpan(
            self._tracer.start_span(f"execute_tool {name}", self._context, SpanKind.INTERNAL, attributes)
        )

    def end(self, method: str, route: str, status: int, attributes: dict[str, Any]) -> None:
        """End the request's own span."""
        span = self._span
        span.update_name(f"{method} {route}")
        span.set_attributes({"http.request.method": method, "http.route": route, "http.response.status_code": status})
        span.set_attributes({name: value for name, value in attributes.items() if value is not None})
        if status >= SERVER_ERRORS:
            span.set_status(StatusCode.ERROR)
        span.end()


class RequestSpan:
    """A part of a request."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: Span) -> None:
        self._span = span
        context = span.get_span_context()
        line = f"traceparent: 00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}\r\n"
        if context.trace_state:
            line += f"tracestate: {context.trace_state.to_header()}\r\n"
        self.traceparent = line.encode()

    def set(self, name: str, value: Any) -> None:
        """Set an attribute."""
        if value is not None:
            self._span.set_attribute(name, value)

    def end(self, error: BaseException | None = None) -> None:
        """End the span; an error gives it its type, and its message, which holds no prompt."""
        if error is not None:
            self._span.set_attribute("error.type", getattr(error, "reason", type(error).__name__))
            self._span.set_status(StatusCode.ERROR, str(error))
        self._span.end()


class _Delivery(SpanExporter):
    """Sends spans to the collector; says once that it cannot, and once that it can again."""

    def __init__(self, settings: Tracing) -> None:
        assert settings.endpoint is not None  # noqa: S101 # without one nobody makes this
        self._endpoint = f"{settings.endpoint.rstrip('/').removesuffix('/v1/traces')}/v1/traces"
        self._exporter = OTLPSpanExporter(self._endpoint, headers=_headers(settings), timeout=EXPORT_SECONDS)
        self._complaints = _Complaints()
        self._delivering = True
        self.taken = 0
        """Spans that have come here, delivered or not."""
        EXPORTER_LOG.addFilter(self._complaints)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send `spans`; called in the thread of the batches."""
        self._complaints.clear()
        result = self._exporter.export(spans)
        delivered = result is SpanExportResult.SUCCESS
        TRACE_SPANS.labels("sent" if delivered else "failed").inc(len(spans))
        self.taken += len(spans)
        if delivered and not self._delivering:
            log.info("traces are delivered again", endpoint=self._endpoint)
        elif self._delivering and not delivered:
            log.warning("traces cannot be delivered", endpoint=self._endpoint, problem=" ".join(self._complaints))
        self._delivering = delivered
        return result

    def shutdown(self) -> None:
        """Give up what is under way."""
        EXPORTER_LOG.removeFilter(self._complaints)
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


class _Batches(BatchSpanProcessor):
    """Collects spans for the delivery, up to `MAX_WAITING`."""

    def __init__(self, delivery: _Delivery) -> None:
        # Its own queue is never full, so that it never complains of that for each span.
        super().__init__(delivery, max_queue_size=2 * MAX_WAITING, max_export_batch_size=MAX_WAITING // 4)
        self._delivery = delivery
        self._ended = 0

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span that has ended."""
        if self._ended - self._delivery.taken >= MAX_WAITING:
            TRACE_SPANS.labels("dropped").inc()
        else:
            self._ended += 1
            super().on_end(span)


class _Complaints(list[str]):
    """A filter that keeps what the exporter would log at each attempt, and lets nothing pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep a record's message, and drop the record."""
        self.append(record.getMessage())
        return False


def _headers(settings: Tracing) -> dict[str, str]:
    if settings.headers is None:
        return {}
    pairs = (line.partition(":") for line in read_secret(settings.headers).splitlines() if line.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _resource() -> Resource:
    return Resource.create(
        {
            "service.name": os.environ.get("OTEL_SERVICE_NAME", "tandem-orchestrator"),
            "service.version": version("tandem-orchestrator"),
            "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
        }
    )
