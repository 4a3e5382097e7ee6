"""What a request needs of tracing; `otel` brings it to life, and without an endpoint nothing of that is imported."""

from typing import Any, Final, Protocol

Headers = list[tuple[bytes, bytes]]


class Span(Protocol):
    """A part of a request with a beginning and an end."""

    traceparent: bytes
    """Header lines for a call that goes on from here, each with its line end; empty when tracing is off."""

    def set(self, name: str, value: Any) -> None:
        """Set an attribute."""

    def end(self, error: BaseException | None = None) -> None:
        """End the span."""


class Trace(Protocol):
    """All spans of one request."""

    id: str
    """The trace's id as 32 hexadecimal digits; empty when tracing is off."""

    def engine_pass(self, upstream: str, model: str | None, route: str) -> Span:
        """Begin the span of one request to an engine."""

    def tool(self, name: str, call_id: str) -> Span:
        """Begin the span of one tool call."""

    def end(self, method: str, route: str, status: int, attributes: dict[str, Any]) -> None:
        """End the request's own span; those of `attributes` that are `None` are left out."""


class Tracer(Protocol):
    """Makes traces."""

    def begin(self, headers: Headers, path: str) -> Trace:
        """Return the trace of a request that begins now, perhaps as a part of its client's trace."""


class _NoSpan:
    traceparent = b""

    def set(self, name: str, value: Any) -> None:
        """Do nothing."""

    def end(self, error: BaseException | None = None) -> None:
        """Do nothing."""


class _NoTrace:
    id = ""

    def engine_pass(self, upstream: str, model: str | None, route: str) -> Span:  # noqa: ARG002 # as `Trace`
        """Begin nothing."""
        return NO_SPAN

    def tool(self, name: str, call_id: str) -> Span:  # noqa: ARG002 # as `Trace`
        """Begin nothing."""
        return NO_SPAN

    def end(self, method: str, route: str, status: int, attributes: dict[str, Any]) -> None:
        """End nothing."""


NO_SPAN: Final[Span] = _NoSpan()
NO_TRACE: Final[Trace] = _NoTrace()
