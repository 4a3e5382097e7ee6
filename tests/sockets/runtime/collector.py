"""An OpenTelemetry collector that keeps what it gets."""

import asyncio
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from tests.engine_double.http import Exchange, HttpServer


class Span:
    """A span as it came over the wire, with identifiers in hexadecimal."""

    def __init__(self, span: Any) -> None:
        self.name: str = span.name
        self.kind: int = span.kind
        self.trace = span.trace_id.hex()
        self.id = span.span_id.hex()
        self.above = span.parent_span_id.hex()
        self.failed = span.status.code == 2
        self.seconds = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
        self.attributes = attributes(span.attributes)


class Collector(HttpServer):
    """`async with Collector() as collector:` takes OTLP over HTTP at `collector.url`."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resource: dict[str, Any] = {}
        self.headers: dict[str, str] = {}
        self.hold = asyncio.Event()
        """While it is not set, nothing is answered."""
        self.hold.set()

    async def _handle(self, exchange: Exchange) -> None:
        assert (exchange.method, exchange.target) == ("POST", "/v1/traces")
        await self.hold.wait()
        self.headers = exchange.headers
        for resource in ExportTraceServiceRequest.FromString(exchange.body).resource_spans:
            self.resource = attributes(resource.resource.attributes)
            self.spans += [Span(span) for scope in resource.scope_spans for span in scope.spans]
        await exchange.answer(200, b"", "application/x-protobuf")


def attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value") or "string_value")
