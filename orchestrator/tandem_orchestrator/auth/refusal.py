"""What a request is told whose key or token will not do, counted by its reason."""

from tandem_orchestrator.errors import Forbidden, Unauthorized
from tandem_orchestrator.observability.metrics import AUTH_FAILURES


def refusal(reason: str, message: str) -> Unauthorized:
    """Return the error for what proves nothing."""
    AUTH_FAILURES.labels(reason).inc()
    return Unauthorized(message)


def not_allowed(reason: str, message: str) -> Forbidden:
    """Return the error for what is good, but not here."""
    AUTH_FAILURES.labels(reason).inc()
    return Forbidden(message)
