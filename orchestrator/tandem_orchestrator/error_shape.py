"""The shape in which a client is told of an error: OpenAI's, or on the paths of Anthropic's API that one's.

Types and statuses as in https://platform.claude.com/docs/en/api/errors.
"""

from typing import Final

import orjson
from starlette.types import Scope

from tandem_orchestrator.errors import GatewayError, Refused

MESSAGES: Final = "/v1/messages"
MODELS: Final = "/v1/models"
VERSION: Final = b"anthropic-version"
"""Header that every client of Anthropic's API sends."""
REQUEST_ID: Final = b"request-id"
NO_RETRY: Final = (b"x-should-retry", b"false")
"""What clients of Anthropic's API heed: without it Claude Code tries a refused key for minutes before it says so."""
KEY_REFUSED: Final = (401, 403)

OVERLOADED: Final = "overloaded_error"
OVERLOADED_STATUS: Final = 529
UNAVAILABLE: Final = 503
SERVER_ERRORS: Final = 500
TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
}
OTHER: Final = "invalid_request_error"
DEFECT: Final = "api_error"


class AnthropicError(GatewayError):
    """An error as a client of Anthropic's API is told of it."""

    def __init__(self, error: GatewayError, request_id: str) -> None:
        super().__init__(error.message, param=error.param)
        self.code = error.code
        self.headers = [*error.headers, NO_RETRY] if error.status in KEY_REFUSED else error.headers
        self.more = error.more
        self.request_id = request_id
        self.status = error.status
        if error.type == OVERLOADED or (isinstance(error, Refused) and error.status == UNAVAILABLE):
            self.status, self.type = OVERLOADED_STATUS, OVERLOADED
        else:
            self.type = TYPES.get(error.status) or (DEFECT if error.status >= SERVER_ERRORS else OTHER)

    def body(self) -> bytes:
        """Return `{"type": "error", "error": {"type", "message"}, "request_id"}`."""
        error = {"type": self.type, "message": self.message, **self.more}
        return orjson.dumps({"type": "error", "error": error, "request_id": self.request_id})

    def event(self) -> bytes:
        """See `GatewayError`."""
        return b"event: error\n" + super().event()


def told(error: GatewayError, scope: Scope) -> GatewayError:
    """Return the error as the client of that request is told of it."""
    if not speaks_anthropic(scope):
        return error
    record = scope["state"]["record"]
    shaped = AnthropicError(error, record.request_id)
    name = (REQUEST_ID, record.request_id.encode())
    if name not in record.headers:
        shaped.headers = [*shaped.headers, name]
    return shaped


def speaks_anthropic(scope: Scope) -> bool:
    """Return whether the client of that request speaks Anthropic's API: both APIs have lists of models."""
    path: str = scope["path"]
    if path.startswith(MODELS):
        return any(name == VERSION for name, _ in scope["headers"])
    return path == MESSAGES or path.startswith(f"{MESSAGES}/")
