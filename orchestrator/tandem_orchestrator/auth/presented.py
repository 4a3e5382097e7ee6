"""The key that a request brings along."""

from tandem_orchestrator.auth.api_key import MAX_LENGTH
from tandem_orchestrator.errors import Unauthorized
from tandem_orchestrator.observability.metrics import AUTH_FAILURES

BEARER = b"bearer "
HOW = "send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`"


def refusal(reason: str, message: str) -> Unauthorized:
    """The error for a request whose key will not do, counted by its reason."""
    AUTH_FAILURES.labels(reason).inc()
    return Unauthorized(message)


def presented_key(headers: list[tuple[bytes, bytes]]) -> bytes | None:
    """The key in `Authorization` or `X-API-Key`, which may be any bytes; `None` without either header.

    Raises `Unauthorized` for another scheme, an empty or overlong key, or several that differ.
    """
    found = None
    for name, value in headers:
        if name == b"authorization":
            if value[:7].lower() != BEARER:
                raise refusal("malformed", f"the Authorization header does not hold a Bearer key; {HOW}")
            key = value[7:].strip()
        elif name == b"x-api-key":
            key = value.strip()
        else:
            continue
        if not key or len(key) > MAX_LENGTH:
            raise refusal("malformed", f"the API key is empty or longer than {MAX_LENGTH} characters; {HOW}")
        if found is not None and found != key:
            raise refusal("conflicting", "the request has several API keys that differ; send one")
        found = key
    return found
