"""What a request needs of tracing; `otel` brings it to life, and without an endpoint nothing of that is imported."""

from typing import Any, Protocol


class Span(Protocol):
    """A part of a request with a beginning and an end."""

    traceparent: bytes
    """Header line for a call that goes on from here, `traceparent: …` with its line end; empty when tracing is off."""

    def set(self, name: str, value: Any) -> None:
        """Sets an attribute."""

    def end(self, error: BaseException | None = None) -> None:
        """Ends the span."""


class Trace(Protocol):
    """All spans of one request."""

    def engine_pass(self, upstream: str, model: str | None) -> Span:
        """Begins the span of one request to an engine."""

    def tool(self, name: str, call_id: str) -> Span:
        """Begins the span of one tool call."""


class _NoSpan:
    traceparent = b""

    def set(self, name: str, value: Any) -> None:
        """Does nothing."""

    def end(self, error: BaseException | None = None) -> None:
        """Does nothing."""


class _NoTrace:
    def engine_pass(self, upstream: str, model: str | None) -> Span:  # noqa: ARG002 # as `Trace`
        """Begins nothing."""
        return NO_SPAN

    def tool(self, name: str, call_id: str) -> Span:  # noqa: ARG002 # as `Trace`
        """Begins nothing."""
        return NO_SPAN


NO_SPAN: Span = _NoSpan()
NO_TRACE: Trace = _NoTrace()
